"""How many requests each route got, with what answer and how fast, of this web process; and a line of each."""

from __future__ import annotations

import logging
from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from prometheus_client import Histogram

from accounts.clock import uptime

log = logging.getLogger("access")

SECONDS: Final = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
LONGEST_PATH: Final = 200
KNOWN_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"})

_TOOK: Final = Histogram(
    "brokerage_http_request_seconds",
    "From a request's arrival to its answer, by route.",
    ["route", "method", "status"],
    buckets=SECONDS,
)
_of: dict[tuple[str, str | None, int], Any] = {}
"""The histogram of each route, method and status: prometheus-client's own look-up is ten times as dear."""


def count(request: HttpRequest, response: HttpResponseBase) -> None:
    """An answer is on its way. What leads nowhere is one route, `none`: whoever makes addresses up makes no series."""
    match = request.resolver_match
    key = (match.route if match else "none", request.method, response.status_code)
    child = _of.get(key)
    if child is None:
        route, method, status = key
        child = _of[key] = _TOOK.labels(route, method if method in KNOWN_METHODS else "other", str(status))
    seconds = uptime() - request.arrived  # type: ignore[attr-defined]
    child.observe(seconds)
    if settings.ACCESS_LOG:
        log.info(
            "%s %s: %s",
            request.method,
            request.path_info[:LONGEST_PATH],  # never its query, which may name persons
            response.status_code,
            extra={"route": key[0], "method": key[1], "status": key[2], "seconds": round(seconds, 4)},
        )
