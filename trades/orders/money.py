"""What a margin order costs and brings. Pure functions over exact numbers.

Prices and quantities are `Decimal`; money is whole base units of the account currency, which has
`decimals` decimals.
"""

from __future__ import annotations

from decimal import Decimal

from accounts.money import NEAREST, UP, exact, to_base_units

NOTHING = Decimal(0)


@exact
def margin_required(quantity: Decimal, open_price: Decimal, leverage: int, decimals: int) -> int:
    """quantity x open price / leverage, rounded up: what an open order reserves."""
    return to_base_units(quantity * open_price / leverage, decimals, UP)


def _change(side: str, open_price: Decimal, close_price: Decimal) -> Decimal:
    return close_price - open_price if side == "buy" else open_price - close_price


@exact
def result(side: str, open_price: Decimal, close_price: Decimal, quantity: Decimal, decimals: int) -> Decimal:
    """(close - open) x quantity for a buy, mirrored for a sell: base units, exactly. Leverage plays no part."""
    return (_change(side, open_price, close_price) * quantity).scaleb(decimals)


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
) -> int:
    """What closing brings: the result, rounded together with what the order's parts have brought (`realized`)."""
    if not realized:  # as nearly always: no need to carry anything
        return to_base_units(_change(side, open_price, close_price) * quantity, decimals, NEAREST)
    return booked(result(side, open_price, close_price, quantity, decimals), realized)


def floating_profit(
    side: str,
    open_price: Decimal,
    exit_price: Decimal,
    quantity: Decimal,
    decimals: int,
    realized: Decimal = NOTHING,
) -> int:
    """The profit that closing at `exit_price` (bid for a buy, ask for a sell) would bring now."""
    return profit(side, open_price, exit_price, quantity, decimals, realized)


@exact
def slipped(expected: Decimal, current: Decimal, tolerance_percent: Decimal, side: str) -> bool:
    """Whether the price moved against the client by more than it tolerates, in percent of its expectation."""
    worse = current - expected if side == "buy" else expected - current
    return worse * 100 > expected * tolerance_percent


def stop_loss_fires(side: str, stop_loss: Decimal | None, exit_price: Decimal) -> bool:
    """A buy's stop loss fires at or below its price, a sell's at or above."""
    if stop_loss is None:
        return False
    return exit_price <= stop_loss if side == "buy" else exit_price >= stop_loss


def take_profit_fires(side: str, take_profit: Decimal | None, exit_price: Decimal) -> bool:
    """A buy's take profit fires at or above its price, a sell's at or below."""
    if take_profit is None:
        return False
    return exit_price >= take_profit if side == "buy" else exit_price <= take_profit


@exact
def trailing_stop_fires(side: str, distance: Decimal | None, peak: Decimal | None, exit_price: Decimal) -> bool:
    """A trailing stop fires once the exit price is as far as its distance behind the best one since it was set."""
    if distance is None or peak is None:
        return False
    return exit_price <= peak - distance if side == "buy" else exit_price >= peak + distance


def better(side: str, one: Decimal, other: Decimal) -> Decimal:
    """The better of two exit prices: the higher for a buy, the lower for a sell."""
    return max(one, other) if side == "buy" else min(one, other)


def pending_fires(type_: str, side: str, price: Decimal, entry_price: Decimal) -> bool:
    """A limit order opens at its price or better, a stop order at its price or worse (`entry_price`: ask for a buy)."""
    if (type_ == "limit") == (side == "buy"):
        return entry_price <= price
    return entry_price >= price


@exact
def swap(quantity: Decimal, price: Decimal, rate_bps: Decimal, times: int, decimals: int) -> Decimal:
    """quantity x price x rate (hundredths of a percent) x nights: base units, exactly; negative: the customer pays."""
    return (quantity * price * rate_bps * times).scaleb(decimals - 4)


@exact
def share(amount: int, part: Decimal, whole: Decimal) -> int:
    """What falls to a part of a quantity of an amount for all of it, rounded half-even."""
    return to_base_units(Decimal(amount) * part / whole, 0, NEAREST)
