"""A price, a side and one amount become a quote's three amounts. Pure: no Django, no clock, no I/O.

The words: a buy receives the base asset and delivers the counter asset, a sell the reverse. `cost` is what
the base asset itself is worth to the firm in counter base units; the fee comes on top of it inside what a
buy delivers, and is taken out of what a sell receives.

The given amount is kept to the last unit. Everything computed is rounded against the customer: what they
receive down, what they deliver and the fee up, so a quote never creates value.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from accounts.money import DOWN, MAX_AMOUNT, UP, exact, from_base_units, rounded, to_base_units
from quotes.errors import AmountOutOfRange, AmountTooSmall

_BPS = Decimal(10_000)


@dataclass(frozen=True, slots=True)
class FeeTerms:
    """`bps` hundredths of a percent of the trade's value, 0 <= bps < 10000, plus `fixed` counter base units."""

    bps: Decimal
    fixed: int = 0

    @property
    def share(self) -> Decimal:
        return self.bps / _BPS


@dataclass(frozen=True, slots=True)
class PairDecimals:
    """The decimals of an instrument's two assets: all that quoting needs to know of it."""

    base_decimals: int
    counter_decimals: int


@dataclass(frozen=True, slots=True)
class Amounts:
    """Base units: of the asset received, of the asset delivered, and the fee in the counter asset."""

    receive: int
    deliver: int
    fee: int


@exact
def buy_receiving(receive: int, ask: Decimal, pair: PairDecimals, fees: FeeTerms) -> Amounts:
    """Buy exactly `receive` base units of the base asset."""
    cost = _worth(receive, ask, pair, UP)
    fee = _fee_on(cost, fees)
    return _sound(Amounts(receive, cost + fee, fee))


@exact
def buy_delivering(deliver: int, ask: Decimal, pair: PairDecimals, fees: FeeTerms) -> Amounts:
    """Spend exactly `deliver` base units of the counter asset, fee included.

    The largest whole cost with cost + ceil(cost * share) + fixed <= deliver is
    floor((deliver - fixed) / (1 + share)): for whole numbers ceil(x) <= n means x <= n.
    """
    cost = int(rounded((deliver - fees.fixed) / (1 + fees.share), 0, DOWN))
    if cost <= 0:
        raise AmountTooSmall
    return _sound(Amounts(_bought_for(cost, ask, pair, DOWN), deliver, deliver - cost))


@exact
def sell_delivering(deliver: int, bid: Decimal, pair: PairDecimals, fees: FeeTerms) -> Amounts:
    """Sell exactly `deliver` base units of the base asset."""
    proceeds = _worth(deliver, bid, pair, DOWN)
    fee = _fee_on(proceeds, fees)
    return _sound(Amounts(proceeds - fee, deliver, fee))


@exact
def sell_receiving(receive: int, bid: Decimal, pair: PairDecimals, fees: FeeTerms) -> Amounts:
    """Receive exactly `receive` base units of the counter asset, after the fee.

    The smallest whole proceeds with proceeds - ceil(proceeds * share) - fixed >= receive is
    ceil((receive + fixed) / (1 - share)), for the same reason as in `buy_delivering`.
    """
    proceeds = int(rounded((receive + fees.fixed) / (1 - fees.share), 0, UP))
    return _sound(Amounts(receive, _bought_for(proceeds, bid, pair, UP), proceeds - receive))


@exact
def moving_receiving(receive: int, fees: FeeTerms) -> Amounts:
    """Move money of one asset so that exactly `receive` base units arrive: the fee comes on top."""
    fee = _fee_on(receive, fees)
    return _sound(Amounts(receive, receive + fee, fee))


@exact
def moving_delivering(deliver: int, fees: FeeTerms) -> Amounts:
    """Move exactly `deliver` base units, fee included; what arrives is the most that leaves room for the fee.

    For the same reason as in `buy_delivering`.
    """
    receive = int(rounded((deliver - fees.fixed) / (1 + fees.share), 0, DOWN))
    if receive <= 0:
        raise AmountTooSmall
    return _sound(Amounts(receive, deliver, deliver - receive))


def amounts(
    side: str,
    price: Decimal,
    pair: PairDecimals,
    fees: FeeTerms,
    *,
    receive: int | None = None,
    deliver: int | None = None,
) -> Amounts:
    """The amounts of a quote; exactly one of `receive` and `deliver` is given, above zero.

    `price` is the ask for a buy and the bid for a sell, in whole counter units for one whole base unit.
    Raises AmountTooSmall when the other side would come to nothing, AmountOutOfRange when it would not fit
    NUMERIC(38,0).
    """
    if side == "buy":
        if receive is not None:
            return buy_receiving(receive, price, pair, fees)
        if deliver is not None:
            return buy_delivering(deliver, price, pair, fees)
    elif receive is not None:
        return sell_receiving(receive, price, pair, fees)
    elif deliver is not None:
        return sell_delivering(deliver, price, pair, fees)
    raise ValueError("one of receive and deliver must be given")


def _worth(base_amount: int, price: Decimal, pair: PairDecimals, direction: str) -> int:
    """What base units of the base asset are worth, in counter base units."""
    return to_base_units(from_base_units(base_amount, pair.base_decimals) * price, pair.counter_decimals, direction)


def _bought_for(counter_amount: int, price: Decimal, pair: PairDecimals, direction: str) -> int:
    """How many base units of the base asset counter base units are worth."""
    return to_base_units(from_base_units(counter_amount, pair.counter_decimals) / price, pair.base_decimals, direction)


def _fee_on(value: int, fees: FeeTerms) -> int:
    return int(rounded(value * fees.share, 0, UP)) + fees.fixed


def _sound(result: Amounts) -> Amounts:
    if result.receive <= 0 or result.deliver <= 0:
        raise AmountTooSmall
    if max(result.receive, result.deliver, result.fee) > MAX_AMOUNT:
        raise AmountOutOfRange
    return result
