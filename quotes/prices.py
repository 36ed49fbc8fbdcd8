"""The latest price of each instrument, whether it may be used, and which of the feed's prices don't become one.

Prices live in one Redis hash; the feed writes it, everybody reads it. A price carries the time at which
it was published and is judged old by the same clock, Redis' own, so no two machines' clocks are compared.
Redis is not the truth about money: whatever executes copies the price it used into its own row, and whoever reads a
price judges it by what PostgreSQL knows (`references.py`), because others may have written it. A closed market's price
is PostgreSQL's own, and stays it until a feed has said one before the opening: what Redis says of it nobody overwrites.
What happens to a price on its way into the hash is in `price_scripts.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple

import redis

from accounts import clock as clocks
from accounts import streams
from accounts.money import parse_decimal, printed
from accounts.timestamps import from_milliseconds
from quotes import made_of, price_scripts, references, symbols
from quotes.errors import (
    AcceptedTooLate,
    NoRefusedPrice,
    RefusedPriceMoved,
    RefusedPriceTooWide,
    StalePrice,
)
from quotes.judging import Fault, PriceLimits, fault_of, is_sound
from quotes.made_of import SourcePrice
from quotes.price_scripts import AHEAD, HOLDS, KEYS, PRICES, REFUSED
from quotes.references import LOOK_AGAIN_SECONDS, Hold, Reference

MOST_DIGITS: Final = 14  # of milliseconds, to the year 5138, and of a hold's number


@dataclass(frozen=True, slots=True)
class Price:
    """What one whole base unit costs (`ask`) and brings (`bid`), in the counter asset, as of `at`.

    `hold` is None unless an operator holds it there: then the number of the hold's row, 0 where that isn't known.
    `made_of` is as the feed wrote it (`made_of.py`): '' of a held price, and where the feed didn't say.
    """

    symbol: str
    bid: Decimal
    ask: Decimal
    at: datetime
    hold: int | None = None
    made_of: str = ""

    @property
    def is_held(self) -> bool:
        return self.hold is not None

    @property
    def sources(self) -> tuple[SourcePrice, ...]:
        """What it was made of. To be shown, never to be decided by: the price alone is judged."""
        return made_of.read(self.made_of)

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
    """All latest prices as of one moment `now` of Redis' clock; `faults` says why what stands for a symbol is none."""

    now: datetime
    by_symbol: Mapping[str, Price]
    faults: Mapping[str, Fault] = field(default_factory=dict)

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

    def after(self, before: Prices) -> Prices:
        """These prices, with those of a moment ago where something stands now that is none: they grow old.

        For who reads all the time. Others leave such a price out: what they read last may be of long ago. So does
        this one where a market has closed that has no closing price.
        """
        faulty = {symbol for symbol, fault in self.faults.items() if fault is not Fault.CLOSED}
        gone = faulty & before.by_symbol.keys()
        if not gone:
            return self
        return replace(self, by_symbol={**self.by_symbol, **{symbol: before.by_symbol[symbol] for symbol in gone}})


def parsed(rows: Mapping[str, str]) -> dict[str, Price]:
    """The hash as prices; what isn't a sound price is left out, whoever wrote it."""
    found = ((symbol, _parsed(symbol, text)) for symbol, text in rows.items())
    return {symbol: price for symbol, price in found if price is not None}


def _parsed(symbol: str, text: str) -> Price | None:
    text, mark, made = text.partition("~")
    parts = text.split("|", 4)
    count = len(parts)
    if mark and (count != 3 or not made_of.is_written(made)):
        return None
    if count not in (3, 4) or not _is_whole(parts[2]) or (count == 4 and not _is_whole(parts[3])):
        return None
    bid, ask = parse_decimal(parts[0]), parse_decimal(parts[1])
    if bid is None or ask is None or not is_sound(bid, ask):
        return None
    return Price(symbol, bid, ask, from_milliseconds(int(parts[2])), int(parts[3]) if count == 4 else None, made)


def _is_whole(text: str) -> bool:
    """Whether this is a count of milliseconds, or a hold's number: not so many digits that they would stop a reader."""
    return len(text) <= MOST_DIGITS and text.isascii() and text.isdecimal()


# --- what is read ----------------------------------------------------------------------------------


def latest() -> Prices:
    """All latest prices, in one round trip, judged. Raises redis.RedisError when Redis is away, django.db.Error."""
    for is_last in (False, True):
        pipe = streams.client().pipeline(transaction=False)
        pipe.hgetall(PRICES)
        pipe.time()
        try:
            rows, clock = pipe.execute()
        except redis.ResponseError as error:
            if is_last or not _purged(error, PRICES):
                raise
        else:
            return read_latest(rows, clock)
    raise AssertionError


LATEST: Final = (("HGETALL", PRICES), ("TIME",))
"""What reads all prices, for a caller's own round trip (`streams.Line`); `read_latest` takes the two answers."""


def read_latest(rows: Mapping[str, str], clock: Sequence[int]) -> Prices:
    """The answers as prices. What doesn't fit what PostgreSQL knows is judged again by what it knows now, and then
    is no price: whoever wrote it, a feed didn't. A query a second at most, while everything fits; a hold that wasn't
    looked for yet is looked for at once, for it may just have been made.
    """
    now = from_milliseconds(clock[0] * 1000 + clock[1] // 1000)
    read = _judged(rows, now, references.known())
    if read is None:
        read = _judged(rows, now, references.known(0.0 if _is_new_hold(rows) else LOOK_AGAIN_SECONDS), is_final=True)
    assert read is not None
    return read


class _Judged(NamedTuple):
    """What was made of a text, by which reference. `is_certain`: no newer one would say better of it."""

    text: str
    reference: Reference
    price: Price | None
    fault: Fault | None
    is_certain: bool


_last: dict[str, _Judged] = {}
"""By symbol, of instruments only: most reads find the texts of the read before."""


_sought: dict[str, str] = {}
"""By symbol the text whose hold was last looked for in PostgreSQL, because nobody here knew it."""


def _is_new_hold(rows: Mapping[str, str]) -> bool:
    """Whether a price is of a hold that isn't known and wasn't looked for. Each text is looked for once in a row."""
    found = {
        symbol: done.text
        for symbol, done in list(_last.items())
        if done.fault is Fault.HOLD and rows.get(symbol) == done.text
    }
    is_new = any(_sought.get(symbol) != text for symbol, text in found.items())
    _sought.update(found)
    return is_new


def _judged(
    rows: Mapping[str, str], now: datetime, known: Mapping[str, Reference], *, is_final: bool = False
) -> Prices | None:
    """None where another look at PostgreSQL might find a price good, unless this is it.

    What stands under a name that is no instrument's is left out whole: others hand the names on to PostgreSQL. Of a
    closed market, and of one that hasn't opened and of which no feed has said anything, Redis says no more than how
    fresh a hold is. A market that has opened, of which nothing stands in Redis, keeps its closing price for as long.
    """
    at = clocks.about_firm_now()
    resting = symbols.resting(at)
    opening = {s: bell for s, bell in resting.opening.items() if _kept_until_said(known.get(s), now, at - bell)}
    closed = resting.closed | opening.keys()
    prices: dict[str, Price] = {}
    faults: dict[str, Fault] = {}
    for symbol, text in rows.items():
        reference = known.get(symbol)
        if reference is None:
            if is_final:
                continue
            return None
        done = _last.get(symbol)
        if done is None or done.text != text or done.reference is not reference:
            done = _last[symbol] = _judge(symbol, text, reference)
        if symbol in closed and (done.price is None or done.price.hold is None):
            continue
        if not (done.is_certain or is_final):
            return None
        if symbol in closed and not done.is_certain:
            continue
        if done.price is not None and done.fault is None and done.price.at - now > AHEAD:
            faults[symbol] = Fault.FUTURE
        elif done.fault is not None:
            faults[symbol] = done.fault
        elif done.price is not None:
            prices[symbol] = done.price
    for symbol in closed - prices.keys():
        price = _of_closed(symbol, known.get(symbol))
        if price is not None:
            prices[symbol] = price
            faults.pop(symbol, None)
        elif symbol in rows:
            faults.setdefault(symbol, Fault.CLOSED)
    for symbol in resting.opened.keys() - rows.keys():
        reference = known.get(symbol)
        if _kept_until_said(reference, now, at - resting.opened[symbol]) and (price := _of_closed(symbol, reference)):
            prices[symbol] = price
    return Prices(now, prices, faults)


def _kept_until_said(reference: Reference | None, now: datetime, since_bell: timedelta) -> bool:
    """Whether the last candle is of before the bell. By lengths of time: prices and hours have clocks of their own."""
    return reference is not None and reference.closing is not None and now - reference.closing.at > since_bell


_closing: dict[str, tuple[Reference, Price | None]] = {}


def _of_closed(symbol: str, reference: Reference | None) -> Price | None:
    """A closed market's price as PostgreSQL has it: at which somebody holds it, or its last candle's last price. As old
    as that candle: so it is worth something and, being old, nothing executes at it."""
    if reference is None:
        return None
    done = _closing.get(symbol)
    if done is None or done[0] is not reference:
        done = _closing[symbol] = reference, _made_of_rows(symbol, reference)
    return done[1]


def _made_of_rows(symbol: str, reference: Reference) -> Price | None:
    closing, hold = reference.closing, reference.hold
    if closing is None:
        return None
    if hold is not None:
        return Price(symbol, hold.bid, hold.ask, closing.at, hold.number)
    return Price(symbol, closing.bid, closing.ask, closing.at) if is_sound(closing.bid, closing.ask) else None


def _judge(symbol: str, text: str, reference: Reference) -> _Judged:
    """A held price is trusted however far it is, if a row says the same; its spread is judged all the same. One of a
    hold that has ended is judged like any, and of a hold that never was none is a price."""
    price = _parsed(symbol, text)
    if price is None:
        return _Judged(text, reference, None, Fault.UNSOUND, True)
    held = None if price.hold is None else Hold(price.hold, price.bid, price.ask)
    trusted = held is not None and held == reference.hold
    fault = fault_of(price.bid, price.ask, reference.limits, None if trusted else reference.seen)
    if fault is None and held not in (None, reference.hold, reference.ended):
        fault = Fault.HOLD
    return _Judged(text, reference, price, fault, is_certain=fault is None and (held is None or trusted))


def _purged(error: redis.ResponseError, *keys: str) -> bool:
    """Whether these keys are gone now because one was of another type: put there by somebody else, of no value."""
    if "WRONGTYPE" not in str(error):
        return False
    for key in keys:
        if streams.client().type(key) != "hash":
            streams.client().delete(key)
    return True


def _rows(key: str) -> dict[str, str]:
    """A hash as it stands; empty, and purged, where the key is none."""
    try:
        rows: Any = streams.client().hgetall(key)  # texts: the client decodes its answers
    except redis.ResponseError as error:
        if not _purged(error, key):
            raise
        return {}
    found: dict[str, str] = rows
    return found


# --- what the feed says ----------------------------------------------------------------------------


class PriceTick(NamedTuple):
    """A feed's bid and ask of a symbol, as of a moment in milliseconds of Redis' clock; None: as of now. `made_of` is
    what `made_of.written` gives."""

    symbol: str
    bid: Decimal
    ask: Decimal
    at: int | None = None
    made_of: str = ""


class HoldState(NamedTuple):
    """Whether a symbol is held, as PostgreSQL has it: the last row's number (0: none), `bid|ask` or '' (not held), and
    the number in Redis that PostgreSQL doesn't know, if any."""

    number: int
    price: str = ""
    unknown: int | None = None


@dataclass(frozen=True, slots=True)
class Published:
    """What became of ticks: why some didn't count, what stands of the others, the last hold's number in Redis by
    symbol, and Redis' clock in milliseconds."""

    faults: Mapping[str, Fault]
    stands: Mapping[str, Price]
    holds: Mapping[str, int]
    now: int


class Fenced(Exception):
    """A feed with a higher epoch, `stood`, has published: nothing was published now."""

    def __init__(self, stood: int) -> None:
        super().__init__(f"a feed of epoch {stood} has published")
        self.stood = stood


def publish(
    quoted: Iterable[tuple[str, Decimal, Decimal]],
    *,
    limits: Mapping[str, PriceLimits] | None = None,
    at: datetime | None = None,
) -> Mapping[str, Fault]:
    """Make (symbol, bid, ask) the latest prices, as of `at` or of Redis' clock, whoever publishes; gives those
    that didn't become it. For tests and benchmarks: a feed says when each price came, and under which epoch.
    """
    stamp = None if at is None else int(at.timestamp() * 1000)
    return publish_ticks([PriceTick(*one, stamp) for one in quoted], limits or {}).faults


def publish_ticks(
    ticks: Iterable[PriceTick],
    limits: Mapping[str, PriceLimits],
    states: Mapping[str, HoldState] | None = None,
    epoch: int | None = None,
    held: Mapping[str, int] | None = None,
) -> Published:
    """Make these the latest prices, in one round trip.

    `limits` are by symbol. Refused is what is unsound, has too wide a spread, jumps too far with either side, is
    older than what stands, or comes from the future: then the price before stands and grows old. The first price of
    a symbol isn't judged by its distance, nor the first after PAUSE without any.
    A held symbol keeps its held price and gets the new time; a newer hold state takes effect. `held` are symbols of
    which no source says anything, with a time: of these a hold is as fresh as that, and nothing else changes.
    Raises Fenced, redis.RedisError.
    """
    faults: dict[str, Fault] = {}
    judged: list[str] = []
    arguments: list[str] = ["" if epoch is None else str(epoch)]
    for symbol, bid, ask, at, sources in ticks:
        if not is_sound(parse_decimal(bid), parse_decimal(ask)):
            faults[symbol] = Fault.UNSOUND
            continue
        limit = limits.get(symbol, PriceLimits())
        judged.append(symbol)
        arguments += [symbol, f"{bid:f}", f"{ask:f}", "" if at is None else str(at)]
        arguments += [f"{limit.jump:f}", f"{limit.spread:f}"]
        arguments += _written(states.get(symbol) if states is not None else None)
        arguments.append(f"~{sources}" if sources else "")
    for symbol, as_of in (held or {}).items():
        judged.append(symbol)
        state = states.get(symbol) if states is not None else None
        arguments += [symbol, "", "", str(as_of), "", "", *_written(state), ""]
    answer = streams.client().eval(price_scripts.PUBLISH, len(KEYS), *KEYS, *arguments)
    if answer[0] == "fenced":
        raise Fenced(int(answer[1]))
    now, whys, stands, holds = int(answer[0]), answer[1::3], answer[2::3], answer[3::3]
    faults |= {symbol: Fault(why) for symbol, why in zip(judged, whys, strict=True) if why}
    rows = {symbol: text for symbol, text in zip(judged, stands, strict=True) if symbol not in faults}
    return Published(faults, parsed(rows), dict(zip(judged, map(int, holds), strict=True)), now)


def _written(state: HoldState | None) -> tuple[str, str, str]:
    if state is None:
        return "", "", ""
    return str(state.number), state.price, "" if state.unknown is None else str(state.unknown)


def clock() -> int:
    """Redis' clock in milliseconds. Raises redis.RedisError."""
    seconds, microseconds = streams.client().time()
    return int(seconds) * 1000 + int(microseconds) // 1000


def refused() -> dict[str, Price]:
    """The prices that jumped too far, or were too wide, by symbol, the latest of each, until the feed is back or one
    is accepted."""
    return parsed(_rows(REFUSED))


def forget_refused(symbols: Collection[str]) -> None:
    """Drop what was refused of these. Raises redis.RedisError."""
    streams.client().hdel(REFUSED, *symbols)


def accept(
    symbol: str, *, seen: Price | None = None, limits: PriceLimits | None = None, until: int | None = None
) -> Price:
    """Take the refused price as the one that counts: the feed's next ones are compared with it. Gives it.

    It keeps the time at which the feed said it, so accepting the price of a feed that has stopped makes nothing
    fresh. `seen` is what whoever accepts had before them: where the refused price has gone further than the
    limit from that, they are asked again. `until` is the moment, in milliseconds of Redis' clock, after which nothing
    is accepted any more. A held symbol keeps its held price. A jump is what can be accepted: one whose spread is too
    wide is no price, whoever says so.
    Raises NoRefusedPrice, RefusedPriceMoved, RefusedPriceTooWide, AcceptedTooLate, redis.RedisError.
    """
    before = f"{seen.bid:f}|{seen.ask:f}|0" if seen else ""
    limits = limits or PriceLimits()
    arguments = (symbol, before, f"{limits.jump:f}", f"{limits.spread:f}", "" if until is None else str(until))
    answer = streams.client().eval(price_scripts.ACCEPT, len(KEYS), *KEYS, *arguments)
    if answer == "moved":
        raise RefusedPriceMoved
    if answer == "wide":
        raise RefusedPriceTooWide
    if answer == "late":
        raise AcceptedTooLate
    accepted = parsed({symbol: answer}).get(symbol)
    if accepted is None:
        raise NoRefusedPrice
    return accepted


# --- what an operator says -------------------------------------------------------------------------


def hold(symbol: str, bid: Decimal, ask: Decimal, number: int | None = None) -> int:
    """Hold a symbol at this price, from now on and until `release`, whatever the feed says.

    It is trusted: no limit is asked. The feed's own price is followed behind it, so that `release` finds it. `number`
    is that of its row in PostgreSQL; a later hold or release that Redis knows already stays. Gives the number that
    counts.
    """
    return _tell(symbol, held_at(bid, ask), number)


def release(symbol: str, number: int | None = None) -> int:
    """Let the feed's own price through again: the next one, compared with the feed's last and not with the held."""
    return _tell(symbol, "", number)


def held_at(bid: Decimal, ask: Decimal) -> str:
    """A held price as it is written in Redis."""
    return f"{printed(bid)}|{printed(ask)}"


def hold_numbers() -> dict[str, int]:
    """The number of the last hold or release of each symbol that Redis knows."""
    numbers = {symbol: text.rpartition("|")[2] for symbol, text in _rows(HOLDS).items() if text.count("|") == 2}
    return {symbol: int(number) for symbol, number in numbers.items() if _is_whole(number)}


def _tell(symbol: str, price: str, number: int | None) -> int:
    arguments = (symbol, price, "" if number is None else str(number))
    answer: Any = streams.client().eval(price_scripts.HOLD, len(KEYS), *KEYS, *arguments)
    return int(answer)


def forget(symbol: str | None = None) -> None:
    """Drop every price and hold, or one symbol's (tests; what FLUSHALL does to a live system)."""
    if symbol is None:
        streams.client().delete(*KEYS)
    else:
        pipe = streams.client().pipeline(transaction=True)
        for key in (PRICES, HOLDS, price_scripts.BEHIND, REFUSED):
            pipe.hdel(key, symbol)
        pipe.execute()
