"""`X-Request-ID` in and out: a request has a name, by which its sender and we speak of the same one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from django.core.signals import request_finished
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from accounts import request_id
from accounts.ids import uuid7
from brokerage.http import headers

HEADER: Final = "X-Request-ID"
_HEADER: Final = HEADER.lower()


class RequestIdMiddleware:
    """Outermost: whatever is answered has its name. It lasts until the answer is sent, for that may still be logged."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        request_finished.connect(_end, dispatch_uid="the request's name ends")

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        name = request_id.begin(request.META.get("HTTP_X_REQUEST_ID"), uuid7())
        response = self.get_response(request)
        headers.put(response, {_HEADER: (HEADER, name)})
        return response


def _end(**_: object) -> None:
    request_id.end()
