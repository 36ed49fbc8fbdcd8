"""The storing step: trades go storing -> settling, or -> failed with a code and no movement at all.

Set-based, up to 1,000 trades in one transaction:

1. lock the due trades in id order, passing over rows that another worker holds;
2. lock the originals of exits among them, passing over rows in other hands: an exit whose original is held
   (by a cut, a settling chunk or another exit) stays in `storing` for the next round. So this step never
   waits for a trade, and can't be part of a deadlock with the cut, which locks in whatever order it scans;
3. read which originals have a live exit, in a new statement: it must see what committed before the lock;
4. judge what needs no balance, lock the accounts in id order, then give out the money in id order;
5. write states, events and movements, one statement each.

A trade moves once: the guarded UPDATE, the unique event per step and the unique keys of its movements
each refuse a second time by themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection, transaction

from accounts import ledger
from accounts.ids import uuid7
from accounts.ledger import AVAILABLE, Balances, customers
from quotes.prices import Prices
from quotes.selectors import instruments_named
from trades.models import Trade
from trades.spot.judge import Asked, failure_of
from trades.spot.money import Terms, accounts_of, movements_of
from trades.states import FailureCode, TradeState

MOST_AT_ONCE = 1_000

_DUE = """
SELECT t.id, t.customer_id, t.side, t.receive_asset_id, t.deliver_asset_id, t.receive_amount, t.deliver_amount, t.fee,
       t.instrument_id, t.expected_error, t.reference_trade_id, t.created_at, q.price, q.expires_at, c.state
FROM trades_trade t
JOIN quotes_quote q ON q.id = t.quote_id
JOIN accounts_customer c ON c.id = t.customer_id
WHERE t.id = ANY(%s) AND t.state = 'storing'
ORDER BY t.id FOR NO KEY UPDATE OF t SKIP LOCKED
"""

_ORIGINALS = """
SELECT id, customer_id, trade_type, state, batch_id IS NOT NULL, receive_amount FROM trades_trade
WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
"""

_LIVE_EXITS = "SELECT exiting_trade_id FROM trades_trade WHERE exiting_trade_id = ANY(%s)"

_MOVE = """
UPDATE trades_trade t
SET state = w.state, failure_code = w.failure, exiting_trade_id = w.exiting, taken_from_settling = w.taken,
    updated_at = %s
FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::uuid[], %s::numeric[]) AS w(id, state, failure, exiting, taken)
WHERE t.id = w.id AND t.state = 'storing'
"""

_RECORD = """
INSERT INTO trades_tradeevent (id, trade_id, customer_id, became, detail, at)
SELECT id, trade, customer, became, detail, %s
FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::text[], %s::text[]) AS w(id, trade, customer, became, detail)
"""


class Due(NamedTuple):
    terms: Terms
    asked: Asked
    reference_id: UUID | None


class Original(NamedTuple):
    """The trade that an exit counters, as of its lock."""

    can_be_exited: bool
    customer_id: UUID
    left_in_settling: int


@dataclass(slots=True)
class Outcome:
    """Where a trade goes: `failure` None means to settling."""

    due: Due
    failure: FailureCode | None = None
    taken_from_settling: int = 0

    @property
    def state(self) -> TradeState:
        return TradeState.SETTLING if self.failure is None else TradeState.FAILED


@dataclass(frozen=True, slots=True)
class Advanced:
    """What a round did. `left` may still stand in storing: in other hands just now."""

    settling: int
    failed: int
    left: tuple[UUID, ...]


def advance(ids: Iterable[UUID], *, at: datetime, prices: Prices | None) -> Advanced:
    """Move these trades out of storing, 1,000 per transaction; those that have moved already don't matter.

    `prices` are the latest; None (nobody could read them) skips the judgement of volatility.
    """
    wanted = sorted(set(ids))
    outcomes: list[Outcome] = []
    for start in range(0, len(wanted), MOST_AT_ONCE):
        outcomes += _advance(wanted[start : start + MOST_AT_ONCE], at, prices)
    moved = {outcome.due.terms.id for outcome in outcomes}
    failed = sum(outcome.failure is not None for outcome in outcomes)
    return Advanced(len(outcomes) - failed, failed, tuple(id_ for id_ in wanted if id_ not in moved))


@transaction.atomic
def _advance(ids: Sequence[UUID], at: datetime, prices: Prices | None) -> list[Outcome]:
    due = _lock_due(ids)
    originals = _lock_originals([one.reference_id for one in due if one.reference_id is not None])
    due = [one for one in due if one.reference_id is None or one.reference_id in originals]
    if not due:
        return []
    outcomes = _judged(due, originals, prices)
    balances = ledger.lock(
        account
        for outcome in outcomes
        if outcome.failure is None
        for account in accounts_of(outcome.due.terms, is_exit=outcome.due.reference_id is not None)
    )
    _give_out(outcomes, originals, balances)
    _write(outcomes, at)
    movements = [
        movement
        for outcome in outcomes
        if outcome.failure is None
        for movement in movements_of(outcome.due.terms, outcome.taken_from_settling, at)
    ]
    ledger.post(movements, balances=balances, savepoint=False)
    return outcomes


def _lock_due(ids: Sequence[UUID]) -> list[Due]:
    with connection.cursor() as cursor:
        cursor.execute(_DUE, [list(ids)])
        return [_due(row) for row in cursor.fetchall()]


def _due(row: tuple[Any, ...]) -> Due:
    id_, customer, side, receives, delivers, receive, deliver, fee, symbol, error, reference, created, *rest = row
    price, expires_at, customer_state = rest
    terms = Terms(id_, customer, side, receives, delivers, int(receive), int(deliver), int(fee))
    return Due(terms, Asked(symbol, error, created, price, expires_at, customer_state), reference)


def _lock_originals(ids: Sequence[UUID]) -> dict[UUID, Original]:
    """Lock the originals that nobody else holds; the rest is missing in the answer."""
    if not ids:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_ORIGINALS, [list(ids)])
        rows = cursor.fetchall()
        cursor.execute(_LIVE_EXITS, [[row[0] for row in rows]])
        exited = {row[0] for row in cursor.fetchall()}
    return {
        id_: Original(
            can_be_exited=type_ == Trade.Type.PLATFORM
            and state == TradeState.SETTLING
            and not is_batched
            and id_ not in exited,
            customer_id=customer,
            left_in_settling=int(received),
        )
        for id_, customer, type_, state, is_batched, received in rows
    }


def _judged(due: Sequence[Due], originals: Mapping[UUID, Original], prices: Prices | None) -> list[Outcome]:
    """Everything but the funds; of several exits of one original only one passes, the first."""
    instruments = instruments_named([one.asked.symbol for one in due])
    outcomes, exited = [], set()
    for one in due:
        failure = failure_of(
            one.terms, one.asked, instruments[one.asked.symbol], prices, is_exit=bool(one.reference_id)
        )
        if failure is None and one.reference_id is not None:
            original = originals[one.reference_id]
            is_free = original.can_be_exited and one.reference_id not in exited
            if not is_free or original.customer_id != one.terms.customer_id:
                failure = FailureCode.INVALID_REFERENCE_TRADE
            else:
                exited.add(one.reference_id)
        outcomes.append(Outcome(one, failure))
    return outcomes


def _give_out(outcomes: Sequence[Outcome], originals: Mapping[UUID, Original], balances: Balances) -> None:
    """Let each trade, in id order, take its money from what the ones before it left.

    What an exit takes from settling is there: its original put it in, and this is its only live exit.
    """
    spent: dict[ledger.Account, int] = {}
    for outcome in outcomes:
        if outcome.failure is not None:
            continue
        terms, reference = outcome.due.terms, outcome.due.reference_id
        available = customers(terms.customer_id, terms.deliver_asset, AVAILABLE)
        if reference is not None:
            outcome.taken_from_settling = min(terms.deliver_amount, originals[reference].left_in_settling)
        wanted = terms.deliver_amount - outcome.taken_from_settling
        if wanted > balances[available].balance - spent.get(available, 0):
            outcome.failure = FailureCode.NON_SUFFICIENT_FUNDS
            outcome.taken_from_settling = 0
            continue
        spent[available] = spent.get(available, 0) + wanted


def _write(outcomes: Sequence[Outcome], at: datetime) -> None:
    """States and events, one statement each."""
    ids = [outcome.due.terms.id for outcome in outcomes]
    states = [outcome.state.value for outcome in outcomes]
    codes = [None if outcome.failure is None else outcome.failure.value for outcome in outcomes]
    exiting = [outcome.due.reference_id if outcome.failure is None else None for outcome in outcomes]
    taken = [outcome.taken_from_settling for outcome in outcomes]
    owners = [outcome.due.terms.customer_id for outcome in outcomes]
    with connection.cursor() as cursor:
        cursor.execute(_MOVE, [at, ids, states, codes, exiting, taken])
        if cursor.rowcount != len(ids):
            raise RuntimeError("A locked trade was not in storing: nothing is written.")
        cursor.execute(_RECORD, [at, [uuid7() for _ in ids], ids, owners, states, [code or "" for code in codes]])
