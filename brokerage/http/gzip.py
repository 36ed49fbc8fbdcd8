"""Answers of the API are compressed for whoever takes that, where it is worth it.

Of the API alone. BREACH guesses a secret from the length of a compressed answer that has both the secret and the
attacker's own words, asked for again and again by a victim's browser. No browser sends a bearer token by itself, and no
answer repeats one. The admin's pages have cookies, a CSRF token and what was searched for: they stay plain.
"""

from __future__ import annotations

from typing import Any, Final

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware

_WORTH_IT: Final = 1400  # bytes: less fits into one packet as it is, and an order's answer must not wait


def compress(request: HttpRequest, response: HttpResponseBase) -> None:
    if response.streaming or len(response.content) >= _WORTH_IT:  # type: ignore[attr-defined]
        _GZIP.process_response(request, response)


def _nothing(_: HttpRequest) -> Any:
    raise AssertionError("it is asked for answers alone")


_GZIP: Final = GZipMiddleware(_nothing)
