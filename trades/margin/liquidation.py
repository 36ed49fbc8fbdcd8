"""Margin call and stop-out: what a falling margin level does to an account.

margin level = equity / margin x 100, with equity = cash - what is owed + floating profit by the latest prices, however
old: a market that rests must not hide a loss. Executing still needs a usable price.
"""

from __future__ import annotations

from django.conf import settings

from accounts.money import from_base_units
from trades.margin.account import AccountState
from trades.margin.commands import Command
from trades.margin.levels import margin_level, reaches
from trades.margin.opening import cancel_pending
from trades.margin.positions import at_market, close_position, make_good
from trades.margin.session import Kind, Session
from trades.states import CancelReason, CloseReason, OrderStatus


def judge(session: Session, command: Command, account: AccountState) -> None:
    """Look at an account's margin level exactly, and act on it."""
    equity, margin = figures(session, account)
    _mark(session, account, equity, margin)
    if reaches(equity, margin, settings.STOP_OUT_PERCENT):
        _stop_out(session, account, equity, margin)
        _mark(session, account, *figures(session, account))


def look_again(session: Session, account: AccountState) -> None:
    """After a command of an account that is called: its last position may be gone, or its margin released."""
    _mark(session, account, *figures(session, account))


def figures(session: Session, account: AccountState) -> tuple[int, int]:
    """Equity and used margin of an account, base units."""
    positions = [order for order in session.all_of(account).values() if order.status == OrderStatus.OPEN]
    margin = sum(order.margin for order in positions) - account.hedged
    return account.balance + sum(session.market.floating(o) for o in positions), margin


def release_percent() -> int:
    """The margin level above which a call is over; never below the call's own mark."""
    mark: int = max(settings.MARGIN_CALL_RELEASE_PERCENT, settings.MARGIN_CALL_PERCENT)
    return mark


def _mark(session: Session, account: AccountState, equity: int, margin: int) -> None:
    """The margin call begins at or below its mark and is over above its release, each told once.

    In between nothing changes, so that a price that goes up and down about the mark calls once.
    """
    was_called = account.called_at is not None
    is_called = reaches(equity, margin, release_percent() if was_called else settings.MARGIN_CALL_PERCENT)
    if is_called and not was_called:
        account.called_at = session.at
        _tell(session, account, Kind.MARGIN_CALL, equity, margin)
    elif was_called and not is_called:
        account.called_at = None
        _tell(session, account, Kind.MARGIN_CALL_OVER, equity, margin)


def _stop_out(session: Session, account: AccountState, equity: int, margin: int) -> None:
    """Pending orders go first, then positions from the largest loss, until the level is above the mark.

    Closing turns floating profit into cash at the very price it was reckoned with, so the used margin falls and equity
    stays, but for what closing costs. A position without a usable price can't be closed and stays. Closing the smaller
    side of a hedge releases nothing: it goes on with the next.
    """
    live = session.all_of(account)
    pending = [order for order in live.values() if order.status == OrderStatus.PENDING]
    positions = [(session.market.floating(o), o.id, o) for o in live.values() if o.status == OrderStatus.OPEN]
    ranked = sorted((one for one in positions if session.market.is_priced(one[2])), key=lambda one: one[:2])
    if not ranked:  # nothing can be closed, so nothing is done to the account until a price is usable
        return
    _tell(session, account, Kind.STOP_OUT, equity, margin)
    for order in pending:
        cancel_pending(session, order, CancelReason.STOP_OUT)
    floating = sum(profit for profit, _, _ in positions)
    last = None
    for profit, _, order in ranked:
        if not reaches(account.balance + floating, margin, settings.STOP_OUT_PERCENT):
            break
        hedged = account.hedged
        close_position(session, account, at_market(session, order), CloseReason.STOP_OUT, None)
        floating -= profit
        margin -= order.margin - (hedged - account.hedged)
        last = order
    if last is not None:
        make_good(session, account, last)


def _tell(session: Session, account: AccountState, kind: str, equity: int, margin: int) -> None:
    decimals = session.market.decimals
    session.event(
        kind,
        account.customer_id,
        None,
        None,
        equity=from_base_units(equity, decimals),
        margin=from_base_units(margin, decimals),
        marginLevel=margin_level(equity, margin),
    )
