"""The latest price of each instrument, whether it may be used, and which of the feed's prices don't become one.

Prices live in one Redis hash; the feed writes it, everybody reads it. A price carries the time at which
it was published and is judged old by the same clock, Redis' own, so no two machines' clocks are compared.
Redis is not the truth about money: whatever executes copies the price it used into its own row.
What happens to a price on its way into the hash is in `price_scripts.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from accounts import streams
from accounts.money import parse_decimal
from quotes import price_scripts
from quotes.errors import NoRefusedPrice, RefusedPriceMoved, StalePrice
from quotes.price_scripts import AHEAD, HOLDS, KEYS, PRICES, REFUSED

JUMP_LIMIT_PERCENT: Final = Decimal(50)
"""For a symbol that comes without a limit of its own: no price goes unjudged because somebody forgot one."""


class Fault(StrEnum):
    """Why a price of the feed is not the latest one."""

    UNSOUND = "unsound"  # not a number, not above zero, or crossed
    JUMP = "jump"  # further from the price before than the instrument's limit
    LATE = "late"  # older than the one that stands: a shuffled feed
    FUTURE = "future"  # dated later than Redis' clock says it is


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
        """The price of a symbol if it may be executed at, else None. The limit itself is still fresh.

        A price from the future is none either: Redis' clock was set back, and it would stay fresh for as long.
        """
        price = self.by_symbol.get(symbol)
        if price is None or not -AHEAD <= self.now - price.at <= timedelta(seconds=age_limit_seconds):
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
    pipe.hgetall(PRICES)
    pipe.time()


def read_latest(rows: Mapping[str, str], clock: tuple[int, int]) -> Prices:
    return Prices(moment(clock[0] * 1000 + clock[1] // 1000), parsed(rows))


# --- what the feed says ----------------------------------------------------------------------------


def publish(
    quoted: Iterable[tuple[str, Decimal, Decimal]],
    *,
    limits: Mapping[str, Decimal] | None = None,
    at: datetime | None = None,
) -> dict[str, Fault]:
    """Make (symbol, bid, ask) the latest prices, as of `at` or of Redis' clock; gives those that didn't become it.

    `limits` are the jump limits by symbol, in percent of the mid price before. Refused is what is unsound, jumps
    further than that, is older than what stands, or comes from the future: then the price before stands and grows
    old. The first price of a symbol isn't judged by its distance, nor the first after PAUSE without any.
    A held symbol keeps its held price and gets the new time. Raises redis.RedisError.
    """
    stamp = "" if at is None else str(int(at.timestamp() * 1000))
    faults: dict[str, Fault] = {}
    judged: list[str] = []
    arguments: list[str] = []
    for symbol, bid, ask in quoted:
        if not is_sound(parse_decimal(bid), parse_decimal(ask)):
            faults[symbol] = Fault.UNSOUND
            continue
        limit = (limits or {}).get(symbol, JUMP_LIMIT_PERCENT)
        judged.append(symbol)
        arguments += [symbol, f"{bid:f}", f"{ask:f}", stamp, f"{limit:f}"]
    if judged:
        answers = streams.client().eval(price_scripts.PUBLISH, len(KEYS), *KEYS, *arguments)
        faults |= {symbol: Fault(why) for symbol, why in zip(judged, answers, strict=True) if why}
    return faults


def refused() -> dict[str, Price]:
    """The prices that jumped too far, by symbol, the latest of each, until the feed is back or one is accepted."""
    rows: Any = streams.client().hgetall(REFUSED)  # texts: the client decodes its answers
    return parsed(rows)


def accept(symbol: str, *, seen: Price | None = None, limit: Decimal = JUMP_LIMIT_PERCENT) -> Price:
    """Take the refused price as the one that counts: the feed's next ones are compared with it. Gives it.

    It keeps the time at which the feed said it, so accepting the word of a feed that fell silent makes nothing
    fresh. `seen` is what whoever accepts had before them: where the refused price has gone further than the
    limit from that, they are asked again. A held symbol keeps its held price.
    Raises NoRefusedPrice, RefusedPriceMoved, redis.RedisError.
    """
    before = f"{seen.bid:f}|{seen.ask:f}|0" if seen else ""
    answer = streams.client().eval(price_scripts.ACCEPT, len(KEYS), *KEYS, symbol, before, f"{limit:f}")
    if answer == "moved":
        raise RefusedPriceMoved
    accepted = parsed({symbol: answer}).get(symbol)
    if accepted is None:
        raise NoRefusedPrice
    return accepted


# --- what an operator says -------------------------------------------------------------------------


def hold(symbol: str, bid: Decimal, ask: Decimal) -> None:
    """Hold a symbol at this price, from now on and until `release`, whatever the feed says.

    It is trusted: no limit is asked. The feed's own price is followed behind it, so that `release` finds it.
    """
    streams.client().eval(price_scripts.HOLD, len(KEYS), *KEYS, symbol, f"{bid:f}|{ask:f}")


def release(symbol: str) -> None:
    """Let the feed's own price through again: the next one, compared with the feed's last and not with the held."""
    streams.client().hdel(HOLDS, symbol)


def forget(symbol: str | None = None) -> None:
    """Drop every price and hold, or one symbol's (tests; what FLUSHALL does to a live system)."""
    if symbol is None:
        streams.client().delete(*KEYS)
    else:
        pipe = streams.client().pipeline(transaction=True)
        for key in KEYS:
            pipe.hdel(key, symbol)
        pipe.execute()
