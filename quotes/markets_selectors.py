"""What anybody may see of the markets: what is traded, what it costs now, how its price went."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

from django.conf import settings
from django.db import connection

from accounts import clock
from quotes.hours import MarketState
from quotes.models import Candle, Instrument
from quotes.prices import Price, Prices
from quotes.symbols import instruments, market_hours

INTERVALS: Final = {
    "1m": timedelta(minutes=1),
    "5m": timedelta(minutes=5),
    "15m": timedelta(minutes=15),
    "30m": timedelta(minutes=30),
    "1h": timedelta(hours=1),
    "4h": timedelta(hours=4),
    "1d": timedelta(days=1),
}
MOST_CANDLES: Final = 1000

# The inner LIMIT bounds the work by what is asked for and not by the history: so many minutes fill at least
# so many candles, and only a candle past the last one wanted can lack some of its minutes. The open and the close are
# looked up by the first and the last minute: sorting for them took as long as all the rest.
_CANDLES = """
SELECT g.time, f.open, g.high, g.low, l.close, g.volume, g.updates
FROM (
    SELECT date_bin(make_interval(mins => %(width)s), minute, 'epoch') AS time,
        min(minute) AS first, max(minute) AS last,
        max(high) AS high, min(low) AS low, sum(volume) AS volume, sum(trade_count) AS updates
    FROM (
        SELECT minute, high, low, volume, trade_count FROM quotes_candle
        WHERE instrument_id = %(symbol)s AND minute >= %(since)s AND minute < %(until)s
        ORDER BY minute {direction} LIMIT %(minutes)s
    ) minutes
    GROUP BY time ORDER BY time {direction} LIMIT %(limit)s
) g
JOIN quotes_candle f ON f.instrument_id = %(symbol)s AND f.minute = g.first
JOIN quotes_candle l ON l.instrument_id = %(symbol)s AND l.minute = g.last
ORDER BY g.time {direction}
"""
_EARLIEST = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


class Bar(NamedTuple):
    """The mid price over one interval from `time`; the interval that runs now is in progress."""

    time: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    updates: int


@dataclass(frozen=True, slots=True)
class Fresh:
    """An instrument with a price that may be used right now."""

    instrument: Instrument
    price: Price


def tradable() -> list[Instrument]:
    """The instruments that are switched on, by symbol."""
    return [instrument for instrument in instruments().values() if instrument.is_active]


def fresh(prices: Prices) -> list[Fresh]:
    """The tradable instruments that have a usable price, with it."""
    return [
        Fresh(instrument, price)
        for instrument in tradable()
        if (price := prices.usable(instrument.symbol, instrument.price_age_limit_seconds)) is not None
    ]


def states() -> dict[str, MarketState]:
    """By symbol whether each market trades now. Without a query, but in a sandbox, where another process may have moved
    the firm's clock."""
    at = clock.firm_now() if settings.SANDBOX else clock.about_firm_now()
    return {symbol: hours.state_at(at) for symbol, hours in market_hours().items()}


def all_are_closed() -> bool:
    """Whether no tradable market has prices now, so that none is missed."""
    told = states()
    return all(not told[instrument.symbol].has_prices for instrument in tradable() if instrument.symbol in told)


def bars(symbol: str, interval: str, *, since: datetime | None, until: datetime, limit: int) -> list[Bar]:
    """Candles whose time is at or after `since` and before `until`, oldest first; intervals start at UTC midnight.

    At most `limit`: the first ones from `since`, or without it the last ones before `until`. A candle is
    always whole, also where the range ends inside it. Intervals without a price have none.
    """
    width = INTERVALS[interval]
    minutes = width // timedelta(minutes=1)
    with connection.cursor() as cursor:
        cursor.execute(
            _CANDLES.format(direction="DESC" if since is None else "ASC"),
            {
                "width": minutes,
                "symbol": symbol,
                "since": _EARLIEST if since is None else _boundary(since, width),
                "until": _boundary(until, width),
                "minutes": limit * minutes,
                "limit": limit,
            },
        )
        found = [Bar(*row) for row in cursor.fetchall()]
    return found if since is not None else found[::-1]


def bars_of(symbol: str, minutes: Collection[datetime]) -> dict[datetime, Bar]:
    """The candles of these minutes, by minute; where no price came there is none."""
    found = Candle.objects.filter(instrument_id=symbol, minute__in=[*minutes]).values_list(
        "minute", "open", "high", "low", "close", "volume", "trade_count"
    )
    return {row[0]: Bar(*row) for row in found}


def _boundary(at: datetime, width: timedelta) -> datetime:
    """The first start of an interval at or after a moment."""
    past = (at - _EARLIEST) % width
    return at if not past else at - past + width
