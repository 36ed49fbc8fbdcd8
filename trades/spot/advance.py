"""The storing step: trades go storing -> settling, or -> failed with a code and no movement at all.

Set-based, up to 1,000 trades in one transaction:

1. lock the due trades in id order, passing over rows that another worker holds;
2. lock the originals of exits among them, passing over rows that are locked: an exit whose original is held
   (by a cut, a settling chunk or another exit) stays in `storing` for the next round. So this step never
   waits for a trade, and can't be part of a deadlock with the cut, which locks in whatever order it scans;
3. read which originals have a live exit, in a new statement: it must see what committed before the lock;
4. judge what needs no balance, lock the accounts in id order, then give out the money in id order;
5. write states, one statement for each way that a trade can go, then events and movements, which are streamed
   with COPY: PostgreSQL inserts them while the next ones are made;
6. have PostgreSQL refuse to commit once a price that was judged by would be too old. A set that is refused, because
   this process or the server stood still, is tried again with prices read anew.

The time in what is written is PostgreSQL's, asked for when nothing is left to wait for.

A trade moves once: the guarded UPDATE, the unique event per step and the unique keys of its movements
each refuse a second time by themselves.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, connection, transaction

from accounts import clock, conflicts, ledger
from accounts.arrays import array
from accounts.ids import uuid7_stream
from accounts.ledger import Account, Locked
from accounts.ledger_copy import Posting, post_new
from quotes.models import Instrument
from quotes.prices import Prices
from quotes.selectors import instruments_named
from quotes.symbols import hours_of
from trades.models import Trade
from trades.spendable import LONGEST, NOTHING, Held, held_by_positions, spendable
from trades.spot.judge import Market, TradeRequest, failure_of, markets
from trades.spot.money import Places, TradeTerms, places_of, postings_of
from trades.spot.reading import WRITTEN_WITHIN, PriceReading, Source, read
from trades.states import FailureCode, TradeState

logger = logging.getLogger(__name__)

MOST_AT_ONCE: Final = 1_000
TRIES: Final = 5

_DUE = """
SELECT t.id, t.customer_id, t.side, t.receive_asset_id, t.deliver_asset_id, t.receive_amount, t.deliver_amount, t.fee,
       t.reference_trade_id, t.instrument_id, t.expected_error, t.created_at >= q.expires_at, q.price, q.issued_at,
       c.state
FROM trades_trade t
JOIN quotes_quote q ON q.id = t.quote_id
JOIN accounts_customer c ON c.id = t.customer_id
WHERE t.id = ANY(%s::uuid[]) AND t.state = 'storing'
ORDER BY t.id FOR NO KEY UPDATE OF t SKIP LOCKED
"""

_ORIGINALS = """
SELECT id, customer_id, trade_type, state, batch_id IS NOT NULL, receive_amount FROM trades_trade
WHERE id = ANY(%s::uuid[]) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
"""

_LIVE_EXITS = "SELECT exiting_trade_id FROM trades_trade WHERE exiting_trade_id = ANY(%s::uuid[])"

_MOVE = """
UPDATE trades_trade SET state = %s, failure_code = %s, updated_at = %s
WHERE id = ANY(%s::uuid[]) AND state = 'storing'
"""

_MOVE_EXITS = """
UPDATE trades_trade t
SET state = 'settling', exiting_trade_id = t.reference_trade_id, taken_from_settling = w.taken, updated_at = %s
FROM unnest(%s::uuid[], %s::numeric[]) AS w(id, taken)
WHERE t.id = w.id AND t.state = 'storing'
"""

_RECORD = "COPY trades_tradeevent (id, trade_id, customer_id, became, detail, at, needed, there) FROM STDIN"


class Due(NamedTuple):
    terms: TradeTerms
    reference_id: UUID | None
    asked: TradeRequest


class Original(NamedTuple):
    """The trade that an exit counters, as of its lock."""

    can_be_exited: bool
    customer_id: UUID
    left_in_settling: int


@dataclass(slots=True)
class TradeOutcome:
    """Where a trade goes: `failure` None means to settling."""

    due: Due
    failure: FailureCode | None = None
    taken_from_settling: int = 0
    places: Places[Locked] | None = None
    shortage: tuple[int, int] | None = None  # of non_sufficient_funds: what was needed, and what could be spent
    waits: bool = False  # it stays in storing: its symbol, or what its customer can spend, has no price


@dataclass(frozen=True, slots=True)
class Advanced:
    """What a round did. `left` may still stand in storing: locked by another just now."""

    settling: int
    failed: int
    left: tuple[UUID, ...]


def advance(ids: Iterable[UUID], *, prices: Source, at: datetime | None = None) -> Advanced:
    """Move these trades out of storing, 1,000 per transaction; those that have moved already don't matter.

    `prices` reads the latest, and is asked anew for each transaction; what it gives is no older than its limit when the
    transaction is committed. `at` stands for PostgreSQL's clock in what is written (tests).

    Raises OperationalError where a transaction was too late five times, or PostgreSQL can't be reached.
    """
    wanted = sorted(set(ids), key=attrgetter("int"))
    outcomes: list[TradeOutcome] = []
    for start in range(0, len(wanted), MOST_AT_ONCE):
        outcomes += _in_time(wanted[start : start + MOST_AT_ONCE], prices, at)
    moved = {outcome.due.terms.id for outcome in outcomes}
    failed = sum(outcome.failure is not None for outcome in outcomes)
    return Advanced(len(outcomes) - failed, failed, tuple(id_ for id_ in wanted if id_ not in moved))


def _in_time(ids: Sequence[UUID], prices: Source, at: datetime | None) -> list[TradeOutcome]:
    """Move a set by prices that are of now, as often as it takes: nothing was done by a try that was too late.

    A session that was ended may have been ended after COMMIT arrived: then the next try finds nothing in storing.
    Inside somebody else's transaction no moment is set: when that is committed is theirs to say.
    """
    is_own = not connection.in_atomic_block
    for number in range(1, TRIES if is_own else 1):
        try:
            return _advance(ids, read(prices), at, is_bound=True)
        except (DatabaseError, InterfaceError) as failure:
            if not is_session_over(failure):
                raise
            logger.warning("a set of %d trades is tried again (try %d): %s", len(ids), number, failure)
    return _advance(ids, read(prices), at, is_bound=is_own)


def is_session_over(failure: Exception) -> bool:
    """Whether a transaction was too late, or its session is gone: what it did is undone, or was committed whole.

    What the server refuses has a code; without one it's the connection that failed.
    """
    if isinstance(failure, clock.TooLate) or (isinstance(failure, DatabaseError) and conflicts.was_ended(failure)):
        return True
    has_no_code = getattr(failure.__cause__, "sqlstate", None) is None
    return has_no_code and isinstance(failure, (OperationalError, InterfaceError))


@transaction.atomic
def _advance(ids: Sequence[UUID], reading: PriceReading, at: datetime | None, *, is_bound: bool) -> list[TradeOutcome]:
    due = _lock_due(ids)
    originals = _lock_originals([one.reference_id for one in due if one.reference_id is not None])
    due = [one for one in due if one.reference_id is None or one.reference_id in originals]
    if not due:
        return []
    instruments = instruments_named([one.asked.symbol for one in due]).values()
    outcomes = _judged(due, originals, _markets(instruments, reading, at))
    _lock_places([outcome for outcome in outcomes if outcome.failure is None and not outcome.waits])
    held = _held_from_delivery(outcomes, reading.prices)
    _give_out(outcomes, originals, held)
    outcomes = [outcome for outcome in outcomes if not outcome.waits]
    now, firm = clock.both()
    _write(outcomes, at or firm)
    if is_bound:
        latest = now + WRITTEN_WITHIN if not held else reading.asked + LONGEST
        clock.must_commit_by(min(latest, reading.good_until(instruments) or latest))
    return outcomes


def _markets(instruments: Iterable[Instrument], reading: PriceReading, at: datetime | None) -> dict[str, Market]:
    """With whether those rest that may: what was accepted before a closing isn't executed after it, nor is anything at
    a price of before an opening."""
    found = {one.symbol: hours for one in instruments if (hours := hours_of(one.symbol)).has_gaps}
    if not found:
        return markets(instruments, reading.prices)
    read_at = at
    if at is None:
        now, at = clock.both()
        read_at = at - (now - reading.asked)
    return markets(instruments, reading.prices, {one: hours.state_at(at) for one, hours in found.items()}, read_at)


def _write(outcomes: Sequence[TradeOutcome], at: datetime) -> None:
    _move(outcomes, at)
    _record(outcomes, at)
    post_new(_postings(outcomes), at=at)


def _lock_due(ids: Sequence[UUID]) -> list[Due]:
    with connection.cursor() as cursor:
        cursor.execute(_DUE, [array(ids)])
        return [_due(row) for row in cursor.fetchall()]


def _due(row: tuple[Any, ...]) -> Due:
    id_, customer, side, receives, delivers, receive, deliver, fee, reference, *asked = row
    terms = TradeTerms(id_, customer, side, receives, delivers, int(receive), int(deliver), int(fee))
    return Due(terms, reference, TradeRequest._make(asked))


def _lock_originals(ids: Sequence[UUID]) -> dict[UUID, Original]:
    """Lock the originals that nobody else holds; the rest is missing in the answer."""
    if not ids:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_ORIGINALS, [array(ids)])
        rows = cursor.fetchall()
        cursor.execute(_LIVE_EXITS, [array(row[0] for row in rows)])
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


def _judged(
    due: Sequence[Due], originals: Mapping[UUID, Original], open_markets: Mapping[str, Market]
) -> list[TradeOutcome]:
    """Everything but the funds; of several exits of one original only one passes, the first.

    What a price has to be judged for waits for one: how far the market moved since the quote is part of the judgement.
    """
    outcomes, exited = [], set()
    for one in due:
        market = open_markets[one.asked.symbol]
        failure = failure_of(one.terms, one.asked, market, is_exit=one.reference_id is not None)
        if failure is None and one.reference_id is not None:
            original = originals[one.reference_id]
            is_free = original.can_be_exited and one.reference_id not in exited
            if not is_free or original.customer_id != one.terms.customer_id:
                failure = FailureCode.INVALID_REFERENCE_TRADE
            elif market.price is not None:
                exited.add(one.reference_id)
        outcomes.append(TradeOutcome(one, failure, waits=failure is None and market.price is None))
    return outcomes


def _lock_places(outcomes: Sequence[TradeOutcome]) -> None:
    """Lock every account that these trades may touch, in id order. Trades of one customer and pair share places."""
    wanted: dict[tuple[Any, ...], Places[Account]] = {}
    keys = []
    for outcome in outcomes:
        terms, is_exit = outcome.due.terms, outcome.due.reference_id is not None
        key = (terms.customer_id, terms.side, terms.receive_asset, terms.deliver_asset, is_exit)
        if key not in wanted:
            wanted[key] = places_of(terms, is_exit=is_exit)
        keys.append(key)
    balances = ledger.lock(account for places in wanted.values() for account in places if account is not None)
    locked = {key: places.each(balances.__getitem__) for key, places in wanted.items()}
    for outcome, key in zip(outcomes, keys, strict=True):
        outcome.places = locked[key]


def _held_from_delivery(outcomes: Sequence[TradeOutcome], prices: Prices | None) -> dict[UUID, Held]:
    """What open positions keep from being delivered, by customer. Their available accounts are locked."""
    delivered = [one.due.terms for one in outcomes if one.places is not None]
    customers = {terms.customer_id for terms in delivered if terms.deliver_asset == settings.ACCOUNT_CURRENCY}
    return held_by_positions(customers, prices.by_symbol if prices else {}) if customers else {}


def _give_out(
    outcomes: Sequence[TradeOutcome],
    originals: Mapping[UUID, Original],
    held: Mapping[UUID, Held] = MappingProxyType({}),
) -> None:
    """Let each trade, in id order, take its money from what the ones before it left of what can be spent.

    What an exit takes from settling is there: its original put it in, and this is its only live exit.
    """
    spent: defaultdict[Locked, int] = defaultdict(int)
    for outcome in outcomes:
        if outcome.places is None:
            continue
        terms, reference = outcome.due.terms, outcome.due.reference_id
        taken = 0 if reference is None else min(terms.deliver_amount, originals[reference].left_in_settling)
        wanted, available = terms.deliver_amount - taken, outcome.places.available
        is_currency = terms.deliver_asset == settings.ACCOUNT_CURRENCY
        kept = held.get(terms.customer_id, NOTHING) if is_currency else NOTHING
        if wanted and kept.unpriced is not None:
            outcome.waits = True
        elif wanted and wanted > (there := spendable(available.balance, kept) - spent[available]):
            outcome.failure, outcome.shortage = FailureCode.NON_SUFFICIENT_FUNDS, (wanted, max(0, there))
        else:
            outcome.taken_from_settling = taken
            spent[available] += wanted


def _move(outcomes: Sequence[TradeOutcome], at: datetime) -> None:
    """The new states: one statement for each way a trade can go."""
    ways: defaultdict[FailureCode | None, list[UUID]] = defaultdict(list)
    exits = []
    for outcome in outcomes:
        if outcome.failure is None and outcome.due.reference_id is not None:
            exits.append(outcome)
        else:
            ways[outcome.failure].append(outcome.due.terms.id)
    moved = 0
    with connection.cursor() as cursor:
        for failure, ids in ways.items():
            state = TradeState.SETTLING if failure is None else TradeState.FAILED
            cursor.execute(_MOVE, [state, failure, at, array(ids)])
            moved += cursor.rowcount
        if exits:
            taken = array(one.taken_from_settling for one in exits)
            cursor.execute(_MOVE_EXITS, [at, array(one.due.terms.id for one in exits), taken])
            moved += cursor.rowcount
    if moved != len(outcomes):
        raise RuntimeError("A locked trade was not in storing: nothing is written.")


def _record(outcomes: Sequence[TradeOutcome], at: datetime) -> None:
    """An event per trade."""
    said_at = at.isoformat()
    with connection.wrap_database_errors, connection.cursor() as cursor, cursor.copy(_RECORD) as copy:
        for id_, outcome in zip(uuid7_stream(), outcomes, strict=False):
            terms, code = outcome.due.terms, outcome.failure
            step = ("settling", "") if code is None else ("failed", code.value)
            copy.write_row((id_, terms.id, terms.customer_id, *step, said_at, *(outcome.shortage or (None, None))))


def _postings(outcomes: Sequence[TradeOutcome]) -> Iterator[Posting]:
    for outcome in outcomes:
        if outcome.failure is None and outcome.places is not None:
            yield from postings_of(outcome.due.terms, outcome.places, outcome.taken_from_settling)
