"""What is private is stored by nobody: no browser, no proxy, no shared cache."""

from __future__ import annotations

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from brokerage.http import headers
from brokerage.http.paths import OAUTH

_READING = frozenset({"GET", "HEAD", "OPTIONS"})


def keep_unstored(request: HttpRequest, response: HttpResponseBase) -> None:
    """`Cache-Control: no-store` on an answer of the API, unless it is one that anybody may read without a token.

    A view that says something else is believed. What is not said can't be forgotten: a new view is private.
    """
    if _is_public(request, response):
        return
    headers.put_default(response, headers.NO_STORE)
    if request.path_info.startswith(OAUTH):
        response.headers.setdefault("Pragma", "no-cache")  # RFC 6749, 5.1


def _is_public(request: HttpRequest, response: HttpResponseBase) -> bool:
    is_plain = request.method in _READING and "HTTP_AUTHORIZATION" not in request.META
    return is_plain and response.status_code < 400
