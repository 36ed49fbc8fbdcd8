"""What orders fire on, in one place: rules, the book's arrays and what they are loaded by are all made of these tables.

A pending order watches the entry price (a buy's is the ask), an open one the exit price (a buy's is the bid). Bounds
are told of a buy; a sell is its mirror image.
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple, assert_never

from accounts.money import exact
from trades.margin.rows import OrderRow
from trades.states import CloseReason, OrderType


class Bound(Enum):
    """From which side of the watched price a buy fires."""

    AT_OR_BELOW = "lower"
    AT_OR_ABOVE = "upper"


class Trigger(NamedTuple):
    """A price in a column of an order, and from which side the market has to come to it."""

    column: str
    bound: Bound

    def fires_below(self, side: str) -> bool:
        """Whether it fires at or below its price, else at or above."""
        return (self.bound is Bound.AT_OR_BELOW) == (side == "buy")

    def fires(self, order: OrderRow, price: Decimal) -> bool:
        """Whether the watched price has come to what stands in the order's column; nothing there never fires."""
        level: Decimal | None = getattr(order, self.column)
        if level is None:
            return False
        return price <= level if self.fires_below(order.side) else price >= level


def entry(type_: OrderType) -> Trigger | None:
    """What a pending order of a type waits for: a limit order opens at its price or better, a stop order at its price
    or worse. None: it waits for nothing."""
    match type_:
        case OrderType.MARKET:
            return None
        case OrderType.LIMIT:
            return Trigger("price", Bound.AT_OR_BELOW)
        case OrderType.STOP:
            return Trigger("price", Bound.AT_OR_ABOVE)
        case forgotten:
            if TYPE_CHECKING:  # so mypy names this line; at run time it would stop the import, and mypy with it
                assert_never(forgotten)
            return None


ENTRIES: Final = {type_: trigger for type_ in OrderType if (trigger := entry(type_)) is not None}
WAITS_FOR: Final = {type_: frozenset({ENTRIES[type_].column} if type_ in ENTRIES else ()) for type_ in OrderType}
"""The prices that an order of each type must have, and no other may have, by their columns."""
STOP_LOSS: Final = Trigger("stop_loss", Bound.AT_OR_BELOW)
TAKE_PROFIT: Final = Trigger("take_profit", Bound.AT_OR_ABOVE)
EXITS: Final = (STOP_LOSS, TAKE_PROFIT)  # one of each bound: an open order's lower and upper price in the book


def waits_for(order: OrderRow) -> Trigger:
    """What a pending order waits for."""
    return ENTRIES[order.type]


def level(bound: Bound) -> str:
    """SQL: the price from whose side `bound` an order `o` fires, as its status and its type have it."""
    exits = [f"WHEN o.status = 'OPEN' THEN o.{trigger.column}" for trigger in EXITS if trigger.bound is bound]
    entries = [
        f"WHEN o.type = '{type_}' THEN o.{trigger.column}"
        for type_, trigger in ENTRIES.items()
        if trigger.bound is bound
    ]
    return f"CASE {' '.join(exits + entries)} END"


def fired_entry(order: OrderRow, entry_price: Decimal) -> bool:
    """Whether a pending order's price has come."""
    return order.type in ENTRIES and waits_for(order).fires(order, entry_price)


def fired_exit(order: OrderRow, peak: Decimal | None, exit_price: Decimal) -> CloseReason | None:
    """What an open order fires on; the stop loss is tested first.

    `peak` is the best exit price since its trailing stop was set, this one included.
    """
    if STOP_LOSS.fires(order, exit_price):
        return CloseReason.STOP_LOSS
    if trailing_stop_fires(order.side, order.trailing_stop, peak, exit_price):
        return CloseReason.TRAILING_STOP
    if TAKE_PROFIT.fires(order, exit_price):
        return CloseReason.TAKE_PROFIT
    return None


@exact
def trailing_stop_fires(side: str, distance: Decimal | None, peak: Decimal | None, exit_price: Decimal) -> bool:
    """A trailing stop fires once the exit price is as far as its distance behind the best one since it was set."""
    if distance is None or peak is None:
        return False
    return exit_price <= peak - distance if side == "buy" else exit_price >= peak + distance


def better(side: str, one: Decimal, other: Decimal) -> Decimal:
    """The better of two exit prices: the higher for a buy, the lower for a sell."""
    return max(one, other) if side == "buy" else min(one, other)
