"""Which requests are calls of the API, and which answers are its JSON."""

from __future__ import annotations

from typing import Final

from django.http import HttpRequest
from django.http.response import HttpResponseBase

OAUTH: Final = "/oauth/"
_API: Final = ("/api/", OAUTH)


def is_api(request: HttpRequest) -> bool:
    return request.path_info.startswith(_API)


def is_json(response: HttpResponseBase) -> bool:
    return response.headers.get("Content-Type", "").startswith("application/json")
