"""Middleware that only people with a browser need: the API goes past it.

A bearer token is sent by a program, never by a browser on its own, so static files, sessions, CSRF, logins, messages
and frames have nothing to say there; they were half of what a close cost the web process.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.common import CommonMiddleware
from django.middleware.csrf import CsrfViewMiddleware
from django.middleware.security import SecurityMiddleware
from django.utils.deprecation import MiddlewareMixin
from django_otp.middleware import OTPMiddleware
from whitenoise.middleware import WhiteNoiseMiddleware

from brokerage.http.journalled import JournalMiddleware
from brokerage.http.limits import AdminLoginLimits
from brokerage.http.odd_addresses import OddAddressMiddleware
from brokerage.http.page_policy import PagePolicyMiddleware
from brokerage.http.paths import is_api
from brokerage.http.request_bytes import TOO_LARGE, is_large
from brokerage.http.second_factor import SecondFactorMiddleware
from brokerage.http.signed_out import SignedOutMiddleware
from brokerage.observe.health import HealthMiddleware

DOCS = "/api/docs"  # a page among the API's paths
_OF_PAGES = ("GET", "HEAD", "POST")


class PagesOnly:
    """They stand in a row, and an API call passes the whole row at its first."""

    past: Any

    def __init__(self, get_response: Any) -> None:
        super().__init__(get_response)  # type: ignore[call-arg]
        following = getattr(get_response, "__wrapped__", None)  # Django wraps each for its exceptions
        self.past = following.past if isinstance(following, PagesOnly) else get_response

    def __call__(self, request: HttpRequest) -> Any:
        if is_api(request) and not request.path_info.startswith(DOCS):
            return self.past(request)
        return super().__call__(request)  # type: ignore[misc]


class Health(PagesOnly, HealthMiddleware):
    pass


class Security(PagesOnly, SecurityMiddleware):
    """Its headers are on the API's answers as well (`brokerage.http.api_answers`)."""


class Journal(PagesOnly, JournalMiddleware):
    pass


class LoginLimits(PagesOnly, AdminLoginLimits):
    pass


class Policies(PagesOnly, PagePolicyMiddleware):
    pass


class Common(PagesOnly, CommonMiddleware):
    """What else it does, an API call has by `brokerage.http.arrival`: the host is one of ours, the length is told."""


class StaticFiles(PagesOnly, WhiteNoiseMiddleware):  # type: ignore[misc]
    pass


class Methods(PagesOnly, MiddlewareMixin):
    """A page is read, or a form is sent to it. Django's admin answers TRACE, and whatever somebody makes up, as GET."""

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        if request.method in _OF_PAGES or is_api(request):
            return None
        return HttpResponseNotAllowed(_OF_PAGES)


class Sessions(PagesOnly, SessionMiddleware):
    pass


class Csrf(PagesOnly, CsrfViewMiddleware):
    def process_view(self, request: HttpRequest, *view: Any) -> Any:
        return None if is_api(request) else super().process_view(request, *view)


class Logins(PagesOnly, AuthenticationMiddleware):
    pass


class Devices(PagesOnly, OTPMiddleware):  # type: ignore[misc]
    """Which second factor this session has shown."""


class SecondFactor(PagesOnly, SecondFactorMiddleware):
    pass


class Uploads(PagesOnly, MiddlewareMixin):
    """A body that may come slowly holds a thread, so only an operator may send it. Stands before all that reads it."""

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        if is_large(request) and not request.user.is_staff:
            return HttpResponse(TOO_LARGE.text, status=413, content_type="text/plain")
        return None


class Messages(PagesOnly, MessageMiddleware):
    pass


class SignedOut(PagesOnly, SignedOutMiddleware):
    pass


class Frames(PagesOnly, XFrameOptionsMiddleware):
    pass


class OddAddresses(PagesOnly, OddAddressMiddleware):
    """Stands last: the first to hear of what a page raised, while sessions and messages still work."""
