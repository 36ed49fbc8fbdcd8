"""Guids on a command line."""

from __future__ import annotations

from uuid import UUID

from accounts.errors import NotFound
from accounts.ids import pasted_guid


def guid_of(text: str) -> UUID:
    """What somebody wrote, as a guid. Raises NotFound."""
    guid = pasted_guid(text)
    if guid is None:
        raise NotFound(f"{text[:40]!r} is not a guid.")
    return guid
