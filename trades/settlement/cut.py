"""The cut: which trades settle together, frozen at one moment.

One transaction under READ COMMITTED, and the order of its statements is the rule about exits:

1. the batch row is inserted first: (window, cut_at) is unique, so of any number of schedulers one goes on;
2. every unbatched settling original gets the batch, waiting for rows that an exit in flight has locked;
3. in a NEW statement, the live exits of those originals get it too. An exit that committed before step 2 got
   its original's row is seen here and is in its original's batch; one that comes later finds it batched;
4. what the members come to is written down: counts, sums and net per asset, and the fingerprint of their terms.

That takes as long as half of step 2, and is read beside it: a second connection asks for the same trades as candidates,
in one snapshot. Under the membership lock none of them can stop being one, and their terms never change. So its
originals are among those of step 2 or the other way round, and the same with exits; where the numbers are equal, they
are the same trades. Where they are not, somebody stored a trade or an exit meanwhile: the members are read again.

Cuts queue for one advisory lock: two of them scanning the same trades in different orders would deadlock.
Trades of frozen customers and flagged trades are left out, with their reason, and wait.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F, Value
from django.db.models.functions import Coalesce, Greatest

from accounts import conflicts
from accounts.db import locks
from accounts.identity import SYSTEM, Actor
from accounts.ids import uuid7
from accounts.models import Asset
from quotes.models import Instrument
from trades.errors import BadSchedule, NothingToCut
from trades.low_water import highest, low_water, raise_low_water
from trades.models import SettlementBatch, SettlementWindow
from trades.settlement.legs import Net, write_legs
from trades.settlement.membership import (
    CANDIDATES,
    IS_HELD,
    MAY_BE_CUT,
    MEMBERS,
    WAITING,
    WHY_HELD,
    Sums,
    expect_many,
    figures_beside,
    fingerprint,
    held_back,
    record_left_at_the_cut,
    sums_of,
)
from trades.settlement.windows import due_cut
from trades.states import BatchState

logger = logging.getLogger(__name__)

EVERY_KIND = tuple(sorted(Asset.Type.values))

_CLAIM = """
INSERT INTO trades_settlementbatch
    (id, window_id, asset_kinds, cut_at, state, trades_count, customers_count, members_sha256, left_out_count,
     completed_count, legs_are_automatic, symbols, round, round_symbols, done_symbols, slice_ends, slices_done,
     made_by_id, made_by_client_id, created_at, updated_at)
VALUES (%(batch)s, %(window)s, %(kinds)s, %(cut_at)s, 'cut', 0, 0, '', 0, 0, %(automatic)s, '{}', 0, '{}', '{}', '{}',
        '{}', %(made_by)s, %(made_by_client)s, %(at)s, %(at)s)
ON CONFLICT (window_id, cut_at) DO NOTHING
"""

_TAKE_ORIGINALS = f"UPDATE trades_trade SET batch_id = %(batch)s WHERE {MAY_BE_CUT}"  # noqa: S608 - our own text

_TAKE_EXITS = """
UPDATE trades_trade e SET batch_id = %(batch)s
FROM trades_trade o
WHERE e.exiting_trade_id >= %(low)s AND e.batch_id IS NULL AND e.state = 'settling'
  AND o.id = e.exiting_trade_id AND o.batch_id = %(batch)s
"""

_EDGE = "SELECT id FROM trades_trade WHERE batch_id = %(batch)s AND id >= %(low)s ORDER BY id {order} LIMIT 1"

_WOULD_BE_LEFT_OUT = f"""
SELECT {WHY_HELD} AS reason, count(*) FROM trades_trade WHERE {WAITING} AND {IS_HELD}
GROUP BY reason ORDER BY reason
"""  # noqa: S608 - our own text

_WAITING_FIRST = """
SELECT id FROM trades_trade
WHERE id >= %(low)s AND id < %(margin)s AND batch_id IS NULL AND state IN ('storing', 'settling')
  AND instrument_id = ANY(%(symbols)s::text[])
ORDER BY id LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class CutPreview:
    """What a cut would take just now; `left_out` is (reason, trades)."""

    trades: int
    exits: int
    customers: int
    nets: list[Net]
    left_out: list[tuple[str, int]]


class _NothingWaits(Exception):
    """Takes a claimed batch back that found no trade."""


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


@conflicts.atomic
def cut_window(window: SettlementWindow, cut_at: datetime, at: datetime, by: Actor = SYSTEM) -> SettlementBatch | None:
    """Cut a window for one of its cut times; None when that cut exists already, or found no trade.

    The window remembers its latest cut either way. An automatic window confirms its own batch.
    """
    claim = _Claim([window.asset_kind], cut_at, at, by, window.legs_are_automatic, window.pk)
    batch = _cut(claim)
    latest = Greatest(Coalesce(F("last_cut_at"), Value(cut_at)), Value(cut_at))
    SettlementWindow.objects.filter(pk=window.pk).update(last_cut_at=latest)
    if batch is not None and window.is_automatic and by.is_system:
        batch.state, batch.confirmed_at = BatchState.CONFIRMED, at
        batch.save(update_fields=["state", "confirmed_at"])
    return batch


@conflicts.atomic
def cut_now(*, at: datetime, by: Actor, legs_are_automatic: bool = True) -> SettlementBatch:
    """Cut every kind of asset now, outside the windows; it waits to be confirmed. Raises NothingToCut."""
    batch = _cut(_Claim(EVERY_KIND, at, at, by, legs_are_automatic, None))
    if batch is None:
        raise NothingToCut
    return batch


def preview(kinds: Sequence[str], at: datetime) -> CutPreview:
    """What a cut of these kinds of asset would take just now; changes nothing, and promises nothing."""
    given = _due(kinds)
    sums = sums_of(CANDIDATES, given)
    with connection.cursor() as cursor:
        cursor.execute(_WOULD_BE_LEFT_OUT, given)
        left_out = [(reason, count) for reason, count in cursor.fetchall()]
    return CutPreview(sums.trades, sums.exits, sums.customers, sums.nets, left_out)


def hold_membership() -> None:
    """Take the lock under which batch membership changes, until the transaction ends."""
    locks.hold(locks.MEMBERSHIP)


@dataclass(frozen=True, slots=True)
class _Claim:
    kinds: Sequence[str]
    cut_at: datetime
    at: datetime
    by: Actor
    legs_are_automatic: bool
    window_id: UUID | None


def _due(kinds: Sequence[str]) -> dict[str, Any]:
    """The parameters of everything that asks what waits for a batch of these kinds."""
    symbols = list(Instrument.objects.filter(base_asset__type__in=kinds).values_list("pk", flat=True))
    return {"low": low_water(kinds), "symbols": symbols, **held_back().params()}


def _cut(claim: _Claim) -> SettlementBatch | None:
    """Make the batch with its members and legs; None when (window, cut_at) exists, or nothing waits."""
    hold_membership()
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")  # a million members take longer than a request may
    given = _due(claim.kinds)
    batch_id = uuid7()
    try:
        with ThreadPoolExecutor(1) as beside, transaction.atomic():
            if not _claimed(batch_id, claim):
                return None
            reading = beside.submit(figures_beside, given)
            originals, exits = _take(batch_id, given)
            if not originals:
                raise _NothingWaits
            batch = _range_of(batch_id, given)
            figures = reading.result()
            if figures is None or (figures[0].originals, figures[0].exits) != (originals, exits):
                figures = _sums_of(batch), fingerprint(batch)
            _describe(batch, *figures, claim.at)
            if given["frozen"] != "{}" or given["held"] != "{}":
                record_left_at_the_cut(batch_id, given, claim.at)
    except _NothingWaits:
        batch = None
    _raise_water(claim, given)
    return batch


def _claimed(batch_id: UUID, claim: _Claim) -> bool:
    given = {
        "batch": batch_id,
        "window": claim.window_id,
        "kinds": ",".join(claim.kinds),
        "cut_at": claim.cut_at,
        "automatic": claim.legs_are_automatic,
        "made_by": claim.by.user_id,
        "made_by_client": claim.by.client_id,
        "at": claim.at,
    }
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, given)
        return bool(cursor.rowcount == 1)


def _take(batch_id: UUID, given: dict[str, Any]) -> tuple[int, int]:
    """Originals first, then their exits in a statement of its own; how many there were of each."""
    with connection.cursor() as cursor:
        cursor.execute(_TAKE_ORIGINALS, {**given, "batch": batch_id})
        originals = int(cursor.rowcount)
        if not originals:
            return 0, 0
        cursor.execute(_TAKE_EXITS, {**given, "batch": batch_id})
        return originals, int(cursor.rowcount)


def _range_of(batch_id: UUID, given: dict[str, Any]) -> SettlementBatch:
    """The batch with its first and last member's ids."""
    batch = SettlementBatch.objects.get(pk=batch_id)
    expect_many()
    with connection.cursor() as cursor:
        for name, order in (("first_trade_id", "ASC"), ("last_trade_id", "DESC")):
            cursor.execute(_EDGE.format(order=order), {"batch": batch_id, "low": given["low"]})
            setattr(batch, name, cursor.fetchone()[0])
    return batch


def _describe(batch: SettlementBatch, sums: Sums, members_sha256: str, at: datetime) -> None:
    """Write down what the batch holds: its range, counts, legs and fingerprint."""
    _note(batch, sums, at)
    batch.members_sha256 = members_sha256
    batch.save()


def count_members(batch: SettlementBatch, at: datetime) -> None:
    """Bring the batch's counts and legs to what its members say; the caller saves the batch."""
    _note(batch, _sums_of(batch), at)


def _sums_of(batch: SettlementBatch) -> Sums:
    return sums_of(MEMBERS, {"batch": batch.pk, "first": batch.first_trade_id, "last": batch.last_trade_id})


def _note(batch: SettlementBatch, sums: Sums, at: datetime) -> None:
    batch.trades_count, batch.customers_count, batch.symbols = sums.trades, sums.customers, sums.symbols
    write_legs(batch.pk, sums.nets, at)


def _raise_water(claim: _Claim, given: dict[str, Any]) -> None:
    """Nothing below the new mark waits; it stays below what slow transactions may still bring."""
    margin = highest(claim.at)
    with connection.cursor() as cursor:
        cursor.execute(_WAITING_FIRST, {**given, "margin": margin})
        waiting = cursor.fetchone()
    raise_low_water(claim.kinds, waiting[0] if waiting else margin)
