"""JSON in and out with exact numbers: a Decimal is printed digit for digit and parsed as Decimal.

orjson does the writing (Decimal through `Fragment`); the standard library does the reading, because
it alone hands the digits of a number over untouched.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson

_NO_OFFSET = timedelta(0)
_MOST_DIGITS = 400  # longer numbers are an attack on the parser, not an amount


class NotJSON(ValueError):
    """The bytes are not JSON as this system takes it; the text is a whole sentence for the caller."""


def timestamp(at: datetime) -> str:
    """ISO 8601, UTC, milliseconds, `Z`."""
    if at.tzinfo is None or at.utcoffset() != _NO_OFFSET:
        at = at.astimezone(UTC)
    return at.isoformat(timespec="milliseconds")[:23] + "Z"  # a tenth of strftime's time


def _written(value: Any) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(f"{value:f}")
    if isinstance(value, datetime):
        return timestamp(value)
    raise TypeError(f"{type(value).__name__} has no exact JSON form")


def _hexed(value: Any) -> Any:
    """The value with its UUIDs as text: orjson writes them by itself, with dashes, and asks nobody."""
    kind = type(value)
    if kind is str or kind is int:  # as most are
        return value
    if isinstance(value, dict):  # REST framework's are classes of their own
        return {key: _hexed(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_hexed(item) for item in value]
    return value.hex if isinstance(value, UUID) else value


def dumps(value: Any) -> bytes:
    """Write JSON: Decimals exactly, times in UTC milliseconds, UUIDs as 32 hex characters.

    Raises TypeError for floats hidden in custom types; plain floats must not reach this function.
    """
    return orjson.dumps(_hexed(value), default=_written, option=orjson.OPT_PASSTHROUGH_DATETIME)


def numbers_as_text(written: bytes) -> bytes:
    """JSON that this system has written, with every number as a string of the digits that it was written in."""
    return orjson.dumps(json.loads(written, parse_float=str, parse_int=str))


def _number(digits: str) -> Decimal:
    if len(digits) > _MOST_DIGITS:
        raise NotJSON("A number in the body is too long.")
    value = Decimal(digits)
    if not -400 < value.adjusted() < 400:
        raise NotJSON("A number in the body is out of range.")
    return value


def _integer(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise NotJSON("A number in the body is too long.")
    return int(digits)


def _constant(name: str) -> None:
    raise NotJSON(f"{name} is not a number.")


def _is_storable(value: Any) -> bool:
    """No NUL and no lone surrogate anywhere: PostgreSQL's text can't hold them."""
    if isinstance(value, str):
        return "\x00" not in value and not any("\ud800" <= c <= "\udfff" for c in value)
    if isinstance(value, dict):
        return all(_is_storable(k) and _is_storable(v) for k, v in value.items())
    if isinstance(value, list):
        return all(_is_storable(item) for item in value)
    return True


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotJSON("A key appears twice in one object.")  # readers differ in which of the two they take
    return found


# Made once: to make one for every body cost as much as reading it.
_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=_number, parse_int=_integer, parse_constant=_constant
)


def loads(body: bytes) -> Any:
    """Read JSON: fractions as Decimal, integers as int.

    Raises NotJSON for anything malformed: syntax, encoding, NaN, Infinity, absurd numbers, absurd
    nesting, NUL characters and lone surrogates, a key that appears twice in one object.
    """
    try:
        # Strictly UTF-8: json would guess UTF-16 and 32, and let bytes of lone surrogates through.
        value = _DECODER.decode(body.decode())
    except NotJSON:
        raise
    except (ValueError, RecursionError):
        raise NotJSON("The body is not valid JSON.") from None
    if b"\\u" in body and not _is_storable(value):
        raise NotJSON("The body has a character that can't be stored.")
    return value
