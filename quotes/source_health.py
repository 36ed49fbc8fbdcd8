"""How the sources are, as the feed that publishes says once a second: for people, and nothing is decided by it.

A hash in Redis, a field a source. Other programs may write there, so whoever reads it judges its form.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

import redis

from accounts import streams
from accounts.timestamps import from_milliseconds
from quotes.made_of import MOST_SOURCES, NAME
from quotes.prices import MOST_DIGITS, clock

KEY: Final = "prices:sources"
MOST_TROUBLE: Final = 200
COUNTS: Final = ("messages", "connections", "gaps", "repeated", "garbage")


class SourceHealth(NamedTuple):
    """As of `at`; `last_message` is None where none came yet. Both on Redis' clock."""

    at: datetime
    is_connected: bool
    last_message: datetime | None
    counts: Mapping[str, int]
    trouble: str


def tell(sources: Mapping[str, Mapping[str, Any]]) -> None:
    """Write all of them down, and nothing else. Raises redis.RedisError."""
    pipe = streams.client().pipeline(transaction=True)
    pipe.delete(KEY)
    pipe.hset(KEY, mapping={name: json.dumps(facts) for name, facts in sources.items()})
    pipe.execute()


def read() -> tuple[datetime, dict[str, SourceHealth]]:
    """Redis' clock, and the sources by name; what no feed of ours wrote is left out. Raises redis.RedisError."""
    now = from_milliseconds(clock())
    try:
        rows: Any = streams.client().hgetall(KEY)
    except redis.ResponseError as error:
        if "WRONGTYPE" not in str(error):
            raise
        return now, {}
    found = ((name, _read(text)) for name, text in list(rows.items())[:MOST_SOURCES] if NAME.fullmatch(name))
    return now, {name: health for name, health in found if health is not None}


def _read(text: str) -> SourceHealth | None:
    try:
        said = json.loads(text[:2000])
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict):
        return None
    at, last, trouble = _count(said.get("at")), said.get("last_message"), said.get("trouble")
    counts = {name: count for name in COUNTS if (count := _count(said.get(name))) is not None}
    last_message = None if last is None else _count(last)
    is_whole = at is not None and len(counts) == len(COUNTS) and (last is None or last_message is not None)
    if not (at is not None and is_whole and isinstance(said.get("is_connected"), bool) and isinstance(trouble, str)):
        return None
    return SourceHealth(
        from_milliseconds(at),
        said["is_connected"],
        None if last_message is None else from_milliseconds(last_message),
        counts,
        _on_one_line(trouble[:MOST_TROUBLE]),
    )


def _count(value: object) -> int | None:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 10**MOST_DIGITS:
        return None
    return value


def _on_one_line(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)
