"""The latest price of each instrument, and whether it may be used.

Prices live in one Redis hash; the feed writes it, everybody reads it. A price carries the time at which
it was published and is judged old by the same clock, Redis' own, so no two machines' clocks are compared.
Redis is not the truth about money: whatever executes copies the price it used into its own row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from accounts import streams
from accounts.money import parse_decimal
from quotes.errors import StalePrice

_PRICES = "prices"
_HOLDS = "prices:held"

# Atomic, so that a tick computed before a hold was set can't overwrite the held price.
_PUBLISH = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
for i = 1, #ARGV, 4 do
    local symbol, bid, ask, at = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
    local held = redis.call('HGET', KEYS[2], symbol)
    if at == '' then at = string.format('%.0f', now) end
    redis.call('HSET', KEYS[1], symbol, (held or (bid .. '|' .. ask)) .. '|' .. at)
end
return 0
"""


@dataclass(frozen=True, slots=True)
class Price:
    """What one whole base unit costs (`ask`) and brings (`bid`), in the counter asset, as of `at`."""

    symbol: str
    bid: Decimal
    ask: Decimal
    at: datetime

    @property
    def mid(self) -> Decimal:
        return (self.bid + self.ask) / 2

    def entry(self, side: str) -> Decimal:
        """Where a position of this side opens: a buy at the ask."""
        return self.ask if side == "buy" else self.bid

    def exit(self, side: str) -> Decimal:
        """Where a position of this side closes: a buy at the bid."""
        return self.bid if side == "buy" else self.ask


@dataclass(frozen=True, slots=True)
class Prices:
    """All latest prices as of one moment `now` of Redis' clock."""

    now: datetime
    by_symbol: Mapping[str, Price]

    def usable(self, symbol: str, age_limit_seconds: int) -> Price | None:
        """The price of a symbol if it may be executed at, else None. The limit itself is still fresh."""
        price = self.by_symbol.get(symbol)
        if price is None or self.now - price.at > timedelta(seconds=age_limit_seconds):
            return None
        return price

    def require(self, symbol: str, age_limit_seconds: int) -> Price:
        """Like `usable`, but raises StalePrice where there is none."""
        price = self.usable(symbol, age_limit_seconds)
        if price is None:
            raise StalePrice
        return price


def is_sound(bid: Decimal | None, ask: Decimal | None) -> bool:
    """Whether two numbers are a price at all: finite, above zero, not crossed."""
    return bid is not None and ask is not None and 0 < bid <= ask


def moment(milliseconds: int) -> datetime:
    """A time on Redis' clock, exact to the millisecond."""
    return datetime.fromtimestamp(milliseconds // 1000, UTC) + timedelta(milliseconds=milliseconds % 1000)


def parsed(rows: Mapping[str, str]) -> dict[str, Price]:
    """The hash as prices; what isn't a sound price is left out, whoever wrote it."""
    prices = {}
    for symbol, text in rows.items():
        parts = text.split("|")
        if len(parts) != 3 or not parts[2].isdigit():
            continue
        bid, ask = parse_decimal(parts[0]), parse_decimal(parts[1])
        if bid is not None and ask is not None and is_sound(bid, ask):
            prices[symbol] = Price(symbol, bid, ask, moment(int(parts[2])))
    return prices


def latest() -> Prices:
    """All latest prices, in one round trip. Raises redis.RedisError when Redis is away."""
    pipe = streams.client().pipeline(transaction=False)
    queue_latest(pipe)
    rows, clock = pipe.execute()
    return read_latest(rows, clock)


def queue_latest(pipe: Any) -> None:
    """Put the reading of all prices on a caller's pipeline: two commands, whose answers `read_latest` takes."""
    pipe.hgetall(_PRICES)
    pipe.time()


def read_latest(rows: Mapping[str, str], clock: tuple[int, int]) -> Prices:
    return Prices(moment(clock[0] * 1000 + clock[1] // 1000), parsed(rows))


def publish(quoted: Iterable[tuple[str, Decimal, Decimal]], *, at: datetime | None = None) -> None:
    """Make (symbol, bid, ask) the latest prices, as of `at` or of Redis' clock.

    A held symbol keeps its held price and gets the new time. Unsound prices are dropped here, too.
    """
    stamp = "" if at is None else str(int(at.timestamp() * 1000))
    arguments: list[str] = []
    for symbol, bid, ask in quoted:
        if is_sound(parse_decimal(bid), parse_decimal(ask)):
            arguments += [symbol, f"{bid:f}", f"{ask:f}", stamp]
    if arguments:
        streams.client().eval(_PUBLISH, 2, _PRICES, _HOLDS, *arguments)


def hold(symbol: str, bid: Decimal, ask: Decimal) -> None:
    """Hold a symbol at this price, from now on and until `release`, whatever the simulator walks to."""
    pipe = streams.client().pipeline(transaction=True)
    pipe.hset(_HOLDS, symbol, f"{bid:f}|{ask:f}")
    pipe.eval(_PUBLISH, 2, _PRICES, _HOLDS, symbol, f"{bid:f}", f"{ask:f}", "")
    pipe.execute()


def release(symbol: str) -> None:
    """Let the feed's own price through again."""
    streams.client().hdel(_HOLDS, symbol)


def forget() -> None:
    """Drop every price and hold (tests; what FLUSHALL does to a live system)."""
    streams.client().delete(_PRICES, _HOLDS)
