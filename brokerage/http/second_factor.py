"""Every page of the admin waits for a second factor, where settings demand one."""

from __future__ import annotations

from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.deprecation import MiddlewareMixin

_ADMIN: Final = "/admin/"
_BEFORE_IT: Final = ("/admin/login/", "/admin/logout/", "/admin/second_factor/", "/admin/second_factor/enrol/")


class SecondFactorMiddleware(MiddlewareMixin):
    """Whoever has shown their password alone is sent to where a code is asked for, whatever they asked."""

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        path = request.path_info
        if not settings.SECOND_FACTOR or not path.startswith(_ADMIN) or path in _BEFORE_IT:
            return None
        user: Any = request.user
        if not user.is_authenticated or user.is_verified():  # nobody is shown the login by the admin itself
            return None
        to = reverse("second_factor")
        if request.headers.get("HX-Request"):
            return HttpResponse(status=403, headers={"HX-Redirect": to})
        return HttpResponseRedirect(to)
