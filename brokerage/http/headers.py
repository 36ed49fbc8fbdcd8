"""Headers that we write ourselves, at every call of the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from django.http.response import HttpResponseBase

Ready = Mapping[str, tuple[str, str]]
"""By a header's name in small letters: its name and value, as Django keeps them."""


def ready(**headers: str) -> Ready:
    """Headers by their names with `_` for `-`. What stands in them is ours, and is text of ASCII on one line."""
    return {name.replace("_", "-").lower(): (name.replace("_", "-"), value) for name, value in headers.items()}


def put(response: HttpResponseBase, headers: Ready) -> None:
    """Put these headers into an answer. Django would look through the bytes of each name and value again: ten headers
    were a tenth of what a close costs the WSGI application."""
    response.headers._store.update(headers)


def put_default(response: HttpResponseBase, headers: Ready) -> None:
    """Those of them that the answer doesn't have yet."""
    had = response.headers._store
    response.headers._store = {**headers, **had}


NO_STORE: Final = ready(Cache_Control="no-store")
BY_ACCEPT: Final = ready(Vary="Accept")
