"""The outermost middleware: when a request arrived, and what is answered when nothing inside did.

Under `/api/` and `/oauth/` every answer is JSON in the path's dialect, whatever went wrong; nothing of a
traceback leaves the house. A server that can't be reached is 503 with `Retry-After`, never 500.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress

from django.conf import settings
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.http.response import HttpResponseBase

from accounts import clock
from brokerage import errors

log = logging.getLogger(__name__)

_API_PREFIXES = ("/api/", "/oauth/")
_CHUNK = 65_536


class ArrivalMiddleware:
    """Stamps `request.arrived` (`clock.uptime` seconds): a deadline counts from here, not from the view."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request.arrived = clock.uptime()  # type: ignore[attr-defined]
        response = self.get_response(request)
        if response.status_code >= 400 and _is_api(request) and not _is_json(response):
            response = _as_json(request, response)
        _read_the_rest(request, response)
        return response

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        return answer_to(request, error)


def _read_the_rest(request: HttpRequest, response: HttpResponseBase) -> None:
    """Read a body that nobody has read: the server would close the connection without a word, and the next request on
    it would fail, while its sender can't tell whether it arrived. One that is too large isn't read, nor one in chunks,
    which Django takes for none; then we say that the connection is closed."""
    if "HTTP_TRANSFER_ENCODING" in request.META:
        response.headers["Connection"] = "close"
        return
    if request._read_started:  # type: ignore[attr-defined]
        return
    said = request.META.get("CONTENT_LENGTH") or "0"
    if not said.isdecimal() or int(said) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
        response.headers["Connection"] = "close"
        return
    with suppress(UnreadablePostError):
        while request.read(_CHUNK):
            pass


def answer_to(request: HttpRequest, error: Exception) -> HttpResponse | None:
    """What a view raised and nobody answered; None where that is left to Django."""
    told = errors.told(error)
    if told is None or (told is errors.BUG and not _is_api(request)):
        return None  # Django's own answer; in an API path it is put into JSON above
    if told is errors.BUG:
        log.exception("%s %s failed", request.method, request.path, exc_info=error)
    elif told is errors.UNREACHABLE:
        log.error("%s %s: %s: %s", request.method, request.path, type(error).__name__, error)
    return errors.answer(told, request.path)


def _is_api(request: HttpRequest) -> bool:
    return request.path.startswith(_API_PREFIXES)


def _is_json(response: HttpResponseBase) -> bool:
    return response.headers.get("Content-Type", "").startswith("application/json")


def _as_json(request: HttpRequest, response: HttpResponseBase) -> HttpResponse:
    answer = errors.answer(errors.of_status(response.status_code), request.path)
    if allowed := response.headers.get("Allow"):
        answer["Allow"] = allowed
    return answer
