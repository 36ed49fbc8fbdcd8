"""An error to HTTP, in the two dialects; the only such mapping.

Under `/api/v1/` an error is `{"error": sentence}`, and a refusal of the order engine, which says so by
`twice = True`, repeats its sentence as `message`. Everywhere else it is `{"status", "error_message",
"message_code"}`. A refusal may carry `extra`, further keys of its body.
An error of the first dialect says its code in the header `Error-Code`, for its body has no place for it.

`told` looks up by an error's class what it is to a caller, whoever raised it where. (What the engine answered is kept
and passed on as its bytes, made by the same `Refusal.order_body`: `trades/margin/presentation.py`.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any, Final

import redis
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, InternalError, OperationalError
from django.http import Http404, HttpResponse, UnreadablePostError
from rest_framework import exceptions
from rest_framework.response import Response

from accounts import json_codec
from accounts.errors import ERROR_CODE, Refusal

ORDERS_PREFIX = "/api/v1/"
RETRY_AFTER_SECONDS = 1

# Codes that the contract fixes by status; any other refusal names its own fact.
_CODES = {
    400: "invalid_parameter",
    401: "unauthorized",
    403: "invalid_scope",
    404: "not_found",
    405: "method_not_allowed",
    413: "payload_too_large",
    415: "unsupported_media_type",
    429: "too_many_requests",
    500: "internal_server_error",
    503: "unavailable",
}
_TEXTS = {
    400: "Bad request",
    403: "Forbidden",
    404: "Not found",
    405: "Method not allowed",
    413: "The body is too large.",
    500: "Internal server error",
}
_OUT_OF_TIME = frozenset({"25P03", "25P04"})  # PostgreSQL ended the session, and undid what it had not committed


@dataclass(frozen=True, slots=True)
class Told:
    """What an error is to a caller. `order_body`: what it is in the margin orders' dialect, where that says more than
    its sentence. `wait`: seconds, where it is known when to try again."""

    status: int
    text: str
    code: str = ""
    order_body: Mapping[str, Any] | None = None
    wait: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    challenge: str = "Bearer"  # how to say who one is, in an answer of 401

    def body(self, path: str) -> Mapping[str, Any]:
        """Its body in the dialect of this path."""
        if path.startswith(ORDERS_PREFIX):
            return self.order_body or {"error": self.text}
        code = _CODES.get(self.status) or self.code or "unprocessable_entity"
        return {"status": self.status, "error_message": self.text, "message_code": code, **self.extra}

    def headers(self, path: str) -> dict[str, str]:
        said = {}
        if path.startswith(ORDERS_PREFIX):
            said[ERROR_CODE] = self.code or _CODES.get(self.status, "error")
        if self.status == HTTPStatus.UNAUTHORIZED:
            said["WWW-Authenticate"] = self.challenge
        elif self.status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}:
            said["Retry-After"] = str(RETRY_AFTER_SECONDS)
        if self.wait is not None:
            said["Retry-After"] = str(self.wait)
        return said


def of_status(status: int) -> Told:
    """An error of which only its status is known."""
    return Told(status, _TEXTS.get(status, "The request failed"))


BUG: Final = of_status(500)
UNREACHABLE: Final = Told(503, "The service is temporarily unavailable; try again.")


def _refused(refusal: Refusal) -> Told:
    return Told(
        refusal.status,
        refusal.text,
        refusal.code,
        refusal.order_body(),
        refusal.wait,
        extra=refusal.extra,
        challenge=refusal.challenge,
    )


def _drf(error: exceptions.APIException) -> Told:
    said = Told(error.status_code, _sentence(error.detail))
    wait = getattr(error, "wait", None)  # Throttled
    return replace(said, wait=max(1, int(wait))) if wait else said


def _ended(error: InternalError) -> Told:
    """A transaction's own limit (accounts/clock.py) came before its COMMIT: nothing was done."""
    return UNREACHABLE if getattr(error.__cause__, "sqlstate", None) in _OUT_OF_TIME else BUG


# An error is told as the nearest of its classes is. A server that can't be reached is 503: also a lock or statement
# timeout, a pool without a free connection, and a conflict that was met once too often (accounts/conflicts.py): nothing
# was done, try again. A Redis that answers and refuses is no better than none. None: Django has an answer of its own.
_TOLD: Final[Mapping[type[Exception], Callable[[Any], Told | None]]] = {
    Refusal: _refused,
    exceptions.APIException: _drf,
    OperationalError: lambda _: UNREACHABLE,
    InterfaceError: lambda _: UNREACHABLE,
    InternalError: _ended,
    redis.RedisError: lambda _: UNREACHABLE,
    RequestDataTooBig: lambda _: of_status(413),
    UnreadablePostError: lambda _: of_status(400),
    SuspiciousOperation: lambda _: None,
    Http404: lambda _: None,
    PermissionDenied: lambda _: None,
    Exception: lambda _: BUG,
}


def told(error: Exception) -> Told | None:
    """What an error is to a caller; None where Django answers by itself."""
    nearest = next(kind for kind in type(error).__mro__ if kind in _TOLD)
    return _TOLD[nearest](error)


def answer(said: Told, path: str) -> HttpResponse:
    """An error as the answer of a plain Django view."""
    return HttpResponse(
        json_codec.dumps(said.body(path)),
        status=said.status,
        content_type="application/json",
        headers=said.headers(path),
    )


def exception_handler(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """DRF's hook. What is neither a refusal nor DRF's own goes on to the middleware (503, 500)."""
    path = context["request"].path
    if isinstance(error, Http404):
        error = exceptions.NotFound()
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    if not isinstance(error, (Refusal, exceptions.APIException)):
        return None
    said = told(error)
    return Response(said.body(path), status=said.status, headers=said.headers(path)) if said else None


def _sentence(detail: Any) -> str:
    """The first complaint of a DRF error; our fields name themselves in it (`accounts.rest.fields`)."""
    if isinstance(detail, Mapping):
        return _sentence(next(iter(detail.values())))
    if isinstance(detail, list):
        return _sentence(detail[0])
    return str(detail)
