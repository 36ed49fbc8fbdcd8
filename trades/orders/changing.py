"""Changing what protects an order, and cancelling one that waits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from trades.orders import money, rules
from trades.orders.answers import order_body
from trades.orders.commands import Answer, Command
from trades.orders.errors import AgainstTheRules, OrderNotFound
from trades.orders.opening import cancel_pending
from trades.orders.rows import OrderRow
from trades.orders.tick import Kind, MarginAccount, Tick
from trades.states import CancelReason, OrderStatus

_FIELDS = {"takeProfit": "take_profit", "stopLoss": "stop_loss", "trailingStop": "trailing_stop", "price": "price"}


def change(tick: Tick, command: Command, account: MarginAccount) -> Answer:
    """Set or clear take profit, stop loss and trailing stop, or move a pending order's price; all or nothing."""
    order = _found(tick, command)
    if order.status not in (OrderStatus.OPEN, OrderStatus.PENDING):
        raise AgainstTheRules(f"The order is {order.status.lower()} and can't be changed any more")
    instrument = tick.instruments[order.instrument_id]
    market = tick.price(instrument, order.instrument_id)
    wanted = {_FIELDS[name]: rules.optional(value) for name, value in command.terms["set"].items()}
    if "price" in wanted and order.status != OrderStatus.PENDING:
        raise AgainstTheRules("Only the price of a pending order can be changed")
    rules.check_ticks({name: wanted.get(column) for name, column in _FIELDS.items()}, instrument)
    draft = _with(order, wanted)
    if order.status == OrderStatus.PENDING:
        assert draft.price is not None
        rules.check_waits(draft, instrument, market)
        rules.check_limits(draft, instrument, draft.price, "price")
    else:
        # Only what is set anew is judged by today's price: the other limits may be about to fire.
        untouched = {name: None for name in ("take_profit", "stop_loss", "trailing_stop") if name not in wanted}
        rules.check_limits(_with(draft, untouched), instrument, market.exit(order.side), "current price")
    before = {name: getattr(order, column) for name, column in _FIELDS.items() if column in wanted}
    trail: dict[str, object] = {}
    _set(tick, order, wanted)
    if (
        order.status == OrderStatus.OPEN
        and "trailing_stop" in wanted
        and wanted["trailing_stop"] != before["trailingStop"]
    ):
        order.trail_peak = order.trail_at = None
        if order.trailing_stop is not None:
            rules.set_trail(tick, order, market)
        trail["trailPeak"] = order.trail_peak
    changes = {name: [was, getattr(order, _FIELDS[name])] for name, was in before.items()}
    tick.event(Kind.CHANGED, order.customer_id, order.id, command.id, **changes, **trail)
    return _shown(tick, command, order, "Order changed successfully")


def cancel(tick: Tick, command: Command, account: MarginAccount) -> Answer:
    """Cancel a pending order."""
    order = _found(tick, command)
    if order.status == OrderStatus.OPEN:
        raise AgainstTheRules("Only a pending order can be cancelled; close an open one")
    if order.status != OrderStatus.PENDING:
        raise AgainstTheRules(f"The order is {order.status.lower()} already")
    cancel_pending(tick, order, CancelReason.MANUAL, command)
    return _shown(tick, command, order, "Order cancelled successfully")


def _found(tick: Tick, command: Command) -> OrderRow:
    order = tick.orders.get((command.customer_id, command.terms["orderId"]))
    if order is None:
        raise OrderNotFound
    return order


def _with(order: OrderRow, values: Mapping[str, Decimal | None]) -> OrderRow:
    """The order as it would be, to be judged before anything is changed."""
    draft = replace(order)
    for column, value in values.items():
        setattr(draft, column, value)
    return draft


def _set(tick: Tick, order: OrderRow, wanted: Mapping[str, Decimal | None]) -> None:
    for column, value in wanted.items():
        setattr(order, column, value)
    tick.touch(order)


def _shown(tick: Tick, command: Command, order: OrderRow, message: str) -> Answer:
    instrument = tick.instruments[order.instrument_id]
    decimals = instrument.counter_asset.decimals
    price = tick.prices.usable(order.instrument_id, instrument.price_age_limit_seconds)
    current = floating = None
    is_held = False
    if price is not None and order.status == OrderStatus.OPEN:
        is_held = price.is_held
        current = price.exit(order.side)
        floating = money.floating_profit(
            order.side, order.opened_price, current, order.quantity, decimals, order.realized
        )
    body = order_body(message, order, instrument.price_decimals, decimals, current, floating, is_held=is_held)
    return Answer(command.id, 200, body, order.code)
