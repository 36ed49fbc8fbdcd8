"""The cut: which trades settle together, frozen at one moment.

One transaction under READ COMMITTED, and the order of its statements is the rule about exits:

1. the batch row is inserted first: (window, cut_at) is unique, so of any number of schedulers one goes on;
2. every unbatched settling original gets the batch, waiting for rows that an exit in flight has locked;
3. in a NEW statement, the live exits of those originals get it too. An exit that committed before step 2 got
   its original's row is seen here and is in its original's batch; one that comes later finds it batched.

Cuts queue for one advisory lock: two of them scanning the same trades in different orders would deadlock.
Trades of frozen customers are left out and wait; one frozen after the cut still settles, since membership is
frozen too.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection, transaction

from accounts.identity import SYSTEM, Actor
from accounts.ids import floor_of, uuid7
from accounts.models import Asset
from quotes.models import Instrument
from trades.errors import BadSchedule, NothingToCut
from trades.models import SettlementBatch, SettlementWindow
from trades.settlement.legs import write_legs
from trades.settlement.windows import due_cut
from trades.states import BatchState

logger = logging.getLogger(__name__)

EVERY_KIND = tuple(sorted(Asset.Type.values))
MARGIN = timedelta(minutes=10)  # ids of slow transactions and slow clocks may still appear below now
_LOCK_NAME = 0x5E771E  # of pg_advisory_xact_lock: whoever changes which trades are in which batch holds it

_CLAIM = """
INSERT INTO trades_settlementbatch
    (id, window_id, asset_kinds, cut_at, state, trades_count, customers_count, members_sha256, left_out_count,
     completed_count, legs_are_automatic, round, round_symbols, done_symbols, made_by_id, made_by_client_id, created_at,
     updated_at)
VALUES (%(batch)s, %(window)s, %(kinds)s, %(cut_at)s, 'cut', 0, 0, '', 0, 0, true, 0, '{}', '{}', %(made_by)s,
        %(made_by_client)s, %(at)s, %(at)s)
ON CONFLICT (window_id, cut_at) DO NOTHING
"""

_TAKE_ORIGINALS = """
UPDATE trades_trade SET batch_id = %(batch)s
WHERE id >= %(low)s AND state = 'settling' AND batch_id IS NULL AND trade_type = 'platform'
  AND instrument_id = ANY(%(symbols)s)
  AND customer_id NOT IN (SELECT id FROM accounts_customer WHERE state = 'frozen')
"""

_TAKE_EXITS = """
UPDATE trades_trade e SET batch_id = %(batch)s
FROM trades_trade o
WHERE e.exiting_trade_id >= %(low)s AND e.batch_id IS NULL AND e.state = 'settling'
  AND o.id = e.exiting_trade_id AND o.batch_id = %(batch)s
"""

_EDGE = "SELECT id FROM trades_trade WHERE batch_id = %(batch)s AND id >= %(low)s ORDER BY id {order} LIMIT 1"

_WAITING = """
SELECT id FROM trades_trade
WHERE id >= %(low)s AND id < %(margin)s AND batch_id IS NULL AND state IN ('storing', 'settling')
  AND instrument_id = ANY(%(symbols)s)
ORDER BY id LIMIT 1
"""

_RAISE_WATER = """
UPDATE trades_settlementwindow SET low_water = GREATEST(low_water, %(low)s)
WHERE asset_kind = ANY(%(kinds)s)
"""


def cut_due(at: datetime) -> list[SettlementBatch]:
    """Cut every active window that is due; a window whose schedule can't be read holds up no other."""
    batches = []
    for window in SettlementWindow.objects.filter(is_active=True).order_by("pk"):
        try:
            cut_at = due_cut(window, at)
        except BadSchedule:
            logger.exception("window %s is not cut", window.name)
            continue
        if cut_at is not None and (batch := cut_window(window, cut_at, at)) is not None:
            batches.append(batch)
    return batches


@transaction.atomic
def cut_window(window: SettlementWindow, cut_at: datetime, at: datetime) -> SettlementBatch | None:
    """Cut a window for one of its cut times; None when that cut exists already.

    A window that found nothing leaves an empty, completed batch: it says that the cut was made. An automatic
    window confirms its own batch.
    """
    batch_id = _cut([window.asset_kind], cut_at=cut_at, at=at, window_id=window.pk, by=SYSTEM)
    if batch_id is None:
        return None
    batch = SettlementBatch.objects.get(pk=batch_id)
    if not batch.trades_count:
        _walk(batch, [BatchState.CONFIRMED, BatchState.SETTLING, BatchState.COMPLETED])
    elif window.is_automatic:
        _walk(batch, [BatchState.CONFIRMED])
    return batch


@transaction.atomic
def cut_now(*, at: datetime, by: Actor) -> SettlementBatch:
    """Cut every kind of asset now, outside the windows; it waits to be confirmed. Raises NothingToCut."""
    batch_id = _cut(EVERY_KIND, cut_at=at, at=at, window_id=None, by=by)
    batch = SettlementBatch.objects.get(pk=batch_id) if batch_id else None
    if batch is None or not batch.trades_count:
        raise NothingToCut  # takes the empty batch back with it
    return batch


def low_water(kinds: Sequence[str]) -> UUID:
    """No trade of these kinds with an id below this is storing, or waits for a batch.

    The lowest of the kinds' best marks; zero where a kind has none.
    """
    best: dict[str, UUID] = {}
    for kind, mark in SettlementWindow.objects.filter(asset_kind__in=kinds).values_list("asset_kind", "low_water"):
        best[kind] = max(best.get(kind, UUID(int=0)), mark or UUID(int=0))
    return min(best.get(kind, UUID(int=0)) for kind in kinds)


def hold_membership() -> None:
    """Take the lock under which batch membership changes, until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK_NAME])


def _cut(kinds: Sequence[str], *, cut_at: datetime, at: datetime, window_id: UUID | None, by: Actor) -> UUID | None:
    """Make the batch with its members and legs; None when (window, cut_at) exists."""
    hold_membership()
    low = low_water(kinds)
    batch_id, margin = uuid7(), floor_of(at - MARGIN)
    given = {
        "batch": batch_id,
        "window": window_id,
        "kinds": ",".join(kinds),
        "cut_at": cut_at,
        "made_by": by.user_id,
        "made_by_client": by.client_id,
        "at": at,
        "low": low,
        "margin": margin,
        "symbols": list(Instrument.objects.filter(base_asset__type__in=kinds).values_list("pk", flat=True)),
    }
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, given)
        if not cursor.rowcount:
            return None
        cursor.execute(_TAKE_ORIGINALS, given)
        count = cursor.rowcount
        cursor.execute(_TAKE_EXITS, given)
        count += cursor.rowcount
        if count:
            cursor.execute(_EDGE.format(order="ASC"), given)
            first = cursor.fetchone()[0]
            cursor.execute(_EDGE.format(order="DESC"), given)
            last = cursor.fetchone()[0]
            SettlementBatch.objects.filter(pk=batch_id).update(
                trades_count=count, first_trade_id=first, last_trade_id=last
            )
            write_legs(batch_id, first, last, at)
        cursor.execute(_WAITING, given)
        waiting = cursor.fetchone()
        mark = waiting[0] if waiting else margin
        cursor.execute(_RAISE_WATER, {"low": max(mark, low), "kinds": list(kinds)})
    return batch_id


def _walk(batch: SettlementBatch, states: Sequence[BatchState]) -> None:
    for state in states:
        batch.state = state
        batch.save(update_fields=["state"])
