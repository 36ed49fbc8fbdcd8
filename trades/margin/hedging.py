"""Positions against each other reserve the margin of the larger side alone, where their instrument has it so.

Of a customer's open positions in one symbol that were opened under this term (`OrderRow.nets_margin`), the smaller
side's margin isn't reserved: it is `hedged`. Every order keeps its own margin, whatever becomes of the others, and the
term that it opened under. Closing any position never raises what is reserved, for the larger side never grows by it.
"""

from __future__ import annotations

from trades.margin.account import AccountState
from trades.margin.rows import OrderRow
from trades.margin.session import Session
from trades.margin.sides import Sides
from trades.states import OrderStatus


def covered(session: Session, account: AccountState, order: OrderRow) -> int:
    """How much of its margin is reserved already for the other side, where this order is about to open.

    It may spend that beside what is free. So its own side could be paid if the other one closed at these prices.
    """
    if not session.market.nets(order.instrument_id):
        return 0
    sides = of_symbol(session, account, order.instrument_id)
    return sides.larger - sides.of(order.side)


def opens(session: Session, account: AccountState, order: OrderRow) -> None:
    """An order opens: what of its margin, or of the other side's, need not be reserved any more becomes free."""
    if order.nets_margin:
        now_hedged = _changed(session, account, order, order.margin)
        session.move(order, account.margin_row, account.available_row, now_hedged, "order_margin_hedged", "open:hedged")


def closes(session: Session, account: AccountState, order: OrderRow) -> None:
    """An order closes, and its margin was released: what it has hedged of the other side is reserved again.

    That is never more than its margin. Where losses had drawn on it, what is free may be negative until `make_good`.
    """
    if order.nets_margin:
        no_longer = -_changed(session, account, order, -order.margin)
        session.move(
            order, account.available_row, account.margin_row, no_longer, "order_margin_unhedged", "close:unhedged"
        )


def of_symbol(session: Session, account: AccountState, symbol: str) -> Sides:
    """The two sides as the tick stands. Before an order that nets is opened, split or closed, this was asked."""
    if account.sides is None:
        account.sides = {}
        for order in session.all_of(account).values():
            if order.status == OrderStatus.OPEN and order.nets_margin:
                account.sides.setdefault(order.instrument_id, Sides()).add(order.side, order.margin)
    return account.sides.setdefault(symbol, Sides())


def _changed(session: Session, account: AccountState, order: OrderRow, margin: int) -> int:
    """A side grows by this margin, or (negative) shrinks; by how much more is hedged then."""
    sides = of_symbol(session, account, order.instrument_id)
    before = sides.smaller
    sides.add(order.side, margin)
    account.hedged += sides.smaller - before
    return sides.smaller - before
