"""Identifiers: time-ordered UUIDs inside, 32 hex characters (guids) outside.

The time in an id is PostgreSQL's (`accounts.clock`), whatever the host believes: marks, seals and searches by time
rely on it. The host's own clock is good enough while it is within a second of that.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID
from zlib import crc32

import uuid_utils
from uuid_utils import compat

from accounts import clock

PARTITIONS = 16  # fixed for good: a customer's partition never changes
FIRM = PARTITIONS  # the bucket of house accounts for movements that belong to no customer

# An id may be made so long before its row can be seen: hosts' clocks lag, and transactions are slow. Who looks for rows
# by the time in their ids, seals them or passes over them for good, begins or ends this much earlier. The database
# has it as well: `highest_low_water()`.
ID_LAG = timedelta(minutes=10)

_CLOSE_ENOUGH_SECONDS = 1.0

_GUID = re.compile(r"[0-9a-f]{32}", re.ASCII)

__all__ = [
    "FIRM",
    "ID_LAG",
    "PARTITIONS",
    "floor_of",
    "order_code",
    "parse_guid",
    "partition_of",
    "pasted_guid",
    "stamp_of",
    "time_of",
    "uuid7",
    "uuid7_hexes",
    "uuid7_stream",
]


def uuid7() -> UUID:
    """A new UUIDv7. One process' ids are in the order in which they were made while its host's clock is right."""
    return compat.uuid7() if not (time := _time_of_its_own()) else UUID(int=_at(time))


def uuid7_stream() -> Iterator[str]:
    """New UUIDv7 as texts without end, for the rows of one COPY: the clock is looked at once, when it begins."""
    time = _time_of_its_own()
    while True:
        yield f"{_at(time):032x}" if time else uuid_utils.uuid7().hex


def uuid7_hexes(count: int) -> list[str]:
    """So many new UUIDv7 as texts, in order."""
    if time := _time_of_its_own():
        return sorted(f"{_at(time):032x}" for _ in range(count))
    return [uuid_utils.uuid7().hex for _ in range(count)]


def _time_of_its_own() -> int:
    """The milliseconds to put into an id, where the host's own clock can't be trusted; mostly 0."""
    if -_CLOSE_ENOUGH_SECONDS < clock.ahead_seconds() < _CLOSE_ENOUGH_SECONDS:
        return 0
    return int(clock.about_now().timestamp() * 1000)


def _at(milliseconds: int) -> int:
    return milliseconds << 80 | uuid_utils.uuid7().int & (1 << 80) - 1


def floor_of(at: datetime) -> UUID:
    """The smallest UUIDv7 of a moment (to the millisecond): ids below it were made earlier."""
    milliseconds = int(at.timestamp() * 1000)
    return UUID(int=(milliseconds << 80) | (7 << 76) | (2 << 62))


def time_of(id_: UUID) -> datetime:
    """When a UUIDv7 was made, to the millisecond."""
    return datetime.fromtimestamp((id_.int >> 80) / 1000, UTC)


def stamp_of(at: datetime) -> str:
    """The time in a UUIDv7 of a moment, as it is written: 48 bits, to the millisecond, 13 characters.

    With the rest of another row's id behind it, it makes an id for a row that belongs to that one: as unique, and
    without asking the system for random bits, which costs PostgreSQL ten times the rest.
    """
    return str(floor_of(at))[:13]


def parse_guid(text: object) -> UUID | None:
    """A guid as it stands in an API call, or None when it is none."""
    if isinstance(text, str) and _GUID.fullmatch(text):
        return UUID(hex=text)
    return None


def pasted_guid(text: str) -> UUID | None:
    """A guid as a person writes it, with hyphens or in capitals as well, or None when it is none."""
    return parse_guid(text.replace("-", "").lower())


def partition_of(customer_id: UUID) -> int:
    """The partition of a customer: picks its engine and its house accounts."""
    return crc32(customer_id.bytes) % PARTITIONS


def order_code() -> str:
    """A new order's public id, `ord_` and 16 random hex characters."""
    return f"ord_{secrets.token_hex(8)}"
