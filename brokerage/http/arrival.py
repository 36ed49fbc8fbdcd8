"""The outermost middleware: when a request arrived, and what is answered when nothing inside did.

Under `/api/` and `/oauth/` every answer is JSON in the path's dialect, whatever went wrong; nothing of a
traceback leaves the house. A server that can't be reached is 503 with `Retry-After`, never 500.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.http.response import HttpResponseBase

from accounts import clock
from brokerage import errors
from brokerage.http import hosts, request_bytes
from brokerage.http.paths import is_api, is_json
from brokerage.observe import requests, unreachable

log = logging.getLogger(__name__)

_CHUNK = 65_536


class ArrivalMiddleware:
    """Stamps `request.arrived` (`clock.uptime` seconds): a deadline counts from here, not from the view."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request.arrived = clock.uptime()  # type: ignore[attr-defined]
        response = _refused(request) or self.get_response(request)
        if response.status_code >= 400 and is_api(request) and not is_json(response):
            response = _as_json(request, response)
        _read_the_rest(request, response)
        if not response.streaming and "Content-Length" not in response.headers:
            response.headers["Content-Length"] = str(len(response.content))  # type: ignore[attr-defined]
        requests.count(request, response)
        return response

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        return answer_to(request, error)


def _refused(request: HttpRequest) -> HttpResponse | None:
    api = is_api(request)
    try:
        request_bytes.take(request)
        if api:
            hosts.check(request)
    except DisallowedHost as wrong:
        logging.getLogger("django.security.DisallowedHost").error("%s", wrong)
        return errors.answer(errors.of_status(400), request.path)
    except Exception as error:
        return answer_to(request, error) or errors.answer(errors.BUG, request.path)
    said = request_bytes.refusal(request, api=api)
    return errors.answer(said, request.path) if said else None


def _read_the_rest(request: HttpRequest, response: HttpResponseBase) -> None:
    """Read a body that nobody has read: the server would close the connection without a word, and the next request on
    it would fail, while its sender can't tell whether it arrived. One that is too large isn't read; then we say that
    the connection is closed."""
    if request._read_started:  # type: ignore[attr-defined]
        return
    in_chunks = "HTTP_TRANSFER_ENCODING" in request.META and not request.META.get("CONTENT_LENGTH")
    if in_chunks or request_bytes.is_large(request):
        response.headers["Connection"] = "close"
        return
    with suppress(UnreadablePostError):
        while request.read(_CHUNK):
            pass


def answer_to(request: HttpRequest, error: Exception) -> HttpResponse | None:
    """What a view raised and nobody answered; None where that is left to Django."""
    told = errors.told(error)
    if told is None or (told is errors.BUG and not is_api(request)):
        return None  # Django's own answer; in an API path it is put into JSON above
    if told is errors.BUG:
        log.exception("%s %s failed", request.method, request.path, exc_info=error)
    elif told is errors.UNREACHABLE:
        log.error("%s %s: %s: %s", request.method, request.path, type(error).__name__, error)
        unreachable.tell_why(error)
    return errors.answer(told, request.path)


def _as_json(request: HttpRequest, response: HttpResponseBase) -> HttpResponse:
    answer = errors.answer(errors.of_status(response.status_code), request.path)
    if allowed := response.headers.get("Allow"):
        answer["Allow"] = allowed
    return answer
