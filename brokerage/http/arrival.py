"""The outermost middleware: when a request arrived, and what is answered when nothing inside did.

Under `/api/` and `/oauth/` every answer is JSON in the path's dialect, whatever went wrong; nothing of a
traceback leaves the house. A server that can't be reached is 503 with `Retry-After`, never 500.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import redis
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, InternalError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, UnreadablePostError
from django.http.response import HttpResponseBase

from accounts import clock
from accounts.errors import Refusal
from brokerage import errors

log = logging.getLogger(__name__)

_API_PREFIXES = ("/api/", "/oauth/")

# Also a lock or statement timeout, a pool without a free connection, and a conflict that was met once too often
# (accounts/conflicts.py): nothing was done, try again. A Redis that answers and refuses is no better than none.
_UNREACHABLE = (OperationalError, InterfaceError, redis.RedisError)
_OUT_OF_TIME = frozenset({"25P03", "25P04"})  # PostgreSQL ended the session, and undid what it had not committed
_UNAVAILABLE = "The service is temporarily unavailable; try again."
_TEXTS = {
    400: "Bad request",
    403: "Forbidden",
    404: "Not found",
    405: "Method not allowed",
    413: "The body is too large.",
    500: "Internal server error",
}


class ArrivalMiddleware:
    """Stamps `request.arrived` (`clock.uptime` seconds): a deadline counts from here, not from the view."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request.arrived = clock.uptime()  # type: ignore[attr-defined]
        response = self.get_response(request)
        if response.status_code >= 400 and _is_api(request) and not _is_json(response):
            return _as_json(request, response)
        return response

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        return answer_to(request, error)


def answer_to(request: HttpRequest, error: Exception) -> HttpResponse | None:
    """What a view raised and nobody answered; None where that is left to Django."""
    if isinstance(error, Refusal):
        return errors.answer(error, request.path)
    if isinstance(error, _UNREACHABLE) or _is_out_of_time(error):
        log.error("%s %s: %s: %s", request.method, request.path, type(error).__name__, error)
        return errors.plain(request.path, 503, _UNAVAILABLE)
    if isinstance(error, RequestDataTooBig):
        return errors.plain(request.path, 413, _TEXTS[413])
    if isinstance(error, UnreadablePostError):
        return errors.plain(request.path, 400, _TEXTS[400])
    if isinstance(error, (Http404, PermissionDenied, SuspiciousOperation)) or not _is_api(request):
        return None  # Django's own answer; in an API path it is put into JSON above
    log.exception("%s %s failed", request.method, request.path, exc_info=error)
    return errors.plain(request.path, 500, _TEXTS[500])


def _is_out_of_time(error: Exception) -> bool:
    """A transaction's own limit (accounts/clock.py) came before its COMMIT."""
    return isinstance(error, InternalError) and getattr(error.__cause__, "sqlstate", None) in _OUT_OF_TIME


def _is_api(request: HttpRequest) -> bool:
    return request.path.startswith(_API_PREFIXES)


def _is_json(response: HttpResponseBase) -> bool:
    return response.headers.get("Content-Type", "").startswith("application/json")


def _as_json(request: HttpRequest, response: HttpResponseBase) -> HttpResponse:
    status = response.status_code
    answer = errors.plain(request.path, status, _TEXTS.get(status, "The request failed"))
    if allowed := response.headers.get("Allow"):
        answer["Allow"] = allowed
    return answer
