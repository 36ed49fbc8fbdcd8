"""Each view says which scope each of its methods asks for; a view that says nothing is closed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rest_framework.permissions import BasePermission

from accounts.errors import Forbidden

if TYPE_CHECKING:  # DRF imports this module while it makes its views
    from rest_framework.request import Request
    from rest_framework.views import APIView


class ScopeRequired(BasePermission):
    """`scopes = {"GET": "quotes:read", "POST": "quotes:execute"}` on the view; HEAD asks for GET's."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        method = "GET" if request.method == "HEAD" else str(request.method)
        if not hasattr(view, method.lower()):
            return True  # there is nothing to guard: the view goes on to answer 405
        scope = getattr(view, "scopes", {}).get(method)
        caller: Any = request.user
        if scope is None or not caller.may(scope):
            raise Forbidden
        return True
