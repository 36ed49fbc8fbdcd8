"""A refusal to HTTP, in the two dialects; the only such mapping.

Under `/api/v1/` an error is `{"error": sentence}`, and a refusal of the order engine, which says so by
`twice = True`, repeats its sentence as `message`. Everywhere else it is `{"status", "error_message",
"message_code"}`. A refusal may carry `extra`, further keys of its body in the first dialect.
An error of the first dialect says its code in the header `Error-Code`, for its body has no place for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from rest_framework import exceptions
from rest_framework.response import Response

from accounts import json_codec
from accounts.errors import Refusal

ORDERS_PREFIX = "/api/v1/"
ERROR_CODE = "Error-Code"
RETRY_AFTER_SECONDS = 1

# Codes that the contract fixes by status; any other refusal names its own fact.
_CODES = {
    400: "invalid_parameter",
    401: "unauthorized",
    403: "invalid_scope",
    404: "not_found",
    405: "method_not_allowed",
    409: "data_exists",
    413: "payload_too_large",
    415: "unsupported_media_type",
    429: "too_many_requests",
    500: "internal_server_error",
    503: "unavailable",
}


def body_of(path: str, status: int, text: str, code: str = "") -> dict[str, Any]:
    """An error's body in the dialect of this path."""
    if path.startswith(ORDERS_PREFIX):
        return {"error": text}
    return {"status": status, "error_message": text, "message_code": _CODES.get(status, code or "unprocessable_entity")}


def plain(path: str, status: int, text: str) -> HttpResponse:
    """An error that no refusal stands for: an unknown path, a server that can't be reached, a bug."""
    return HttpResponse(
        json_codec.dumps(body_of(path, status, text)),
        status=status,
        content_type="application/json",
        headers=_headers(path, status),
    )


def answer(refusal: Refusal, path: str) -> HttpResponse:
    """A refusal as the answer of a plain Django view."""
    return HttpResponse(
        json_codec.dumps(_refused(refusal, path)),
        status=refusal.status,
        content_type="application/json",
        headers=_headers(path, refusal.status, refusal.code),
    )


def exception_handler(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """DRF's hook. What is neither a refusal nor DRF's own goes on to the middleware (503, 500)."""
    path = context["request"].path
    if isinstance(error, Refusal):
        return Response(_refused(error, path), status=error.status, headers=_headers(path, error.status, error.code))
    if isinstance(error, Http404):
        error = exceptions.NotFound()
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    if not isinstance(error, exceptions.APIException):
        return None
    headers = _headers(path, error.status_code)
    if wait := getattr(error, "wait", None):  # Throttled
        headers["Retry-After"] = str(max(1, int(wait)))
    body = body_of(path, error.status_code, _sentence(error.detail))
    return Response(body, status=error.status_code, headers=headers)


def _refused(refusal: Refusal, path: str) -> dict[str, Any]:
    body = body_of(path, refusal.status, refusal.text, refusal.code)
    if path.startswith(ORDERS_PREFIX):
        if getattr(refusal, "twice", False):
            body["message"] = refusal.text
        body.update(getattr(refusal, "extra", {}))
    return body


def _headers(path: str, status: int, code: str = "") -> dict[str, str]:
    headers = {}
    if path.startswith(ORDERS_PREFIX):
        headers[ERROR_CODE] = code or _CODES.get(status, "error")
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    elif status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}:
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return headers


def _sentence(detail: Any) -> str:
    """The first complaint of a DRF error, with its field's name where it has one."""
    if isinstance(detail, Mapping):
        field, inner = next(iter(detail.items()))
        text = _sentence(inner)
        return text if field == "non_field_errors" else f"{field}: {text}"
    if isinstance(detail, list):
        return _sentence(detail[0])
    return str(detail)
