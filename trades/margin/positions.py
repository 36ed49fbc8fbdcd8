"""What opening and closing a position does to a margin account, in memory: the movements of docs/ledger.md.

Everything that closes a position, whoever wants it closed, goes through `close_position` and then, once its command
is through, `make_good`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from accounts.ids import order_code, uuid7
from accounts.ledger import SWAP
from accounts.money import exact
from quotes.conversion import ONE, Rate
from trades.margin import advances, hedging, pricing
from trades.margin.account import AccountState
from trades.margin.rows import OrderRow
from trades.margin.session import Kind, Session
from trades.states import CloseReason, OrderStatus


def reserve(session: Session, account: AccountState, order: OrderRow) -> None:
    """An order opens: its margin moves from what is free to what is reserved, less what need not be reserved of it."""
    hedging.opens(session, account, order)
    session.move(order, account.available_row, account.margin_row, order.margin, "order_margin", "open:margin")
    session.expose(account, order)


class Closing(NamedTuple):
    """What closing an order, or so much of it as `quantity`, would bring; base units."""

    order: OrderRow
    quantity: Decimal
    price: Decimal
    profit: int
    rate: Rate = ONE  # that the profit is converted at

    @property
    def cash(self) -> int:
        """What the account has more by it, or less (negative), free and reserved together."""
        return self.profit


def at_market(session: Session, order: OrderRow, quantity: Decimal | None = None) -> Closing:
    """Work out the closing of an open order, or a part of it, at the latest price. Raises PriceNotFound."""
    price = session.market.price(order.instrument_id).exit(order.side)
    session.market.conversion(order.instrument_id)  # a rate that is too old is no price, too
    quantity = order.quantity if quantity is None else quantity
    profit, rate = session.market.result(order, price, quantity), session.market.rate(order, price)
    return Closing(order, quantity, price, profit, rate)


def close_position(
    session: Session, account: AccountState, closing: Closing, reason: CloseReason, command_id: UUID | None
) -> None:
    """Close an order, all of it, as it was worked out. What is free may be negative until `make_good`."""
    order, result = closing.order, closing.profit
    released = min(order.margin, account.reserved)
    session.move(order, account.margin_row, account.available_row, released, "order_margin_release", "close:margin")
    account.drawn -= order.margin - released
    hedging.closes(session, account, order)
    if result > 0:
        session.move(order, account.profit_row, account.available_row, result, "order_profit", "close:result")
        if account.owed:
            advances.earn(account, order, result)
    elif result < 0:
        session.move(order, account.available_row, account.profit_row, -result, "order_loss", "close:result")
    session.expose(account, order, -1)
    if order.swap_accrued:
        _hand_over_swap(session, account, order)
    order.status, order.close_price, order.profit = OrderStatus.CLOSED, closing.price, result
    order.close_reason, order.closed_at = reason, session.at
    session.end(order)
    session.deal(order, command_id, "close", closing.price, closing.rate)
    session.event(Kind.CLOSED, order.customer_id, order.id, command_id)
    session.closed_by[order.id] = command_id


@exact
def close_part(
    session: Session, account: AccountState, order: OrderRow, quantity: Decimal, reason: CloseReason, command_id: UUID
) -> OrderRow:
    """Close a part of an open order; the part, closed. What it brings exactly, the order remembers as realized."""
    if order.nets_margin:
        hedging.of_symbol(session, account, order.instrument_id)  # while the order is whole
    part = split_off(session, order, quantity, command_id)
    closing = at_market(session, part)
    close_position(session, account, closing, reason, command_id)
    order.realized += pricing.result(
        part.side, part.opened_price, closing.price, part.quantity, session.market.decimals, closing.rate
    )
    return part


@exact
def _hand_over_swap(session: Session, account: AccountState, order: OrderRow) -> None:
    """An order closes: what its swap has below a cent goes to the account, where such rests add up to cents.

    A cent that has come together by that is booked for this order.
    """
    account.swap_carried += order.swap_accrued - pricing.booked(order.swap_accrued, pricing.NOTHING)
    due = pricing.booked(account.swap_carried, pricing.NOTHING)
    if due:
        account.swap_carried -= due
        move_swap(session, account, order, due, "close:swap")


def move_swap(session: Session, account: AccountState, order: OrderRow, amount: int, step: str) -> None:
    """Pay an order's swap out of the house's account, or charge it (a negative amount)."""
    house = session.house(order.customer_id, SWAP)
    if amount > 0:
        session.move(order, house, account.available_row, amount, "order_swap", step)
    else:
        session.move(order, account.available_row, house, -amount, "order_swap", step)
    order.swap += amount


@exact
def split_off(session: Session, order: OrderRow, quantity: Decimal, command_id: UUID) -> OrderRow:
    """Take a part out of an open order, to be closed by itself; the rest stays open under its own orderId.

    The rest reserves what an order of its size would; the part holds the rest of the margin, and its share of the swap
    and the fee so far. What the swap has below a cent stays with the rest.
    """
    left = order.quantity - quantity
    decimals, rate = session.market.decimals, order.opened_rate
    margin = pricing.margin_required(left, order.opened_price, order.leverage, decimals, rate)
    margin = min(margin, order.margin)  # rounding up never asks for more than there was
    swap, fee = (pricing.share(amount, quantity, order.quantity) for amount in (order.swap, order.fee))
    part = replace(
        order,
        id=uuid7(),
        code=order_code(),
        client_order_id=None,
        command_id=command_id,
        parent_id=order.id,
        quantity=quantity,
        margin=order.margin - margin,
        swap=swap,
        fee=fee,
        swap_accrued=pricing.NOTHING,
    )
    order.quantity, order.margin, order.swap, order.fee = left, margin, order.swap - swap, order.fee - fee
    session.add(part)
    session.end(part)
    session.event(Kind.REDUCED, order.customer_id, order.id, command_id, part=part.code, quantity=quantity, left=left)
    return part


def refuse_if_uncovered(session: Session, account: AccountState, closings: Sequence[Closing]) -> None:
    """A loss beyond all the account's cash takes the other positions with it, so they need a price as well.

    Else somebody could close the losing half of a hedge on the house's account and keep the winning half.
    Raises PriceNotFound, and where that market rests why.
    """
    if account.cash + sum(closing.cash for closing in closings) >= 0:
        return
    leaving = {closing.order.id for closing in closings if closing.quantity == closing.order.quantity}
    for order in session.all_of(account).values():
        if order.status == OrderStatus.OPEN and order.id not in leaving and not session.market.is_priced(order):
            raise session.market.why_not_priced(order)


def make_good(session: Session, account: AccountState, order: OrderRow, step: str = "close") -> None:
    """After a command: what is free is not negative any more, and what losses had drawn from margins is put back.

    A loss beyond the free cash first draws on what other orders have reserved; beyond that it closes the customer's
    winning positions, the best first. What is still missing then the house advances while another position has no price
    to be closed at; else it is the house's to bear (negative balance protection). Profits that an advance waits for
    repay it before anything is put back.
    """
    if (account.free < 0 or account.earned) and account.cash < account.due:
        last = _realize_profits(session, account)
        if last is not None:  # what follows belongs to its closing, which no other movement can have been named after
            order, step = last, "close"
    if account.earned:
        advances.repay(session, account, order, step)
    if account.free < 0:
        drawn = min(-account.free, account.reserved)
        session.move(order, account.margin_row, account.available_row, drawn, "order_margin_drawn", f"{step}:drawn")
        account.drawn += drawn
    if account.free < 0:
        advances.cover(session, account, order, step)
    if account.owed:
        advances.waive_what_nothing_repays(session, account, order, step)
    put_back = min(account.drawn, account.free)
    if put_back > 0:
        session.move(
            order, account.available_row, account.margin_row, put_back, "order_margin_restored", f"{step}:restored"
        )
        account.drawn -= put_back


def _realize_profits(session: Session, account: AccountState) -> OrderRow | None:
    """Close winning positions, the best first, until the cash pays for what is due; the last one closed."""
    winning = [
        (session.market.floating(order), order.id, order)
        for order in session.all_of(account).values()
        if order.status == OrderStatus.OPEN and session.market.is_priced(order)
    ]
    last = None
    for profit, _, order in sorted(winning, key=lambda one: (-one[0], one[1])):
        if profit <= 0 or account.cash >= account.due:
            break
        close_position(session, account, at_market(session, order), CloseReason.STOP_OUT, None)
        last = order
    return last
