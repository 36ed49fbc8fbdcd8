"""Closing: all or a part of one order, all orders, or what a price has fired."""

from __future__ import annotations

from decimal import Decimal

from trades.orders import money, rules
from trades.orders.answers import Outcome, closed_all_body, closed_body
from trades.orders.commands import Answer, Command
from trades.orders.errors import OrderNotFoundOrClosed, PriceNotFound
from trades.orders.opening import open_pending
from trades.orders.positions import close_part, close_position, make_good, refuse_if_uncovered
from trades.orders.rows import OrderRow
from trades.orders.tick import MarginAccount, Tick
from trades.states import CloseReason, OrderStatus


def close(tick: Tick, command: Command, account: MarginAccount) -> Answer:
    """Close an order, or the part of it that the command names, at the market price."""
    order = tick.orders.get((command.customer_id, command.terms["orderId"]))
    if order is None:
        raise OrderNotFoundOrClosed
    closed_before = tick.made.get(command.id) or order
    if closed_before.status == OrderStatus.CLOSED and (
        closed_before is not order or tick.closed_by.get(order.id) == command.id
    ):
        return _closed(tick, command, closed_before, account)
    if order.status != OrderStatus.OPEN:
        raise OrderNotFoundOrClosed
    instrument = tick.instruments[order.instrument_id]
    price = tick.price(instrument, order.instrument_id).exit(order.side)
    quantity = rules.optional(command.terms.get("quantity"))
    if quantity is not None:
        rules.check_part(quantity, order, instrument)
    result = money.profit(
        order.side,
        order.opened_price,
        price,
        quantity or order.quantity,
        instrument.counter_asset.decimals,
        order.realized,
    )
    refuse_if_uncovered(tick, account, -result, {order.id} if quantity in (None, order.quantity) else set())
    if quantity is not None and quantity < order.quantity:
        order = close_part(tick, account, order, quantity, CloseReason.MANUAL, command.id)
        tick.made[command.id] = order
    else:
        close_position(tick, account, order, CloseReason.MANUAL, command.id)
    make_good(tick, account, order)
    return _closed(tick, command, order, account)


def close_all(tick: Tick, command: Command, account: MarginAccount) -> Answer:
    """Close every open order, or those of one symbol; an order without a price stays open and says so."""
    symbol = command.terms.get("symbol")
    wanted = [
        order
        for order in tick.all_of(account).values()
        if order.status == OrderStatus.OPEN and symbol in (None, order.instrument_id)
    ]
    priced = [order for order in wanted if tick.is_priced(order)]
    loss = -sum(tick.floating(order) for order in priced)
    refuse_if_uncovered(tick, account, loss, {order.id for order in priced})
    for order in priced:
        close_position(tick, account, order, CloseReason.CLOSE_ALL, command.id)
    if priced:
        make_good(tick, account, priced[-1])
    outcomes = [_outcome(tick, order) for order in wanted]
    return Answer(command.id, 200, closed_all_body(outcomes))


def fire(tick: Tick, command: Command, account: MarginAccount) -> None:
    """A price may have reached an order's trigger: look at it exactly, then do what it says."""
    order = tick.orders.get((command.customer_id, command.terms["orderId"]))
    if order is None or not tick.is_priced(order):
        return
    market = tick.prices.by_symbol[order.instrument_id]
    if order.status == OrderStatus.PENDING:
        assert order.price is not None
        if money.pending_fires(order.type, order.side, order.price, market.entry(order.side)):
            open_pending(tick, account, order, market)
    elif order.status == OrderStatus.OPEN and (reason := _fired(tick, order, market.exit(order.side))):
        close_position(tick, account, order, reason, None)
        make_good(tick, account, order)


def _fired(tick: Tick, order: OrderRow, price: Decimal) -> str | None:
    """What the price fires of an order: the stop loss is tested first."""
    peak = tick.peaks.get(order.id, order.trail_peak)
    if peak is not None:
        peak = money.better(order.side, peak, price)
    if money.stop_loss_fires(order.side, order.stop_loss, price):
        return CloseReason.STOP_LOSS
    if money.trailing_stop_fires(order.side, order.trailing_stop, peak, price):
        return CloseReason.TRAILING_STOP
    if money.take_profit_fires(order.side, order.take_profit, price):
        return CloseReason.TAKE_PROFIT
    return None


def _closed(tick: Tick, command: Command, order: OrderRow, account: MarginAccount) -> Answer:
    instrument = tick.instruments[order.instrument_id]
    parent = command.terms["orderId"] if order.parent_id else None
    body = closed_body(
        order, account.trader.user_id, instrument.price_decimals, instrument.counter_asset.decimals, parent
    )
    return Answer(command.id, 200, body, command.terms["orderId"])


def _outcome(tick: Tick, order: OrderRow) -> Outcome:
    instrument = tick.instruments[order.instrument_id]
    if order.status == OrderStatus.CLOSED:
        return Outcome(order, instrument.price_decimals, instrument.counter_asset.decimals, "")
    return Outcome(order, 0, 0, PriceNotFound(order.instrument_id).text)
