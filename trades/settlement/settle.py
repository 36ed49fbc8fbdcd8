"""Completing a batch: its trades settling -> completed, what was received settling -> available.

1. `begin`: right before any money moves, members whose customer was frozen or that were flagged since the cut are
   taken out again; from then on the members are final, and legs may be reported. An automatic batch's legs settle
   here, as expected; for legs that are reported, instructions to the counterparties are made.
2. Rounds: an instrument's trades can complete once the legs of both its assets are settled. All that are ready make
   one round; a leg that fails holds back the trades of its asset alone, for a later round. Where the batch completes
   in order of time, a round also takes the trades up to what has come of a leg in parts (`in_order.py`).
3. Slices: a round goes through its members by customer, some thousand trades at a time. A slice is one transaction:
   claim it, move the trades and record the events in one statement, lock the batch's row, post one netted transfer
   per customer and asset, note the slice in `slices_done`. Kill it anywhere: a slice is done whole or not at all.

Any number of settlers may be at one batch, each in a slice of its own: slices share no customer, so no trade and no
account. A slice is claimed by an advisory lock, which ends with its transaction, and then looked for in `slices_done`
once more: somebody may have done it in between. The batch's row is locked after the trades and before the accounts,
as whoever reverses a trade locks it; so postings take turns, which are a third of a slice.

Everything is SQL over ranges; memory stays flat whatever the batch's size. Nothing can be done twice: only what is
settling is moved, the event per step is unique, and so is the transfer of a customer, batch, round and asset.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction

from accounts import clock, conflicts
from accounts.ids import stamp_of
from accounts.ledger_select import post_selected
from quotes.models import Instrument
from trades.errors import BatchStateForbids
from trades.low_water import lower_water
from trades.models import SettlementBatch, SettlementLeg
from trades.settlement.approval import locked_batch
from trades.settlement.cut import count_members, hold_membership
from trades.settlement.in_order import BEFORE_ITS_STOP, stops_in_order
from trades.settlement.instructions.make import at_begin as instruct_at_begin
from trades.settlement.legs import settle_as_expected, settle_legs_of_zero
from trades.settlement.membership import expect_many, take_out_held
from trades.states import BatchState, LegStatus

CHUNK: Final = 100_000
RECEIVED: Final = "trade_settled"
SETTLEABLE: Final = frozenset({BatchState.CONFIRMED, BatchState.SETTLING, BatchState.PARTIALLY_SETTLED})
_BEFORE_ALL, _AFTER_ALL = UUID(int=0), UUID(int=2**128 - 1)
_LONGEST_WAIT = "60s"  # for another settler's slice

# Customers who end a slice: their trades are never in two slices of a round. As many slices as it takes for none to be
# larger than a chunk, all of about the same size, and an even number of them: two settlers then end together.
_SLICE_ENDS = """
SELECT customer_id FROM (
    SELECT customer_id, trades, sum(trades) OVER (ORDER BY customer_id) AS through,
           2 * ceil(sum(trades) OVER () / (2.0 * %(chunk)s)) AS slices, sum(trades) OVER () AS total
    FROM (
        SELECT customer_id, count(*) AS trades FROM trades_trade
        WHERE batch_id = %(batch)s AND id BETWEEN %(first)s AND %(last)s AND instrument_id = ANY(%(symbols)s::text[])
        GROUP BY customer_id
    ) counted
) summed
WHERE div((through - trades) * slices, total) <> div(through * slices, total) AND through < total
ORDER BY customer_id
"""

# Two numbers name a slice: those of pg_advisory_xact_lock for the batch's round, and its place. Rounds whose first
# number happens to be the same only wait for each other.
_TRY = "SELECT pg_try_advisory_xact_lock(hashtext(%(round)s), %(slice)s)"
_WAIT = "SELECT pg_advisory_xact_lock(hashtext(%(round)s), %(slice)s)"
# A round that has ended has no slices any more, while its number still stands.
_IS_UNDONE = """
SELECT round = %(round)s AND cardinality(slice_ends) > %(slice)s AND NOT %(slice)s = ANY(slices_done)
FROM trades_settlementbatch WHERE id = %(batch)s
"""

# One statement moves the trades, records the events and nets what they received, less what exits took out again.
# Never below zero: an exit takes at most what its original, of the same customer and round, left there.
_COMPLETE = """
WITH moved AS (
    UPDATE trades_trade SET state = 'completed', updated_at = %(at)s
    WHERE batch_id = %(batch)s AND id BETWEEN %(first)s AND %(last)s AND state = 'settling'
      AND customer_id > %(after)s AND customer_id <= %(end)s AND instrument_id = ANY(%(symbols)s::text[]) {in_order}
    RETURNING id, customer_id, receive_asset_id, receive_amount, deliver_asset_id, taken_from_settling
), recorded AS (
    INSERT INTO trades_tradeevent (id, trade_id, customer_id, became, detail, at)
    SELECT (%(stamp)s || substr(id::text, 14))::uuid, id, customer_id, 'completed', %(detail)s, %(at)s FROM moved
), netted AS (
    SELECT customer_id, asset, sum(amount) AS amount
    FROM (
        SELECT customer_id, receive_asset_id AS asset, receive_amount AS amount FROM moved
        UNION ALL
        SELECT customer_id, deliver_asset_id, -taken_from_settling FROM moved WHERE taken_from_settling > 0
    ) both_ways
    GROUP BY customer_id, asset HAVING sum(amount) > 0
)
SELECT (SELECT count(*) FROM moved), array_agg(customer_id)::text, array_agg(asset)::text, array_agg(amount)::text,
       array_agg(%(key)s || asset)::text
FROM netted
"""


_PAYOUTS = """
SELECT customer_id, asset_id, amount, key,
       'settling'::text AS debited, 'available'::text AS credited, NULL::int AS bucket
FROM unnest(%(customers)s::uuid[], %(assets)s::text[], %(amounts)s::numeric[], %(keys)s::text[])
    AS w(customer_id, asset_id, amount, key)
"""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a batch came. `is_done`: nothing is left to do just now; `waits_for` names assets whose legs don't."""

    completed: int
    total: int
    is_done: bool
    waits_for: tuple[str, ...] = ()


def settle(batch_id: UUID, *, clock: Callable[[], datetime], chunk: int = CHUNK) -> Iterator[Progress]:
    """Settle a confirmed batch as far as its legs allow, giving the progress after each committed slice.

    Takes up where an earlier settler stopped; several at once share the slices out, and each of them ends when nothing
    is left to do for anybody. Raises BatchNotFound, BatchStateForbids.
    """
    while True:
        progress = settle_chunk(batch_id, at=clock(), chunk=chunk)
        yield progress
        if progress.is_done:
            return


def settle_chunk(batch_id: UUID, *, at: datetime, chunk: int = CHUNK) -> Progress:
    """Do a slice of a batch that nobody is at, the whole of it or nothing; with the last one the batch is completed.

    `chunk` is about how many trades a slice has at most; a round keeps the one that it began with. Where every
    slice left is claimed by others, waits until one of them is done.
    """
    begin(batch_id, at)
    while True:
        batch = _in_a_round(batch_id, at, chunk)
        if not batch.slice_ends:
            return _progress(batch, is_done=True)
        progress = _next_slice(batch, at)
        if progress is not None:
            return progress
        _wait_for_others(batch)


@conflicts.atomic
def begin(batch_id: UUID, at: datetime) -> None:
    """A confirmed batch begins to settle: its members are looked at once more, then they are final.

    The legs are written anew where somebody is taken out. Where nobody is left, the batch is done. Raises
    BatchNotFound.
    """
    state = SettlementBatch.objects.filter(pk=batch_id).values_list("state", flat=True).first()
    if state is not None and state != BatchState.CONFIRMED:
        return
    hold_membership()  # before the batch's row, as whoever cancels does
    batch = locked_batch(batch_id)
    if batch.state != BatchState.CONFIRMED:
        return
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
    if taken_out := take_out_held(batch, at):
        batch.left_out_count = taken_out
        count_members(batch, at)
        lower_water(batch)
    batch.state, batch.updated_at = BatchState.SETTLING, at
    batch.save()
    if batch.legs_are_automatic or not batch.trades_count:
        settle_as_expected(batch.pk, at)
    else:
        settle_legs_of_zero(batch.pk, at)
    instruct_at_begin(batch, at)


def _in_a_round(batch_id: UUID, at: datetime, chunk: int) -> SettlementBatch:
    """The batch with the round under way, or with the next one begun, in a transaction of its own.

    Without slices when there is nothing to do just now. Raises BatchStateForbids.
    """
    batch = SettlementBatch.objects.get(pk=batch_id)
    return batch if batch.slice_ends else _next_round(batch_id, at, chunk)


@conflicts.atomic
def _next_round(batch_id: UUID, at: datetime, chunk: int) -> SettlementBatch:
    batch = locked_batch(batch_id)
    if batch.state == BatchState.COMPLETED:
        return batch
    if batch.state not in SETTLEABLE:
        raise BatchStateForbids(f"The batch is {batch.state}.")
    if not batch.slice_ends and _start_round(batch, at, chunk):
        batch.updated_at = at
        batch.save()
    return batch


def _start_round(batch: SettlementBatch, at: datetime, chunk: int) -> bool:
    """Begin a round with the instruments that are ready; whether there were any."""
    waiting = _waiting_legs(batch)
    ready = {symbol: _AFTER_ALL for symbol, waits_for in waiting.items() if not waits_for}
    in_part = stops_in_order(batch, waiting) if batch.completes_in_order else {}
    if not (ready or in_part) and batch.done_symbols != batch.symbols and batch.symbols:
        if batch.completed_count and batch.state != BatchState.PARTIALLY_SETTLED:
            batch.state, batch.updated_at = BatchState.PARTIALLY_SETTLED, at
            batch.save(update_fields=["state", "updated_at"])
        return False
    batch.state = BatchState.SETTLING
    batch.round += 1
    batch.round_symbols, batch.slices_done = [*ready, *in_part], []
    batch.round_stops = [*ready.values(), *in_part.values()] if in_part else []
    batch.slice_ends = slice_ends(batch, batch.round_symbols, chunk)
    return True


def slice_ends(batch: SettlementBatch, symbols: list[str], chunk: int) -> list[UUID]:
    """Where slices of the members in these instruments end, by customer; the last one takes whoever is left."""
    if batch.trades_count <= chunk:
        return [_AFTER_ALL]
    given = {
        "batch": batch.pk,
        "first": batch.first_trade_id,
        "last": batch.last_trade_id,
        "symbols": symbols,
        "chunk": chunk,
    }
    expect_many()
    with connection.cursor() as cursor:
        cursor.execute(_SLICE_ENDS, given)
        return [*(row[0] for row in cursor.fetchall()), _AFTER_ALL]


@conflicts.atomic
def _next_slice(batch: SettlementBatch, at: datetime) -> Progress | None:
    """Complete a slice that nobody is at; None when there is none. `batch` as it was read, and stays."""
    number = _claim(batch)
    return None if number is None else _progress(_complete_slice(batch, number, at))


def _claim(batch: SettlementBatch) -> int | None:
    """Take a slice that is neither done nor claimed by another, until the transaction ends; None when there is none."""
    with connection.cursor() as cursor:
        for number in _undone(batch):
            cursor.execute(_TRY, _lock_of(batch, number))
            if not cursor.fetchone()[0]:
                continue
            cursor.execute(_IS_UNDONE, {"batch": batch.pk, "round": batch.round, "slice": number})
            if cursor.fetchone()[0]:
                return number
    return None


def _wait_for_others(batch: SettlementBatch) -> None:
    """Wait until a slice that another claimed is done, or was given up."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [_LONGEST_WAIT])
        cursor.execute(_WAIT, _lock_of(batch, next(_undone(batch))))


def _undone(batch: SettlementBatch) -> Iterator[int]:
    """The places of the slices that were not done when the batch was read."""
    return (number for number in range(len(batch.slice_ends)) if number not in batch.slices_done)


def _lock_of(batch: SettlementBatch, number: int) -> dict[str, Any]:
    return {"round": f"{batch.pk.hex}:{batch.round}", "slice": number}


def _complete_slice(seen: SettlementBatch, number: int, at: datetime) -> SettlementBatch:
    """Complete a claimed slice's trades, pay out what they leave in settling, and note it; gives the batch, locked."""
    given: dict[str, Any] = {
        "batch": seen.pk,
        "first": seen.first_trade_id,
        "last": seen.last_trade_id,
        "symbols": seen.round_symbols,
        "after": seen.slice_ends[number - 1] if number else _BEFORE_ALL,
        "end": seen.slice_ends[number],
        "at": at,
        "detail": seen.pk.hex,
        "stamp": stamp_of(clock.real_of(at)),
        "key": f"batch:{seen.pk.hex}:{seen.round}:",
    }
    if seen.round_stops:
        given["stops"] = seen.round_stops
    with connection.cursor() as cursor:
        cursor.execute(_COMPLETE.format(in_order=BEFORE_ITS_STOP if seen.round_stops else ""), given)
        moved, *columns = cursor.fetchone()
    batch = locked_batch(seen.pk)  # between trades and accounts, as whoever reverses a trade does
    if columns[0] is not None:  # as PostgreSQL's own array literals, which go back as they came
        netted = dict(zip(("customers", "assets", "amounts", "keys"), columns, strict=True))
        post_selected(_PAYOUTS, netted, kind=RECEIVED, subject=batch.pk, at=at)
    batch.completed_count += moved
    batch.slices_done = sorted({*batch.slices_done, number})
    if len(batch.slices_done) == len(batch.slice_ends):
        _end_round(batch)
    batch.updated_at = at
    batch.save()
    return batch


def _end_round(batch: SettlementBatch) -> None:
    stops = batch.round_stops or [_AFTER_ALL] * len(batch.round_symbols)
    whole = {symbol for symbol, stop in zip(batch.round_symbols, stops, strict=True) if stop == _AFTER_ALL}
    batch.done_symbols = sorted({*batch.done_symbols, *whole})
    batch.round_symbols, batch.round_stops, batch.slice_ends, batch.slices_done = [], [], [], []
    if batch.done_symbols == batch.symbols or not batch.symbols:
        if batch.completed_count != batch.trades_count:
            raise RuntimeError(f"{batch} has members that were not settling: it is not completed.")
        batch.state = BatchState.COMPLETED


def _waiting_legs(batch: SettlementBatch) -> dict[str, list[str]]:
    """For each instrument that is not done: its assets whose legs are not settled."""
    legs = SettlementLeg.objects.filter(batch=batch).exclude(status=LegStatus.SETTLED)
    waiting = set(legs.values_list("asset_id", flat=True))
    left = Instrument.objects.filter(pk__in=set(batch.symbols) - set(batch.done_symbols)).order_by("pk")
    return {
        instrument.pk: [asset for asset in (instrument.base_asset_id, instrument.counter_asset_id) if asset in waiting]
        for instrument in left
    }


def _progress(batch: SettlementBatch, *, is_done: bool = False) -> Progress:
    done = is_done or batch.state == BatchState.COMPLETED
    waits_for = sorted({asset for assets in _waiting_legs(batch).values() for asset in assets}) if done else []
    return Progress(batch.completed_count, batch.trades_count, done, tuple(waits_for))
