"""What a margin order costs and brings. Pure functions over exact numbers.

Prices and quantities are `Decimal`; money is whole base units of the account currency, which has
`decimals` decimals. Prices of an instrument that is counted in another currency are converted at a rate
(`quotes/conversion.py`); `ONE` is that of the account currency itself.
"""

from __future__ import annotations

from decimal import Decimal

from accounts.money import NEAREST, UP, exact, to_base_units
from quotes.conversion import ONE, UNCONVERTED, Conversion, Rate, converted

NOTHING = Decimal(0)


@exact
def margin_required(quantity: Decimal, open_price: Decimal, leverage: int, decimals: int, rate: Rate = ONE) -> int:
    """quantity x open price x rate / leverage, rounded up: what an open order reserves."""
    if rate.is_one:
        return to_base_units(quantity * open_price / leverage, decimals, UP)
    return to_base_units(quantity * open_price * rate.multiplier / (rate.divisor * leverage), decimals, UP)


def _change(side: str, open_price: Decimal, close_price: Decimal) -> Decimal:
    return close_price - open_price if side == "buy" else open_price - close_price


def rate_of(side: str, open_price: Decimal, close_price: Decimal, conversion: Conversion) -> Rate:
    """At which of the two rates a position's result is converted: another one for a profit than for a loss."""
    return conversion.of(_change(side, open_price, close_price))


@exact
def result(
    side: str, open_price: Decimal, close_price: Decimal, quantity: Decimal, decimals: int, rate: Rate = ONE
) -> Decimal:
    """(close - open) x quantity for a buy, mirrored for a sell: base units, exactly. Leverage plays no part.

    What is converted has 36 decimals.
    """
    return converted((_change(side, open_price, close_price) * quantity).scaleb(decimals), rate)


@exact
def booked(more: Decimal, before: Decimal) -> int:
    """What is booked for `more` where exactly `before` is behind: the rounded sum less what was booked by then.

    Half-even, base units. So whatever is booked in parts adds up to the rounded whole.
    """
    if not before:
        return to_base_units(more, 0, NEAREST)
    return to_base_units(before + more, 0, NEAREST) - to_base_units(before, 0, NEAREST)


@exact
def profit(
    side: str,
    open_price: Decimal,
    close_price: Decimal,
    quantity: Decimal,
    decimals: int,
    realized: Decimal = NOTHING,
    conversion: Conversion = UNCONVERTED,
) -> int:
    """What closing brings: the result, rounded together with what the order's parts have brought (`realized`).

    Each part was converted at its own rate, and its result is added up as it was then.
    """
    if not realized and conversion is UNCONVERTED:  # as nearly always: no need to carry or convert anything
        return to_base_units(_change(side, open_price, close_price) * quantity, decimals, NEAREST)
    rate = rate_of(side, open_price, close_price, conversion)
    return booked(result(side, open_price, close_price, quantity, decimals, rate), realized)


@exact
def slipped(expected: Decimal, current: Decimal, tolerance_percent: Decimal, side: str) -> bool:
    """Whether the price moved against the client by more than it tolerates, in percent of its expectation."""
    worse = current - expected if side == "buy" else expected - current
    return worse * 100 > expected * tolerance_percent


@exact
def swap(quantity: Decimal, price: Decimal, rate_bps: Decimal, times: int, decimals: int, rate: Rate = ONE) -> Decimal:
    """quantity x price x rate (hundredths of a percent) x nights: base units, exactly; negative: the customer pays.

    `rate` converts the price's currency; what is converted has 36 decimals.
    """
    return converted((quantity * price * rate_bps * times).scaleb(decimals - 4), rate)


@exact
def share(amount: int, part: Decimal, whole: Decimal) -> int:
    """What falls to a part of a quantity of an amount for all of it, rounded half-even."""
    return to_base_units(Decimal(amount) * part / whole, 0, NEAREST)
