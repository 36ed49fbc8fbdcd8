"""What a change of an instrument would fire, as it is told, kept in a proposal's row, and compared.

Counts are of orders and accounts, money is in units of the account currency. `gains` and `losses` are what closing
would bring customers; `borne` is what the firm pays of losses that their cash doesn't cover.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from decimal import Decimal
from typing import Any, Final

from quotes.prices import Price
from trades.currency import in_currency
from trades.engine.rehearsal import Rehearsed
from trades.models import OrderEvent
from trades.states import CloseReason, OrderStatus

MORE_PERCENT: Final = 10
"""By how much the money of a statement may have grown when the change is applied: the market goes on meanwhile.
The counts may not grow at all."""

_REASONS: Final[Mapping[str, str]] = {
    CloseReason.STOP_LOSS: "stop_losses",
    CloseReason.TRAILING_STOP: "trailing_stops",
    CloseReason.TAKE_PROFIT: "take_profits",
    CloseReason.STOP_OUT: "stopped_out",
}
_EVENTS: Final[Mapping[str, str]] = {
    OrderEvent.Kind.STOP_OUT: "stop_outs",
    OrderEvent.Kind.MARGIN_CALL: "called",
    OrderEvent.Kind.MARGIN_CALL_OVER: "calls_over",
}
WORDS: Final[Mapping[str, str]] = {
    "stop_losses": "positions closed by their stop loss",
    "trailing_stops": "positions closed by their trailing stop",
    "take_profits": "positions closed by their take profit",
    "stop_outs": "accounts stopped out",
    "stopped_out": "positions closed by a stop-out",
    "called": "accounts called",
    "calls_over": "margin calls that end",
    "opened": "pending orders that open",
    "cancelled": "pending orders cancelled",
    "customers": "customers whose orders it touches",
}


@dataclass(frozen=True, slots=True)
class ChangeStatement:
    """`bid` and `ask` are the price that the book was run at, None where the change moves none."""

    bid: Decimal | None = None
    ask: Decimal | None = None
    stop_losses: int = 0
    trailing_stops: int = 0
    take_profits: int = 0
    stop_outs: int = 0
    stopped_out: int = 0
    called: int = 0
    calls_over: int = 0
    opened: int = 0
    cancelled: int = 0
    customers: int = 0
    gains: Decimal = Decimal(0)
    losses: Decimal = Decimal(0)
    borne: Decimal = Decimal(0)

    @property
    def fires(self) -> bool:
        return any(self.counts().values())

    def counts(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in WORDS}

    def money(self) -> dict[str, Decimal]:
        return {"gains": self.gains, "losses": self.losses, "borne": self.borne}

    def is_more_than(self, stated: ChangeStatement) -> bool:
        """Whether somebody who was told `stated` was not told this."""
        before, allowed = stated.counts(), Decimal(100 + MORE_PERCENT) / 100
        return any(count > before[name] for name, count in self.counts().items()) or any(
            amount > stated.money()[name] * allowed for name, amount in self.money().items()
        )

    def kept(self) -> dict[str, Any]:
        """As JSON that keeps every digit."""
        return {
            name: f"{value:f}" if isinstance(value, Decimal) else value
            for name, value in asdict(self).items()
            if value is not None
        }

    @classmethod
    def read(cls, kept: Mapping[str, Any]) -> ChangeStatement:
        known = {field.name for field in fields(cls)}
        said: dict[str, Any] = {}
        for name in known & kept.keys():
            said[name] = Decimal(kept[name]) if isinstance(kept[name], str) else kept[name]
        return cls(**said)


def stated(price: Price | None, parts: Iterable[Rehearsed]) -> ChangeStatement:
    """All parts of a rehearsal as one statement; `price` is the one it was run at."""
    counts: Counter[str] = Counter()
    gains = losses = borne = 0
    touched = set()
    for part in parts:
        borne += part.borne
        counts.update(_EVENTS[kind] for kind in part.events)
        for change in part.changed:
            order = change.order
            touched.add(order.customer_id)
            if change.was == OrderStatus.PENDING:
                counts["cancelled" if order.status == OrderStatus.CANCELLED else "opened"] += 1
            if order.status == OrderStatus.CLOSED:
                counts[_REASONS[order.close_reason]] += 1
                profit = order.profit or 0
                gains, losses = gains + max(profit, 0), losses - min(profit, 0)
    return ChangeStatement(
        bid=price.bid if price else None,
        ask=price.ask if price else None,
        customers=len(touched),
        gains=in_currency(gains),
        losses=in_currency(losses),
        borne=in_currency(borne),
        **counts,
    )


def told(statement: ChangeStatement) -> list[str]:
    """`lines`, after the price that the book was run at, where there is one."""
    if statement.bid is None or statement.ask is None:
        return lines(statement)
    return [f"At {statement.bid:f} / {statement.ask:f}:", *lines(statement)]


def lines(statement: ChangeStatement) -> list[str]:
    """What it says, a line a fact, for people."""
    if not statement.fires:
        return ["Nothing fires."]
    said = [f"{count} {WORDS[name]}" for name, count in statement.counts().items() if count]
    money = statement.money()
    return [*said, *(f"{name} of customers: {money[name]:f}" for name in ("gains", "losses") if money[name])] + (
        [f"borne by the firm: {statement.borne:f}"] if statement.borne else []
    )
