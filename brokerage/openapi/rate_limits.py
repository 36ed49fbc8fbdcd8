"""The headers by which an answer says how its caller stands against the nearest limit (brokerage/http/limits.py)."""

from __future__ import annotations

from typing import Any, Final

_SAID: Final = {
    "RateLimit-Limit": "How many calls the nearest limit is of.",
    "RateLimit-Remaining": "How many of them are left.",
    "RateLimit-Reset": "Seconds until there are more.",
}
HEADERS: Final[dict[str, Any]] = {
    name: {"description": meaning, "schema": {"type": "integer", "minimum": 0}} for name, meaning in _SAID.items()
}
"""Told once, as components of the document. Not required: what the proxy answers itself was counted by nobody."""

STANDS: Final = {name: {"$ref": f"#/components/headers/{name}"} for name in HEADERS}
"""Of one answer: references to them."""
