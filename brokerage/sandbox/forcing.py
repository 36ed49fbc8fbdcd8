"""The middleware that lets a call meet the fault which its client has forced. Only a sandbox has it (settings).

A command about an order that is to be lost isn't answered here: its own code is told to lose the answer, so that its
caller gets the real timeout, to the byte (`trades/gateway/lost.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import BoundedSemaphore
from typing import Final

import redis
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from accounts import json_codec, tokens
from accounts.errors import Unauthorized
from brokerage import errors
from brokerage.errors import Told
from brokerage.http.paths import is_api
from brokerage.sandbox import faults
from brokerage.sandbox.faults import AFTER, BEFORE, Fault
from brokerage.stack import haproxy
from trades.gateway import lost

HEADER: Final = "Sandbox-Fault"
PREFIX: Final = "/api/sandbox"
WAITING_AT_ONCE: Final = 8
"""Of a web process: a delay holds a thread, and others need those. What comes beyond isn't delayed, but refused."""

_ORDERS: Final = "/api/v1/trade/"
_READING: Final = frozenset({"GET", "HEAD"})
_room = BoundedSemaphore(WAITING_AT_ONCE)


class ForcedFaults:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        fault = _fault_of(request)
        if fault is None:
            return self.get_response(request)
        response = _forced(fault, request, self.get_response)
        response.headers[HEADER] = fault.guid.hex
        return response


def _fault_of(request: HttpRequest) -> Fault | None:
    """The fault that this call meets: one of the API client's whose token it shows. A trader's login meets none."""
    if not is_api(request) or request.path_info.startswith(PREFIX) or request.method == "OPTIONS":
        return None
    try:
        client_id = tokens.claims_of(request).client_id
        return faults.use(client_id, str(request.method), request.path_info) if client_id else None
    except (Unauthorized, redis.RedisError):  # a Redis that is away says so by itself, where it is needed
        return None


def _forced(fault: Fault, request: HttpRequest, does: Callable[[HttpRequest], HttpResponseBase]) -> HttpResponseBase:
    if fault.when == BEFORE and not _waited(fault):
        return errors.answer(errors.UNREACHABLE, request.path)
    if fault.status == 408 and _is_command(request):
        with lost.answers(fault.when):
            response = does(request)
    elif fault.status and fault.when == BEFORE:
        return _answer(fault.status, request.path)
    else:
        response = does(request)
        if fault.status:
            response = _answer(fault.status, request.path)
    if fault.when == AFTER:
        _waited(fault)
    return response


def _is_command(request: HttpRequest) -> bool:
    return request.path_info.startswith(_ORDERS) and request.method not in _READING


def _waited(fault: Fault) -> bool:
    """Wait as long as the fault says. False where too many wait already."""
    if not fault.delay_milliseconds:
        return True
    if not _room.acquire(blocking=False):
        return False
    try:
        time.sleep(fault.delay_milliseconds / 1000)
    finally:
        _room.release()
    return True


def _answer(status: int, path: str) -> HttpResponse:
    return errors.answer(_TOLD[status], path)


def _told_by_the_proxy(status: int) -> Told:
    """What HAProxy answers by itself, in the words of its file."""
    said = json_codec.loads((haproxy.ERRORS / f"{status}.http").read_bytes().partition(b"\r\n\r\n")[2])
    return Told(status, said["error_message"], said["message_code"])


_TOLD: Final = {408: _told_by_the_proxy(408), 500: errors.BUG, 503: errors.UNREACHABLE}
