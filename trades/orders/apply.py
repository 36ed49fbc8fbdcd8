"""A tick: many commands, one transaction. Read everything, decide in memory, write everything.

Commands are decided one after the other in the order of the stream, each seeing what those before it did:
two closes of one order in a tick are a close and a refusal, as they would be in two ticks. What decides
between ticks and processes is the locked row. A command that was applied before changes nothing and answers
what happened, so the stream may deliver it as often as it likes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import localcontext

from accounts.clock import is_outermost
from accounts.db.pipeline import pipeline
from accounts.errors import InvalidToken, Refusal
from accounts.money import EXACT
from quotes.prices import Prices
from trades.orders.answers import refusal_body
from trades.orders.bounds import Bound
from trades.orders.changing import cancel, change
from trades.orders.closing import close, close_all, fire
from trades.orders.commands import (
    ASKED_FOR,
    CANCEL,
    CHANGE,
    CLOSE,
    CLOSE_ALL,
    CREATE,
    FIRE,
    JUDGE,
    Answer,
    Command,
    remembered_by,
)
from trades.orders.errors import KeyUsedForAnother
from trades.orders.extremes import ExtremeRow
from trades.orders.opening import create
from trades.orders.risk import judge, look_again
from trades.orders.rows import Stored
from trades.orders.tick import Applied, MarginAccount, Tick

_ASKED: Mapping[str, Callable[[Tick, Command, MarginAccount], Answer]] = {
    CREATE: create,
    CLOSE: close,
    CHANGE: change,
    CANCEL: cancel,
    CLOSE_ALL: close_all,
}
_BY_ITSELF: Mapping[str, Callable[[Tick, Command, MarginAccount], None]] = {FIRE: fire, JUDGE: judge}


def apply(
    commands: Sequence[Command],
    prices: Prices,
    extremes: Sequence[ExtremeRow] = (),
    bound: Bound | None = None,
) -> Applied:
    """Apply commands at these prices, and write down the extremes they made.

    Runs inside the caller's transaction, which makes it all or nothing. `bound` holds the lease and says by when the
    transaction must be committed, and it is: COMMIT goes with what is written, where the caller's transaction is in no
    other. Without it the time is that of the prices, and committing is left to the caller. Raises LeaseLost, and else
    django.db errors only; a refused command is an answer like any other.
    """
    with localcontext(EXACT):  # once for all the calculations of the tick
        return _apply(commands, prices, extremes, bound)


def _apply(commands: Sequence[Command], prices: Prices, extremes: Sequence[ExtremeRow], bound: Bound | None) -> Applied:
    with pipeline() as p:
        tick = Tick(prices, extremes, bound)
        tick.read(p, commands)
        decide(commands, tick)
        tick.write()
        if bound is not None and is_outermost():
            p.commit()
    return tick.done


def decide(commands: Sequence[Command], tick: Tick) -> None:
    """Decide commands one after the other on what the tick has read; nothing is written."""
    for command in commands:
        account = tick.accounts.get(command.customer_id)
        if command.kind in ASKED_FOR:
            _take(tick, command, account)
        elif account is not None:
            _BY_ITSELF[command.kind](tick, command, account)
        if account is not None and account.called_at is not None:
            look_again(tick, account)


def _take(tick: Tick, command: Command, account: MarginAccount | None) -> None:
    """Decide a command that somebody asked for; what it changes waits in memory for `write`."""
    key = remembered_by(command)
    stored = tick.stored.get((command.customer_id, key)) if key else None
    try:
        if stored is not None:
            tick.done.answers.append(_replay(command, stored))
            return
        if account is None or not (account.trader.is_active and account.trader.user_id == command.user_id):
            raise InvalidToken
    except (InvalidToken, KeyUsedForAnother) as refusal:
        tick.done.answers.append(_refused(command, refusal))
        return
    try:
        answer = _ASKED[command.kind](tick, command, account)
    except Refusal as refusal:
        answer = _refused(command, refusal)
    tick.answered(command, answer)


def _replay(command: Command, stored: Stored) -> Answer:
    if stored.request_sha256 != command.request_sha256:
        raise KeyUsedForAnother
    return Answer(
        command.id, stored.status, stored.body, command.terms.get("orderId", ""), stored.command_id != command.id
    )


def _refused(command: Command, refusal: Refusal) -> Answer:
    return Answer(command.id, refusal.status, refusal_body(refusal), command.terms.get("orderId", ""))
