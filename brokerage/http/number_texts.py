"""Numbers as texts, for callers whose JSON parser makes a float of every number.

JavaScript's `JSON.parse` has no other number than a double: of five amounts in wei it gets five wrong. Whoever sends
`Accept: application/json;numbers=text` is answered the same JSON with every number as a string of its own digits.
Every number, counts and statuses too: a rule with exceptions can't be relied on by a parser.
"""

from __future__ import annotations

import re
from typing import Final, cast

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers

from accounts import json_codec
from brokerage.http import headers
from brokerage.http.paths import is_json

CONTENT_TYPE: Final = "application/json;numbers=text"

# Where it stands in the list, and its `q`, doesn't matter: who names it can read it.
_ASKED: Final = re.compile(r'(?:^|,)\s*application/json\s*;\s*numbers\s*=\s*"?text"?\s*(?:[;,]|$)', re.IGNORECASE)


def write(request: HttpRequest, response: HttpResponseBase) -> None:
    """Make the numbers of an answer in JSON texts, where its reader asks for that."""
    if response.streaming or not is_json(response):
        return
    if "Vary" in response.headers:
        patch_vary_headers(response, ["Accept"])
    else:
        headers.put(response, headers.BY_ACCEPT)
    accept = request.META.get("HTTP_ACCEPT", "")
    if "numbers" in accept.lower() and _ASKED.search(accept):
        _rewrite(cast(HttpResponse, response))


def _rewrite(response: HttpResponse) -> None:
    response.headers["Content-Type"] = CONTENT_TYPE
    if response.headers.get("ETag", "").startswith('"'):
        response.headers["ETag"] = f"W/{response.headers['ETag']}"  # the same said in other bytes (RFC 9110, 8.8.1)
    if response.content:
        response.content = json_codec.numbers_as_text(response.content)
        response.headers["Content-Length"] = str(len(response.content))
