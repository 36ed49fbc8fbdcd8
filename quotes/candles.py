"""One-minute candles of the mid price: gathered in memory, added to their rows, read at any interval."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from threading import Lock

from django.db import connection

from accounts.ids import uuid7
from accounts.money import NEAREST, exact, rounded
from quotes.prices import Price

MOST_GATHERED = 10_000  # while PostgreSQL is away: over a day of the first instruments

# The rows are locked in one order, so that two feeds (an old one still stopping) can't deadlock.
_ADD = """
INSERT INTO quotes_candle AS c (id, instrument_id, minute, open, high, low, close, volume, trade_count)
SELECT w.id, w.symbol, w.minute, w.open, w.high, w.low, w.close, 0, w.updates
FROM unnest(%s::uuid[], %s::text[], %s::timestamptz[], %s::numeric[], %s::numeric[], %s::numeric[], %s::numeric[],
            %s::int[]) AS w(id, symbol, minute, open, high, low, close, updates)
JOIN quotes_instrument i ON i.symbol = w.symbol
ORDER BY w.symbol, w.minute
ON CONFLICT (instrument_id, minute) DO UPDATE SET
    high = GREATEST(c.high, EXCLUDED.high),
    low = LEAST(c.low, EXCLUDED.low),
    close = EXCLUDED.close,
    trade_count = c.trade_count + EXCLUDED.trade_count
"""


@dataclass(slots=True)
class Gathered:
    """What a minute's row doesn't hold yet. `updates` counts prices, not trades: no venue here reports those."""

    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    updates: int


Minute = tuple[str, datetime]


class Gatherer:
    """Prices on their way into candles. One thread adds, another writes."""

    def __init__(self) -> None:
        self._minutes: dict[Minute, Gathered] = {}
        self._lock = Lock()

    def add(self, prices: Iterable[Price]) -> None:
        with self._lock:
            for price in prices:
                _gather(self._minutes, price)
            while len(self._minutes) > MOST_GATHERED:
                del self._minutes[next(iter(self._minutes))]

    def write(self) -> int:
        """Add everything gathered so far to the rows; what can't be written is kept for the next time.

        Returns how many candles were touched. Raises django.db.Error.
        """
        with self._lock:
            taken, self._minutes = self._minutes, {}
        try:
            record(taken)
        except BaseException:
            with self._lock:
                self._minutes = _joined(taken, self._minutes)
            raise
        return len(taken)


def note(price: Price) -> None:
    """Add one price to its minute at once."""
    minutes: dict[Minute, Gathered] = {}
    _gather(minutes, price)
    record(minutes)


def record(minutes: Mapping[Minute, Gathered]) -> None:
    """Add to the candles' rows in one statement; a minute begun before a restart goes on where it was.

    The open stays the first one written, the close becomes the last. Unknown symbols are left out.
    """
    if not minutes:
        return
    candles = list(minutes.values())
    columns: Sequence[list[object]] = [
        [uuid7() for _ in minutes],
        [symbol for symbol, _ in minutes],
        [minute for _, minute in minutes],
        [candle.open for candle in candles],
        [candle.high for candle in candles],
        [candle.low for candle in candles],
        [candle.close for candle in candles],
        [candle.updates for candle in candles],
    ]
    with connection.cursor() as cursor:
        cursor.execute(_ADD, columns)


@exact
def _mid(price: Price) -> Decimal:
    return rounded((price.bid + price.ask) / 2, 18, NEAREST)


def _gather(minutes: dict[Minute, Gathered], price: Price) -> None:
    mid = _mid(price)
    minute = (price.symbol, price.at.replace(second=0, microsecond=0))
    candle = minutes.get(minute)
    if candle is None:
        minutes[minute] = Gathered(mid, mid, mid, mid, 1)
        return
    candle.high, candle.low, candle.close = max(candle.high, mid), min(candle.low, mid), mid
    candle.updates += 1


def _joined(older: dict[Minute, Gathered], newer: dict[Minute, Gathered]) -> dict[Minute, Gathered]:
    for minute, candle in newer.items():
        before = older.get(minute)
        if before is None:
            older[minute] = candle
            continue
        before.high, before.low = max(before.high, candle.high), min(before.low, candle.low)
        before.close = candle.close
        before.updates += candle.updates
    return older
