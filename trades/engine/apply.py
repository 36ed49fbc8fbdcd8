"""A tick: many commands, one transaction. Load everything, decide in memory, store everything.

Commands are decided one after the other in the order of the stream, each seeing what those before it did:
two closes of one order in a tick are a close and a refusal, as they would be in two ticks. What decides
between ticks and processes is the locked row. A command that was applied before changes nothing and answers
what happened, so the stream may deliver it as often as it likes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import localcontext
from uuid import UUID

from django.conf import settings

from accounts.clock import is_outermost
from accounts.db.pipeline import pipeline
from accounts.errors import InvalidToken, KeyUsedForAnother, Refusal
from accounts.money import EXACT
from quotes.models import Instrument
from quotes.prices import Prices
from quotes.symbols import canonical, instruments, market_hours
from trades.currency import decimals
from trades.engine import load, store
from trades.engine.bounds import Bound
from trades.engine.price_extremes import ExtremeRow
from trades.margin.commands import Answer, Command, remembered_by, who_asked
from trades.margin.decide import act, decide, finish
from trades.margin.kinds import Actor
from trades.margin.market import Market
from trades.margin.presentation import body_of, code_of, refusal_body
from trades.margin.rows import OrderRow, Stored
from trades.margin.session import Changed, Session
from trades.states import LIVE


@dataclass(slots=True)
class Applied:
    """What a tick did: the answers to send, and what the book must know once it is committed."""

    answers: list[Answer] = field(default_factory=list)
    live: list[OrderRow] = field(default_factory=list)
    ended: list[OrderRow] = field(default_factory=list)
    cash: dict[UUID, int] = field(default_factory=dict)
    hedged: dict[UUID, int] = field(default_factory=dict)
    called: dict[UUID, bool] = field(default_factory=dict)
    trails_set: set[str] = field(default_factory=set)
    at: datetime | None = None  # the time that its rows carry


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
    market = market_at(prices)
    with localcontext(EXACT), pipeline() as p:  # the context once for all the calculations of the tick
        session = load.load(p, commands, market, extremes, bound)
        tick = Tick(session)
        for command in commands:
            tick.take(command)
        changes = store.store(p, session, tick.kept, extremes, bound)
        if bound is not None and is_outermost():
            p.commit()
    return done(session, changes, tick.answers)


def market_at(prices: Prices, *would_be: Instrument) -> Market:
    """These prices with the instruments and their hours as they stand. May read them from PostgreSQL.

    With an instrument as it would be, no market rests: what would fire at the next opening is told before.
    """
    by_symbol = instruments() | {one.symbol: one for one in would_be}
    hours = None if would_be else market_hours()
    return Market(prices, by_symbol, canonical, settings.ACCOUNT_CURRENCY, decimals(), hours)


class Tick:
    """Commands of one tick, each taken once: its answer, and which answers are to be kept."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.answers: list[Answer] = []
        self.kept: list[tuple[Command, str, Answer]] = []  # with the key under which each is kept

    def take(self, command: Command) -> None:
        """Decide one command on what was loaded, and on what those before it have decided; nothing is written."""
        if said := who_asked(command):
            self.session.asked[command.id] = said
        if command.actor is Actor.ENGINE:
            act(self.session, command)
        else:
            self.answers.append(self._answer(command))
        finish(self.session, command)

    def _answer(self, command: Command) -> Answer:
        key = remembered_by(command)
        stored = self.session.stored.get((command.customer_id, key)) if key else None
        try:
            if stored is not None:
                return _replay(command, stored)
            outcome = decide(self.session, command)
            code = code_of(outcome, command.terms.get("orderId", ""))
            answer = Answer(command.id, 200, body_of(outcome, self.session.market), code)
        except (InvalidToken, KeyUsedForAnother) as refusal:
            return _refused(command, refusal)  # and not kept: it says nothing about the command
        except Refusal as refusal:
            answer = _refused(command, refusal)
        if key:
            self.kept.append((command, key, answer))
            self.session.stored[command.customer_id, key] = Stored(
                command.request_sha256, command.id, answer.status, answer.body
            )
        return answer


def done(session: Session, changes: Sequence[Changed], answers: list[Answer]) -> Applied:
    """What the engine's book and its callers must know of a session that was stored."""
    applied = Applied(answers, trails_set=session.trails_set, at=session.at)
    for order in (*session.new.values(), *(change.order for change in changes)):
        (applied.live if order.status in LIVE else applied.ended).append(order)
    for account in session.accounts.values():
        applied.cash[account.customer_id] = account.balance
        applied.hedged[account.customer_id] = account.hedged
        if (account.called_at is None) != (account.customer.called_at is None):
            applied.called[account.customer_id] = account.called_at is not None
    return applied


def _replay(command: Command, stored: Stored) -> Answer:
    if stored.request_sha256 != command.request_sha256:
        raise KeyUsedForAnother
    return Answer(
        command.id, stored.status, stored.body, command.terms.get("orderId", ""), stored.command_id != command.id
    )


def _refused(command: Command, refusal: Refusal) -> Answer:
    return Answer(command.id, refusal.status, refusal_body(refusal), command.terms.get("orderId", ""))
