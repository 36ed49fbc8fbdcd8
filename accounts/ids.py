"""Identifiers: time-ordered UUIDs inside, 32 hex characters (guids) outside."""

from __future__ import annotations

import re
import secrets
from datetime import datetime
from uuid import UUID
from zlib import crc32

import uuid_utils
from uuid_utils.compat import uuid7

PARTITIONS = 16  # fixed for good: a customer's partition never changes
FIRM = PARTITIONS  # the bucket of house accounts for movements that belong to no customer

_GUID = re.compile(r"[0-9a-f]{32}", re.ASCII)

__all__ = [
    "FIRM",
    "PARTITIONS",
    "floor_of",
    "order_code",
    "parse_guid",
    "partition_of",
    "stamp_of",
    "uuid7",
    "uuid7_hex",
]


def uuid7_hex() -> str:
    """A new UUIDv7 as text; seven times as fast as the hex of `uuid7`, for rows by the hundred thousand."""
    return uuid_utils.uuid7().hex


def floor_of(at: datetime) -> UUID:
    """The smallest UUIDv7 of a moment (to the millisecond): ids below it were made earlier."""
    milliseconds = int(at.timestamp() * 1000)
    return UUID(int=(milliseconds << 80) | (7 << 76) | (2 << 62))


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


def partition_of(customer_id: UUID) -> int:
    """The partition of a customer: picks its engine and its house accounts."""
    return crc32(customer_id.bytes) % PARTITIONS


def order_code() -> str:
    """A new order's public id, `ord_` and 16 random hex characters."""
    return f"ord_{secrets.token_hex(8)}"
