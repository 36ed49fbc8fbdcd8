"""One command is decided: by whom it may be asked for, and which rule it goes to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from accounts.errors import InvalidToken
from trades.margin.account import AccountState
from trades.margin.changing import cancel, change
from trades.margin.closing import close, close_all, fire
from trades.margin.commands import CANCEL, CHANGE, CLOSE, CLOSE_ALL, CREATE, FIRE, JUDGE, Command
from trades.margin.liquidation import judge, look_again
from trades.margin.opening import create
from trades.margin.outcomes import Outcome
from trades.margin.session import Session

_ASKED: Final[Mapping[str, Callable[[Session, Command, AccountState], Outcome]]] = {
    CREATE: create,
    CLOSE: close,
    CHANGE: change,
    CANCEL: cancel,
    CLOSE_ALL: close_all,
}
_BY_ITSELF: Final[Mapping[str, Callable[[Session, Command, AccountState], None]]] = {FIRE: fire, JUDGE: judge}


def decide(session: Session, command: Command) -> Outcome:
    """Decide a command that somebody asked for. Raises InvalidToken where they may not, and the rules' refusals."""
    account = session.accounts.get(command.customer_id)
    if account is None or not account.customer.is_active or account.customer.user_id != command.user_id:
        raise InvalidToken
    return _ASKED[command.kind](session, command, account)


def act(session: Session, command: Command) -> None:
    """Do what a price has brought about: nobody asked, so there is nothing to refuse."""
    account = session.accounts.get(command.customer_id)
    if account is not None:
        _BY_ITSELF[command.kind](session, command, account)


def finish(session: Session, command: Command) -> None:
    """After any command, refused or not: a called account may be well again."""
    account = session.accounts.get(command.customer_id)
    if account is not None and account.called_at is not None:
        look_again(session, account)
