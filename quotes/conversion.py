"""What an amount of one currency is in another, at the prices of the firm's own instruments. Pure: no SQL, no Redis.

A path leads from a currency to another: by the instrument that prices the one in the other (direct), by the one that
prices the other in the one (inverse), or over one third currency (cross). Which it is depends on the instruments there
are and on nothing else, so neither a price that is missing nor one that is held chooses another: direct before
inverse, either before a cross, and of several crosses the one over the currency that comes first in the alphabet.

What a customer gets is converted where they would have to sell it, and what they owe where they would have to buy it:
a profit in JPY at the bid of the yen in dollars, which is 1 / ask of USD-JPY; a loss, and a margin, at the ask, which
is 1 / bid. So a firm that hedged would lose nothing by converting. OANDA has such a pair of factors for each currency,
`accountGain` and `accountLoss` (v20 API, HomeConversions); today it makes them of the middle and a charge of 0.5 % to
either side (help.oanda.com, "Home currency conversion"). Here they are bid and ask, so the charge is the instrument's
own spread and mark-up.

A rate is a fraction of two exact numbers, since 1 / ask has no last decimal. Amounts that were converted keep 36
decimals and are rounded once more where they are booked.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal
from enum import Enum
from functools import lru_cache
from typing import Final, NamedTuple, Protocol

from accounts.money import exact

KEPT_DECIMALS: Final = 36
_KEPT: Final = Decimal(1).scaleb(-KEPT_DECIMALS)


class Priced(Protocol):
    """A price of an instrument, as far as converting needs it."""

    @property
    def bid(self) -> Decimal: ...

    @property
    def ask(self) -> Decimal: ...

    @property
    def at(self) -> datetime: ...


class Side(Enum):
    """At which side of a currency it is converted: sold (bid), bought (ask), or in the middle."""

    BID = "bid"
    ASK = "ask"
    MID = "mid"

    @property
    def turned(self) -> Side:
        """The side of the other currency of a pair: who sells yen for dollars buys dollars."""
        return {Side.BID: Side.ASK, Side.ASK: Side.BID, Side.MID: Side.MID}[self]

    def of(self, price: Priced) -> Decimal:
        match self:
            case Side.BID:
                return price.bid
            case Side.ASK:
                return price.ask
            case Side.MID:
                return (price.bid + price.ask) / 2


class Leg(NamedTuple):
    """One instrument on a path: its price multiplies, or, where it is priced the other way round, divides."""

    symbol: str
    is_inverse: bool


@dataclass(frozen=True, slots=True)
class Rate:
    """What one unit of a currency is in another: multiplier / divisor. `path` says by which prices, as of `at`."""

    multiplier: Decimal
    divisor: Decimal
    path: str = ""
    at: datetime | None = None

    @property
    def is_one(self) -> bool:
        """Whether nothing was converted: the amount was in that currency already."""
        return not self.path


ONE: Final = Rate(Decimal(1), Decimal(1))


class Conversion(NamedTuple):
    """The two rates of one moment: of what a customer gets, and of what they lose or must have."""

    gain: Rate
    loss: Rate

    def of(self, amount: Decimal) -> Rate:
        """The rate for an amount by its sign."""
        return self.loss if amount < 0 else self.gain


UNCONVERTED: Final = Conversion(ONE, ONE)


def path(symbols: Iterable[str], source: str, target: str) -> tuple[Leg, ...] | None:
    """How to come from a currency to another by instruments with these symbols, BASE-COUNTER; None: there is no way."""
    if source == target:
        return ()
    return _path(frozenset(symbols), source, target)


def turned_by(symbol: str, symbols: Iterable[str], target: str) -> str | None:
    """A currency that one of these instruments is counted in and that would come to `target` another way if there were
    an instrument with this symbol as well; None where there is no such currency. Where there was no way, nothing could
    be opened, and nothing turns."""
    known = frozenset(symbols)
    for currency in sorted({one.partition("-")[2] for one in known} - {target}):
        if path(known, currency, target) not in (None, path(known | {symbol}, currency, target)):
            return currency
    return None


@lru_cache(maxsize=256)
def _path(symbols: frozenset[str], source: str, target: str) -> tuple[Leg, ...] | None:
    if (leg := _leg(symbols, source, target)) is not None:
        return (leg,)
    currencies = sorted({currency for symbol in symbols for currency in symbol.split("-")})
    for middle in currencies:
        first, second = _leg(symbols, source, middle), _leg(symbols, middle, target)
        if first is not None and second is not None:
            return first, second
    return None


def _leg(symbols: Container[str], source: str, target: str) -> Leg | None:
    for symbol, is_inverse in ((f"{source}-{target}", False), (f"{target}-{source}", True)):
        if symbol in symbols:
            return Leg(symbol, is_inverse)
    return None


@exact
def rate(legs: Iterable[Leg], price_of: Callable[[str], Priced], side: Side) -> Rate:
    """The rate of a path for a side of its first currency. Its time is that of its oldest price."""
    multiplier = divisor = Decimal(1)
    told: list[str] = []
    times: list[datetime] = []
    for symbol, is_inverse in legs:
        price, its = price_of(symbol), side.turned if is_inverse else side
        if is_inverse:
            divisor *= its.of(price)
        else:
            multiplier *= its.of(price)
        told.append(f"{'1/' if is_inverse else ''}{symbol} {its.value}")
        times.append(price.at)
    return Rate(multiplier, divisor, " * ".join(told), min(times)) if told else ONE


class PathPrice(NamedTuple):
    """A price that a rate is made of, as its path tells it."""

    symbol: str
    side: str
    is_inverse: bool


def prices_of(told: str) -> tuple[PathPrice, ...]:
    """A rate's path as its prices: `1/USD-JPY bid * EUR-USD ask`. Empty of a rate that converted nothing."""
    words = (part.rpartition(" ") for part in told.split(" * ") if part)
    return tuple(PathPrice(name.removeprefix("1/"), side, name.startswith("1/")) for name, _, side in words)


class Rates:
    """The rates into one currency at the prices of one moment, each worked out once."""

    def __init__(self, symbols: Collection[str], target: str, price_of: Callable[[str], Priced | None]) -> None:
        """`symbols` are those of all instruments there are; `price_of` gives None where there is no price to use."""
        self.target = target
        self._symbols = symbols
        self._price_of = price_of
        self._found: dict[str, Conversion | None] = {target: UNCONVERTED}

    def path(self, source: str) -> tuple[Leg, ...] | None:
        return path(self._symbols, source, self.target)

    def of(self, source: str) -> Conversion | None:
        """From a currency; None where a price on the way is missing, or there is no way."""
        if source not in self._found:
            self._found[source] = self._worked_out(source)
        return self._found[source]

    def lacking(self, source: str) -> str | None:
        """The first instrument on the way from a currency that has no price; None where every one has."""
        return next((leg.symbol for leg in self.path(source) or () if self._price_of(leg.symbol) is None), None)

    def _worked_out(self, source: str) -> Conversion | None:
        legs = self.path(source)
        if legs is None:
            return None
        prices: dict[str, Priced] = {}
        for leg in legs:
            price = self._price_of(leg.symbol)
            if price is None:
                return None
            prices[leg.symbol] = price
        return Conversion(rate(legs, prices.__getitem__, Side.BID), rate(legs, prices.__getitem__, Side.ASK))


def mids(symbols: Iterable[str], target: str, prices: Mapping[str, Priced], sources: Iterable[str]) -> dict[str, Rate]:
    """The middle rates of these currencies, for what is valued in the middle; those without a price are left out."""
    every = frozenset(symbols)
    found: dict[str, Rate] = {}
    for source in sources:
        legs = path(every, source, target)
        if legs and all(leg.symbol in prices for leg in legs):
            found[source] = rate(legs, prices.__getitem__, Side.MID)
    return found


@exact
def converted(amount: Decimal, at: Rate) -> Decimal:
    """An amount at a rate, to 36 decimals, half-even."""
    if at.is_one:
        return amount
    return (amount * at.multiplier / at.divisor).quantize(_KEPT, ROUND_HALF_EVEN)


@exact
def converted_down(amount: Decimal, at: Rate) -> Decimal:
    """The same, cut off after 36 decimals: what is going to be rounded up, once summed, must not be above the truth."""
    if at.is_one:
        return amount
    return (amount * at.multiplier / at.divisor).quantize(_KEPT, ROUND_DOWN)
