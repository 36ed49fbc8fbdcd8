"""Each viewset says which scope each of its actions asks for; an action that says nothing is closed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rest_framework.permissions import BasePermission

from accounts.errors import Forbidden

if TYPE_CHECKING:  # DRF imports this module while it makes its views
    from rest_framework.request import Request
    from rest_framework.views import APIView


class ScopeRequired(BasePermission):
    """`scopes = {"list": "quotes:read", "create": "quotes:execute"}` on the viewset."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        action = getattr(view, "action", "")  # what is no viewset has none, and stays closed
        if action is None:
            return True  # there is nothing to guard: the viewset goes on to answer 405
        scope = getattr(view, "scopes", {}).get(action)
        caller: Any = request.user
        if scope is None or not caller.may(scope):
            raise Forbidden
        return True
