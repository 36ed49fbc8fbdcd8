"""Closing: all or a part of one order, all orders, or what a price has fired."""

from __future__ import annotations

from decimal import Decimal

from trades.margin import rules, triggers
from trades.margin.account import AccountState
from trades.margin.commands import Command
from trades.margin.errors import OrderNotFoundOrClosed
from trades.margin.kinds import Actor
from trades.margin.opening import open_pending
from trades.margin.outcomes import Closed, ClosedAll
from trades.margin.positions import at_market, close_part, close_position, make_good, refuse_if_uncovered
from trades.margin.rows import OrderRow
from trades.margin.session import Session
from trades.states import CloseReason, OrderStatus


def close(session: Session, command: Command, account: AccountState) -> Closed:
    """Close an order, or the part of it that the command names, at the market price."""
    order = session.orders.get((command.customer_id, command.terms["orderId"]))
    if order is None:
        raise OrderNotFoundOrClosed
    closed_before = session.made.get(command.id) or order
    if closed_before.status == OrderStatus.CLOSED and (
        closed_before is not order or session.closed_by.get(order.id) == command.id
    ):
        return _closed(command, closed_before, account)
    if order.status != OrderStatus.OPEN:
        raise OrderNotFoundOrClosed
    closing = at_market(session, order)
    quantity = rules.optional(command.terms.get("quantity"))
    if quantity is not None:
        rules.check_part(quantity, order, session.market.instrument_of(order))
        closing = at_market(session, order, quantity)
    refuse_if_uncovered(session, account, [closing])
    if quantity is not None and quantity < order.quantity:
        order = close_part(session, account, order, quantity, _reason(command, CloseReason.MANUAL), command.id)
        session.made[command.id] = order
    else:
        close_position(session, account, closing, _reason(command, CloseReason.MANUAL), command.id)
    make_good(session, account, order)
    return _closed(command, order, account)


def close_all(session: Session, command: Command, account: AccountState) -> ClosedAll:
    """Close every open order, or those of one symbol; an order without a price stays open and says so.

    A dealer's action is about what was open when it was made: that was compared with what they may do.
    """
    symbol = command.terms.get("symbol")
    made_at = session.ordered[command.action_id].made_at if command.action_id else None
    wanted = [
        order
        for order in session.all_of(account).values()
        if order.status == OrderStatus.OPEN
        and symbol in (None, order.instrument_id)
        and (made_at is None or (order.opened_at is not None and order.opened_at <= made_at))
    ]
    closings = [at_market(session, order) for order in wanted if session.market.is_priced(order)]
    refuse_if_uncovered(session, account, closings)
    for closing in closings:
        close_position(session, account, closing, _reason(command, CloseReason.CLOSE_ALL), command.id)
    if closings:
        make_good(session, account, closings[-1].order)
    return ClosedAll(wanted)


def fire(session: Session, command: Command, account: AccountState) -> None:
    """A price may have reached an order's trigger: look at it exactly, then do what it says."""
    order = session.orders.get((command.customer_id, command.terms["orderId"]))
    if order is None or not session.market.is_priced(order):
        return
    market = session.market.price(order.instrument_id)
    if order.status == OrderStatus.PENDING:
        if triggers.fired_entry(order, market.entry(order.side)):
            open_pending(session, account, order, market)
    elif order.status == OrderStatus.OPEN and (reason := _fired(session, order, market.exit(order.side))):
        close_position(session, account, at_market(session, order), reason, None)
        make_good(session, account, order)


def _fired(session: Session, order: OrderRow, price: Decimal) -> CloseReason | None:
    peak = session.peaks.get(order.id, order.trail_peak)
    if peak is not None:
        peak = triggers.better(order.side, peak, price)
    return triggers.fired_exit(order, peak, price)


def _reason(command: Command, of_a_caller: CloseReason) -> CloseReason:
    return CloseReason.OPERATOR if command.actor is Actor.OPERATOR else of_a_caller


def _closed(command: Command, order: OrderRow, account: AccountState) -> Closed:
    return Closed(order, account.customer.user_id, command.terms["orderId"] if order.parent_id else None)
