"""Completing a batch: its trades settling -> completed, what was received settling -> available.

1. `begin`: right before any money moves, members whose customer was frozen or that were flagged since the cut are
   taken out again; from then on the members are final, and legs may be reported. An automatic batch's legs settle
   here, as expected.
2. Rounds: an instrument's trades can complete once the legs of both its assets are settled. All that are ready make
   one round; a leg that fails holds back the trades of its asset alone, for a later round.
3. Slices: a round goes through its members by customer, some thousand trades at a time. A slice is one
   transaction: lock the batch's row (one settler at a time), move the trades and record the events in one statement,
   post one netted transfer per customer and asset, note how far it came. Kill it anywhere: a slice is done whole
   or not at all, and the next settler goes on from `settled_through`.

Everything is SQL over ranges; memory stays flat whatever the batch's size. Nothing can be done twice: progress stands
in the batch's own row, the event per step is unique, and so is the transfer of a customer, batch, round and asset.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction

from accounts.ids import stamp_of
from accounts.ledger_select import post_selected
from quotes.models import Instrument
from trades.errors import BatchStateForbids
from trades.models import SettlementBatch, SettlementLeg
from trades.settlement.approval import locked_batch, lower_water
from trades.settlement.cut import count_members, hold_membership
from trades.settlement.legs import settle_as_expected
from trades.settlement.membership import take_out_held
from trades.states import BatchState, LegStatus

CHUNK: Final = 100_000
RECEIVED: Final = "trade_settled"
SETTLEABLE: Final = frozenset({BatchState.CONFIRMED, BatchState.SETTLING, BatchState.PARTIALLY_SETTLED})
_BEFORE_ALL, _AFTER_ALL = UUID(int=0), UUID(int=2**128 - 1)

# Every so many members, by customer, one ends a slice: a customer's trades are never in two slices of a round.
_SLICE_ENDS = """
SELECT customer_id FROM (
    SELECT customer_id, sum(trades) OVER (ORDER BY customer_id) AS through, trades FROM (
        SELECT customer_id, count(*) AS trades FROM trades_trade
        WHERE batch_id = %(batch)s AND id BETWEEN %(first)s AND %(last)s AND instrument_id = ANY(%(symbols)s::text[])
        GROUP BY customer_id
    ) counted
) summed
WHERE div(through - trades, %(chunk)s) <> div(through, %(chunk)s)
ORDER BY customer_id
"""

# One statement moves the trades, records the events and nets what they received, less what exits took out again.
# Never below zero: an exit takes at most what its original, of the same customer and round, left there.
_COMPLETE = """
WITH moved AS (
    UPDATE trades_trade SET state = 'completed', updated_at = %(at)s
    WHERE batch_id = %(batch)s AND id BETWEEN %(first)s AND %(last)s AND state = 'settling'
      AND customer_id > %(after)s AND customer_id <= %(end)s AND instrument_id = ANY(%(symbols)s::text[])
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

    Takes up where an earlier settler stopped; two at once take turns. Raises BatchNotFound, BatchStateForbids.
    """
    while True:
        progress = settle_chunk(batch_id, at=clock(), chunk=chunk)
        yield progress
        if progress.is_done:
            return


def settle_chunk(batch_id: UUID, *, at: datetime, chunk: int = CHUNK) -> Progress:
    """Do the next slice of a batch, the whole of it or nothing; with the last one the batch is completed.

    `chunk` is about how many trades a slice has; a round keeps the one that it began with.
    """
    begin(batch_id, at)
    with transaction.atomic():
        batch = locked_batch(batch_id)
        if batch.state == BatchState.COMPLETED:
            return _progress(batch)
        if batch.state not in SETTLEABLE:
            raise BatchStateForbids(f"The batch is {batch.state}.")
        if not batch.round_symbols and not _start_round(batch, chunk):
            return _progress(batch, is_done=True)
        _complete_slice(batch, at)
        batch.updated_at = at
        batch.save()
        return _progress(batch)


@transaction.atomic
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


def _start_round(batch: SettlementBatch, chunk: int) -> bool:
    """Begin a round with the instruments that are ready; whether there were any."""
    ready = [symbol for symbol, waits_for in _waiting_legs(batch).items() if not waits_for]
    if not ready and batch.done_symbols != batch.symbols and batch.symbols:
        if batch.completed_count and batch.state != BatchState.PARTIALLY_SETTLED:
            batch.state = BatchState.PARTIALLY_SETTLED
            batch.save(update_fields=["state"])
        return False
    batch.state = BatchState.SETTLING
    batch.round += 1
    batch.round_symbols, batch.settled_through = ready, None
    batch.slice_ends = _slice_ends(batch, chunk)
    return True


def _slice_ends(batch: SettlementBatch, chunk: int) -> list[UUID]:
    """Where the round's slices end, by customer; the last one takes whoever is left."""
    if batch.trades_count <= chunk:
        return [_AFTER_ALL]
    given = {
        "batch": batch.pk,
        "first": batch.first_trade_id,
        "last": batch.last_trade_id,
        "symbols": batch.round_symbols,
        "chunk": chunk,
    }
    with connection.cursor() as cursor:
        cursor.execute(_SLICE_ENDS, given)
        return [*(row[0] for row in cursor.fetchall()), _AFTER_ALL]


def _complete_slice(batch: SettlementBatch, at: datetime) -> None:
    """Complete the next slice's trades and pay out what they leave in settling."""
    after = batch.settled_through or _BEFORE_ALL
    end = next(end for end in batch.slice_ends if end > after)
    given: dict[str, Any] = {
        "batch": batch.pk,
        "first": batch.first_trade_id,
        "last": batch.last_trade_id,
        "symbols": batch.round_symbols,
        "after": after,
        "end": end,
        "at": at,
        "detail": batch.pk.hex,
        "stamp": stamp_of(at),
        "key": f"batch:{batch.pk.hex}:{batch.round}:",
    }
    with connection.cursor() as cursor:
        cursor.execute(_COMPLETE, given)
        moved, *columns = cursor.fetchone()
    if columns[0] is not None:  # as PostgreSQL's own array literals, which go back as they came
        netted = dict(zip(("customers", "assets", "amounts", "keys"), columns, strict=True))
        post_selected(_PAYOUTS, netted, kind=RECEIVED, subject=batch.pk, at=at)
    batch.completed_count += moved
    batch.settled_through = end
    if end == _AFTER_ALL:
        _end_round(batch)


def _end_round(batch: SettlementBatch) -> None:
    batch.done_symbols = sorted({*batch.done_symbols, *batch.round_symbols})
    batch.round_symbols, batch.slice_ends = [], []
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
