"""What venues write, as exact numbers and times. A text that is something else is Nonsense."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from accounts.money import parse_decimal
from quotes.feeds.live import Nonsense

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_LAST: Final = 10**14  # milliseconds that still are a price's time (quotes.prices.MOST_DIGITS)


def json_object(message: str | bytes) -> dict[str, Any]:
    """A JSON object, its numbers with a point as decimals that keep every digit as written."""
    try:
        found = json.loads(message, parse_float=Decimal, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:  # what is cut off, no UTF-8, or nested without end
        raise Nonsense(f"not JSON: {str(error)[:80]}") from error
    if not isinstance(found, dict):
        raise Nonsense("not a JSON object")
    return found


def number(said: object) -> Decimal:
    """A price or size of at most 18 decimals; Nonsense where it is none."""
    found = parse_decimal(said)
    if found is None:
        raise Nonsense(f"{str(said)[:40]!r} is not a number")
    return found


def text(said: object) -> str:
    if not isinstance(said, str):
        raise Nonsense(f"{str(said)[:40]!r} is not a text")
    return said


def objects(said: object) -> list[dict[str, Any]]:
    if not isinstance(said, list) or not all(isinstance(one, dict) for one in said):
        raise Nonsense("not a list of objects")
    return said


def milliseconds(said: object) -> int:
    """RFC 3339 with a zone, to the millisecond, cut off. Raises Nonsense."""
    try:
        found = (datetime.fromisoformat(text(said)) - _EPOCH) // _MILLISECOND
    except (ValueError, TypeError, OverflowError) as error:  # TypeError: it says no zone
        raise Nonsense(f"{str(said)[:40]!r} is not a time") from error
    if not 0 < found < _LAST:
        raise Nonsense(f"{str(said)[:40]!r} is no time of ours")
    return found


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number")
