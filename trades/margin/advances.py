"""What the house advances for a loss while a market rests, and how it comes back (docs/decisions/0033).

A loss beyond all the cash would close the customer's winners. Where one has no usable price, and so can't be closed,
the house advances what is missing. Profits of positions that were open by then repay it, nothing else does; what they
don't bring is waived when the last of them has closed.
"""

from __future__ import annotations

from accounts.ledger import ADVANCES, PROTECTION
from trades.margin.account import AccountState
from trades.margin.rows import OrderRow
from trades.margin.session import Session
from trades.states import OrderStatus


def earn(account: AccountState, order: OrderRow, profit: int) -> None:
    """A position closes with a profit: count it, if an advance waits for this position."""
    if _is_awaited(account, order):
        account.earned += profit


def repay(session: Session, account: AccountState, order: OrderRow, step: str) -> None:
    """Repay from what the command's closings have earned; what is free may be negative afterwards.

    All of it, whatever they have lost beside: a loss that took these profits would be one that the firm has paid for,
    while the customer keeps other winners.
    """
    paid, account.earned = account.due, 0
    house = session.house(order.customer_id, ADVANCES)
    session.move(order, account.available_row, house, paid, "order_advance_repaid", f"{step}:repaid")
    _owe(account, account.owed - paid)


def cover(session: Session, account: AccountState, order: OrderRow, step: str) -> None:
    """The house pays what is missing: for the time being, while a position may yet bring it, else for good.

    For good, it is no use waiting for what was advanced before either: what has a price has been tried.
    """
    missing = -account.free
    if any(
        other.status == OrderStatus.OPEN and not session.market.is_priced(other)
        for other in session.all_of(account).values()
    ):
        house = session.house(order.customer_id, ADVANCES)
        session.move(order, house, account.available_row, missing, "order_advance", f"{step}:advance")
        account.owed, account.owed_at = account.owed + missing, session.at
    else:
        house = session.house(order.customer_id, PROTECTION)
        session.move(order, house, account.available_row, missing, "order_protection", f"{step}:protection")
        _waive(session, account, order, step)


def waive_what_nothing_repays(session: Session, account: AccountState, order: OrderRow, step: str) -> None:
    """Nobody owes anything any more once no position is open that was open at the last advance."""
    if not any(_is_awaited(account, other) for other in session.all_of(account).values()):
        _waive(session, account, order, step)


def _waive(session: Session, account: AccountState, order: OrderRow, step: str) -> None:
    if account.owed:
        protection, advances = (session.house(order.customer_id, type_) for type_ in (PROTECTION, ADVANCES))
        session.move(order, protection, advances, account.owed, "order_advance_waived", f"{step}:waived")
        _owe(account, 0)


def _is_awaited(account: AccountState, order: OrderRow) -> bool:
    """Whether an order is or was a position by the time of the last advance. Its parts keep its opening time."""
    return order.opened_at is not None and account.owed_at is not None and order.opened_at <= account.owed_at


def _owe(account: AccountState, amount: int) -> None:
    account.owed = amount
    if amount == 0:
        account.owed_at = None
