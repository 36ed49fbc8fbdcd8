"""One command is decided: by whom it may be asked for, and which rule it goes to."""

from __future__ import annotations

from datetime import timedelta
from typing import Final, assert_never

from accounts.errors import InvalidToken
from accounts.identity import EXECUTE_ORDERS
from trades.margin.account import AccountState
from trades.margin.changing import cancel, change
from trades.margin.closing import close, close_all, fire
from trades.margin.commands import Command
from trades.margin.kinds import KINDS, Actor, CommandKind
from trades.margin.liquidation import judge, look_again
from trades.margin.opening import create
from trades.margin.outcomes import Outcome
from trades.margin.rows import CustomerRow
from trades.margin.session import Session

ORDERED_FOR: Final = timedelta(minutes=10)  # a dealer's action; after that it is proposed anew


def decide(session: Session, command: Command) -> Outcome:
    """Decide a command that somebody asked for. Raises InvalidToken where they may not, and the rules' refusals."""
    account = session.accounts.get(command.customer_id)
    if account is None or not _may_ask(session, account.customer, command):
        raise InvalidToken
    outcome = _by_its_rule(session, command, account)
    assert outcome is not None, "what anybody asks for has an outcome"
    return outcome


def act(session: Session, command: Command) -> None:
    """Do what a price has brought about: nobody asked, so there is nothing to refuse."""
    account = session.accounts.get(command.customer_id)
    if account is not None:
        _by_its_rule(session, command, account)


def finish(session: Session, command: Command) -> None:
    """After any command, refused or not: a called account may be well again."""
    account = session.accounts.get(command.customer_id)
    if account is not None and account.called_at is not None:
        look_again(session, account)


def _may_ask(session: Session, customer: CustomerRow, command: Command) -> bool:
    """A trader is active and this customer's, and the session in which they asked has not ended. An API client is
    active, its token is of now, and it has the scope. An operator's action was ordered."""
    if command.actor not in KINDS[command.kind].asked_by:
        return False
    match command.actor:
        case Actor.TRADER:
            return (
                customer.is_active
                and customer.user_id == command.asker_id
                and customer.generation == command.generation
                and command.session_id not in customer.ended
            )
        case Actor.CLIENT:
            client = session.clients.get(command.asker_id) if command.asker_id else None
            return (
                client is not None
                and client.is_active
                and client.generation == command.generation
                and EXECUTE_ORDERS in client.scopes
            )
        case Actor.OPERATOR:
            return _was_ordered(session, command)
        case Actor.ENGINE:
            return True
        case forgotten:
            assert_never(forgotten)


def _was_ordered(session: Session, command: Command) -> bool:
    """Whether a dealer's action in the database says just this, and was ordered lately. The stream alone says nothing:
    whoever can write into it could close what they like."""
    ordered = session.ordered.get(command.action_id) if command.action_id else None
    return (
        ordered is not None
        and ordered.made_by == command.asker_id
        and ordered.kind == command.kind.value
        and ordered.customer_id in (None, command.customer_id)
        and ordered.order_code == command.terms.get("orderId", "")
        and ordered.symbol == command.terms.get("symbol")
        and command.terms.get("quantity") is None
        and session.at - ordered.ordered_at <= ORDERED_FOR
    )


def _by_its_rule(session: Session, command: Command, account: AccountState) -> Outcome | None:
    """None of what nobody waits for."""
    match command.kind:
        case CommandKind.CLOSE:
            return close(session, command, account)
        case CommandKind.CREATE:
            return create(session, command, account)
        case CommandKind.CHANGE:
            return change(session, command, account)
        case CommandKind.CANCEL:
            return cancel(session, command, account)
        case CommandKind.CLOSE_ALL:
            return close_all(session, command, account)
        case CommandKind.FIRE:
            fire(session, command, account)
        case CommandKind.JUDGE:
            judge(session, command, account)
        case forgotten:
            assert_never(forgotten)
    return None
