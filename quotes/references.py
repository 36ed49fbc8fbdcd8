"""What PostgreSQL knows of each instrument's price: its limits, where its market was last seen, who holds it.

By it every price that is read from Redis is judged, and a closed market's is taken from here altogether: who can write
to Redis can't write here. The rows are read once
a second per process, and at once, but not more often than every LOOK_AGAIN_SECONDS, when a price doesn't fit
them: it may be they that are old.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

from django.db import connection

from accounts.kept import Kept
from accounts.money import DOWN, UP, exact, rounded
from quotes.judging import PriceLimits, Range

KEPT_SECONDS: Final = 1.0
LOOK_AGAIN_SECONDS: Final = 0.2

# A price is judged by what a feed has said, not by what a file brought, nor by what somebody has dated in the future.
IS_SEEN: Final = "backfill_id IS NULL AND minute <= now() + interval '1 minute'"


def last_seen(columns: str) -> str:
    """SQL: of the last candle by which prices of an instrument `i` are judged."""
    return (
        f"SELECT {columns} FROM quotes_candle WHERE instrument_id = i.symbol AND {IS_SEEN}"  # noqa: S608 - our own names
        " ORDER BY minute DESC LIMIT 1"
    )


# The last row of each, found by their indexes: the histories may be long.
LAST: Final = f"""
SELECT i.symbol, i.jump_limit_percent, i.max_spread_percent, c.low, c.high, i.price_decimals, c.close,
    c.close_spread, c.close_at, h.number, h.bid, h.ask, b.number, b.bid, b.ask
FROM quotes_instrument i
LEFT JOIN LATERAL ({last_seen("low, high, close, close_spread, coalesce(close_at, minute) AS close_at")}) c ON true
LEFT JOIN LATERAL (
    SELECT number, bid, ask FROM quotes_pricehold WHERE instrument_id = i.symbol ORDER BY number DESC LIMIT 1
) h ON true
LEFT JOIN LATERAL (
    SELECT number, bid, ask FROM quotes_pricehold
    WHERE instrument_id = i.symbol AND number < h.number AND bid IS NOT NULL ORDER BY number DESC LIMIT 1
) b ON true
"""  # noqa: S608 - our own condition


class Hold(NamedTuple):
    """At which price an operator holds a symbol, and the number of the row that says so."""

    number: int
    bid: Decimal
    ask: Decimal


class Closing(NamedTuple):
    """The last price of the last candle, as of `at`."""

    bid: Decimal
    ask: Decimal
    at: datetime


class Reference(NamedTuple):
    """`seen` is the range of the feed's last candle, `closing` its last price, both None before the first; `hold` None
    while the feed is followed.

    `ended` is the hold before that, or the one that was released last: its price stands until the feed's next one.
    """

    limits: PriceLimits
    seen: Range | None = None
    hold: Hold | None = None
    ended: Hold | None = None
    closing: Closing | None = None


def known(at_most: float = KEPT_SECONDS) -> Mapping[str, Reference]:
    """By symbol, `at_most` so many seconds old. A query where what this process knows is older."""
    return _kept.get(at_most)


def forget() -> None:
    """Read the rows again at the next question, e.g. right after this process changed one."""
    _kept.forget()


def _read() -> Mapping[str, Reference]:
    with connection.cursor() as cursor:
        cursor.execute(LAST)
        rows = cursor.fetchall()
    return {row[0]: _reference(row[1:]) for row in rows}


def _reference(row: Sequence[Any]) -> Reference:
    jump, spread, low, high, decimals, close, close_spread, close_at, number, bid, ask, before, *its = row
    return Reference(
        PriceLimits(jump, spread),
        None if low is None else Range(low, high),
        None if bid is None else Hold(number, bid, ask),
        None if before is None else Hold(before, *its),
        None if close is None else _closing(close, close_spread, close_at, decimals),
    )


@exact
def _closing(close: Decimal, spread: Decimal | None, at: datetime, decimals: int) -> Closing:
    """Both sides as they were said. Of a candle that doesn't know its spread both are its middle, rounded outward."""
    half = (spread or Decimal(0)) / 2
    return Closing(rounded(close - half, decimals, DOWN), rounded(close + half, decimals, UP), at)


_kept = Kept(_read)
