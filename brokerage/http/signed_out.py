"""A session that ended: whoever goes on is told so at the login, and comes back to the page where they were.

What was filled in stays in the browser meanwhile (brokerage/static/brokerage/forms.js).
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.deprecation import MiddlewareMixin

SIGNED_OUT: Final = "Signed out. Sign in to go on."
ADMIN: Final = "/admin/"


class SignedOutMiddleware(MiddlewareMixin):
    """Stands inside of sessions and messages."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        login = reverse("admin:login")
        leads_to = urlsplit(response.headers.get("Location", "")).path
        user: Any = request.user
        if leads_to != login or request.path_info == login or user.is_authenticated:
            return response
        if request.method == "POST" or settings.SESSION_COOKIE_NAME in request.COOKIES:
            messages.warning(request, SIGNED_OUT)
        if request.headers.get("HX-Request"):  # a dialog: the login would be put into it
            back = urlsplit(request.headers.get("HX-Current-URL", "")).path
            to = back if back.startswith(ADMIN) else ADMIN
            return HttpResponse(headers={"HX-Redirect": f"{login}?{urlencode({'next': to})}"})
        return response
