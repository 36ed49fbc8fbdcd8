"""Changing what protects an order, and cancelling one that waits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from trades.margin import rules
from trades.margin.account import AccountState
from trades.margin.commands import Command
from trades.margin.errors import AgainstTheRules, OrderNotFound
from trades.margin.kinds import Actor
from trades.margin.opening import cancel_pending
from trades.margin.outcomes import Cancelled, Changed
from trades.margin.rows import OrderRow
from trades.margin.session import Kind, Session
from trades.margin.terms import COLUMNS, ENTRY_PRICES, STOPS
from trades.states import CancelReason, OrderStatus

_STOPS = [term.column for term in STOPS]


def change(session: Session, command: Command, account: AccountState) -> Changed:
    """Set or clear take profit, stop loss and trailing stop, or move a pending order's price; all or nothing.

    A pending order's price is another only where one may be placed. Raises the refusals of `rules`, of
    `Market.refuse_opening` and of `Market.price_to_judge_by`, and OrderNotFound.
    """
    order = _found(session, command)
    if order.status not in (OrderStatus.OPEN, OrderStatus.PENDING):
        raise AgainstTheRules(f"The order is {order.status.lower()} and can't be changed any more")
    instrument = session.market.instrument_of(order)
    wanted = {COLUMNS[name]: rules.optional(value) for name, value in command.terms["set"].items()}
    waits_elsewhere = any(term.column in wanted for term in ENTRY_PRICES)
    if waits_elsewhere and order.status == OrderStatus.PENDING:
        session.market.refuse_opening(order.instrument_id, order.instrument_id, waits=True)
    market = session.market.price_to_judge_by(order.instrument_id)
    if waits_elsewhere and order.status != OrderStatus.PENDING:
        raise AgainstTheRules("Only the price of a pending order can be changed")
    rules.check_ticks({name: wanted.get(column) for name, column in COLUMNS.items()}, instrument)
    draft = _with(order, wanted)
    untouched = {name: None for name in _STOPS if name not in wanted}
    if order.status == OrderStatus.PENDING:
        assert draft.price is not None
        rules.check_waits(draft, instrument, market)
        rules.check_limits(draft, instrument, draft.price, "price")
        if waits_elsewhere:
            rules.check_price_distance(draft, instrument, market)
        set_anew = draft if waits_elsewhere else _with(draft, untouched)
        rules.check_distances(set_anew, instrument, rules.closes_at(draft.price, order.side, market))
    else:
        # Only what is set anew is judged by today's price: the other limits may be about to fire.
        set_anew = _with(draft, untouched)
        rules.check_limits(set_anew, instrument, market.exit(order.side), "current price")
        rules.check_distances(set_anew, instrument, market.exit(order.side))
    before = {name: getattr(order, column) for name, column in COLUMNS.items() if column in wanted}
    trail: dict[str, object] = {}
    for column, value in wanted.items():
        setattr(order, column, value)
    if (
        order.status == OrderStatus.OPEN
        and "trailing_stop" in wanted
        and wanted["trailing_stop"] != before["trailingStop"]
    ):
        order.trail_peak = order.trail_at = None
        if order.trailing_stop is not None:
            rules.set_trail(session, order, market)
        trail["trailPeak"] = order.trail_peak
    changes = {name: [was, getattr(order, COLUMNS[name])] for name, was in before.items()}
    session.event(Kind.CHANGED, order.customer_id, order.id, command.id, **changes, **trail)
    return Changed(order)


def cancel(session: Session, command: Command, account: AccountState) -> Cancelled:
    """Cancel a pending order."""
    order = _found(session, command)
    if order.status == OrderStatus.OPEN:
        raise AgainstTheRules("Only a pending order can be cancelled; close an open one")
    if order.status != OrderStatus.PENDING:
        raise AgainstTheRules(f"The order is {order.status.lower()} already")
    reason = CancelReason.OPERATOR if command.actor is Actor.OPERATOR else CancelReason.MANUAL
    cancel_pending(session, order, reason, command)
    return Cancelled(order)


def _found(session: Session, command: Command) -> OrderRow:
    order = session.orders.get((command.customer_id, command.terms["orderId"]))
    if order is None:
        raise OrderNotFound
    return order


def _with(order: OrderRow, values: Mapping[str, Decimal | None]) -> OrderRow:
    """The order as it would be, to be judged before anything is changed."""
    draft = replace(order)
    for column, value in values.items():
        setattr(draft, column, value)
    return draft
