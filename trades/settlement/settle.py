"""Completing a batch: its trades settling -> completed, what was received settling -> available.

In chunks of at most 10,000 originals with their exits, each one transaction: lock the batch's row (one settler
at a time), move the trades, record the events, post the netted transfers, note how far it came. Kill it
anywhere: a chunk is done whole or not at all, and the next settler goes on from `settled_through`.

Everything is SQL over a range of ids; memory stays flat whatever the batch's size. A chunk can't be done twice:
the progress stands in the batch's own row, the event per step is unique, and so is the transfers' key, which
names the batch, the asset and where the chunk began.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction

from accounts import ledger
from accounts.ledger import AVAILABLE, SETTLING
from trades.errors import BatchNotFound, BatchStateForbids
from trades.models import SettlementBatch
from trades.settlement.legs import settle_legs
from trades.states import BatchState

CHUNK: Final = 10_000
RECEIVED: Final = "trade_settled"
SETTLEABLE: Final = frozenset({BatchState.CONFIRMED, BatchState.SETTLING, BatchState.PARTIALLY_SETTLED})
_BEFORE_ALL = UUID(int=0)

_CHUNK_END = """
SELECT id FROM trades_trade
WHERE batch_id = %(batch)s AND trade_type = 'platform' AND id > %(after)s AND id >= %(first)s AND id <= %(last)s
ORDER BY id OFFSET %(chunk)s - 1 LIMIT 1
"""

_ORIGINALS = "batch_id = %(batch)s AND trade_type = 'platform' AND id > %(after)s AND id >= %(first)s AND id <= %(end)s"
_EXITS = "batch_id = %(batch)s AND exiting_trade_id > %(after)s AND exiting_trade_id <= %(end)s"

_COMPLETE = """
WITH moved AS (
    UPDATE trades_trade SET state = 'completed', updated_at = %(at)s
    WHERE {members} AND state = 'settling'
    RETURNING id, customer_id
)
INSERT INTO trades_tradeevent (id, trade_id, customer_id, became, detail, at)
SELECT new_uuid7(), id, customer_id, 'completed', %(detail)s, %(at)s FROM moved
"""

_MEMBERS = f"""
SELECT customer_id, receive_asset_id, receive_amount, deliver_asset_id, taken_from_settling
FROM trades_trade WHERE {_ORIGINALS}
UNION ALL
SELECT customer_id, receive_asset_id, receive_amount, deliver_asset_id, taken_from_settling
FROM trades_trade WHERE {_EXITS}
"""  # noqa: S608 - our own text

_COUNT = f"SELECT count(*) FROM ({_MEMBERS}) members"  # noqa: S608 - our own text

# What each customer received, less what exits took back out of settling: never below zero, because an exit
# takes at most what its original, in the same chunk, left there.
_NETTED = f"""
SELECT customer_id, asset_id, sum(amount) AS amount, %(key)s || asset_id AS key
FROM (
    SELECT customer_id, receive_asset_id AS asset_id, receive_amount AS amount FROM ({_MEMBERS}) received
    UNION ALL
    SELECT customer_id, deliver_asset_id, -taken_from_settling FROM ({_MEMBERS}) taken WHERE taken_from_settling > 0
) both_ways
GROUP BY customer_id, asset_id HAVING sum(amount) > 0
"""  # noqa: S608 - our own text


@dataclass(frozen=True, slots=True)
class Progress:
    completed: int
    total: int
    is_done: bool


def settle(batch_id: UUID, *, clock: Callable[[], datetime], chunk: int = CHUNK) -> Iterator[Progress]:
    """Settle a confirmed batch to its end, giving the progress after each committed chunk.

    Takes up where an earlier settler stopped; two at once take turns. Raises BatchNotFound, BatchStateForbids.
    """
    while True:
        progress = settle_chunk(batch_id, at=clock(), chunk=chunk)
        yield progress
        if progress.is_done:
            return


@transaction.atomic
def settle_chunk(batch_id: UUID, *, at: datetime, chunk: int = CHUNK) -> Progress:
    """Do the next chunk of a batch, the whole of it or nothing; with the last one the batch is completed."""
    batch = SettlementBatch.objects.select_for_update(no_key=True).filter(pk=batch_id).first()
    if batch is None:
        raise BatchNotFound
    if batch.state == BatchState.COMPLETED:
        return Progress(batch.completed_count, batch.trades_count, is_done=True)
    if batch.state not in SETTLEABLE:
        raise BatchStateForbids(f"The batch is {batch.state}.")
    if batch.state != BatchState.SETTLING:
        batch.state = BatchState.SETTLING
        batch.save(update_fields=["state"])
    if batch.first_trade_id is not None and batch.settled_through != batch.last_trade_id:
        _complete_next(batch, at, chunk)
    if batch.settled_through == batch.last_trade_id:
        settle_legs(batch, at)
        batch.state = BatchState.COMPLETED
    batch.updated_at = at
    batch.save(update_fields=["state", "settled_through", "completed_count", "updated_at"])
    return Progress(batch.completed_count, batch.trades_count, is_done=batch.state == BatchState.COMPLETED)


def _complete_next(batch: SettlementBatch, at: datetime, chunk: int) -> None:
    """Complete the next originals with their exits, and pay out what they leave in settling."""
    after = batch.settled_through or _BEFORE_ALL
    given: dict[str, Any] = {
        "batch": batch.pk,
        "first": batch.first_trade_id,
        "last": batch.last_trade_id,
        "after": after,
        "chunk": chunk,
        "at": at,
        "detail": batch.pk.hex,
        "key": f"batch:{batch.pk.hex}:{after.hex}:",
    }
    with connection.cursor() as cursor:
        cursor.execute(_CHUNK_END, given)
        row = cursor.fetchone()
        given["end"] = row[0] if row else batch.last_trade_id
        cursor.execute(_COMPLETE.format(members=_ORIGINALS), given)
        moved = cursor.rowcount
        cursor.execute(_COMPLETE.format(members=_EXITS), given)
        moved += cursor.rowcount
        cursor.execute(_COUNT, given)
        if cursor.fetchone()[0] != moved:
            raise RuntimeError(f"{batch} has members that were not settling: nothing is completed.")
    ledger.post_selected(
        _NETTED, given, debit_type=SETTLING, credit_type=AVAILABLE, kind=RECEIVED, subject=batch.pk, at=at
    )
    batch.settled_through = given["end"]
    batch.completed_count += moved
