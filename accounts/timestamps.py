"""Times in texts and in milliseconds: what callers write, what Redis says, and as they are shown."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_TIMESTAMP = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d(?::\d\d)?)(?:\.(\d{1,9}))?\s?([Zz]|[+-]\d\d:?\d\d)?)?", re.ASCII
)


def parse_timestamp(text: str) -> datetime | None:
    """ISO 8601 with up to nine fractional digits and any offset (none means UTC), or None.

    Digits past the microsecond are cut off; a bare date is its midnight.
    """
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        return None
    day, clock, fraction, offset = match.groups()
    microseconds = (fraction or "0")[:6].ljust(6, "0")
    clock = clock or "00:00:00"
    if len(clock) == len("00:00"):
        clock += ":00"
    try:
        at = datetime.fromisoformat(f"{day}T{clock}.{microseconds}{(offset or 'Z').upper()}")
        return at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def in_milliseconds(at: datetime) -> datetime:
    """As everybody is shown it: so who compares what is shown comes to the same."""
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def from_milliseconds(milliseconds: int) -> datetime:
    """A time in milliseconds since 1970, exact: a float would not be."""
    return datetime.fromtimestamp(milliseconds // 1000, UTC) + timedelta(milliseconds=milliseconds % 1000)
