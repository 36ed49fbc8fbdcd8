"""The cut: which trades settle together, frozen at one moment: those that were accepted before its cut time.

`created_at < cut_at`, whenever the cut runs (docs/decisions/0060-a-cut-takes-what-was-accepted-before-it.md). It begins
once nothing older can appear: whoever was writing a trade down when the cut time came has committed
(`trades/settlement/accepted.py`), and what a schedule asks for waits a while until nothing accepted in time is storing.

One transaction under READ COMMITTED, and the order of its statements is the rule about exits:

1. the batch row is inserted first: (window, cut_at) is unique, so of any number of schedulers one goes on;
2. every unbatched settling original accepted in time gets the batch, waiting for rows that an exit in flight has
   locked; one whose live exit was accepted later is passed over, or, where the exit came meanwhile, given back;
3. in a NEW statement, the live exits of those originals get it too. An exit that committed before step 2 got
   its original's row is seen here and is in its original's batch; one that comes later finds it batched;
4. what the members come to is written down: counts, sums and net per asset, and the fingerprint of their terms; and of
   whatever was accepted in time and is in no batch, why.

That takes as long as half of step 2, and is read beside it: a second connection asks for the same trades as candidates,
in one snapshot. Under the membership lock none of them can stop being one, and their terms never change. So its
originals are among those of step 2 or the other way round, and the same with exits; where the numbers are equal, they
are the same trades. Where they are not, or any original was given back, the members are read again.

Cuts queue for one advisory lock: two of them scanning the same trades in different orders would deadlock.
Trades of frozen customers and flagged trades are left out, with their reason, and wait.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Value
from django.db.models.functions import Coalesce, Greatest

from accounts import conflicts
from accounts.arrays import array
from accounts.db import locks
from accounts.errors import KeyReused
from accounts.identity import SYSTEM, Actor
from accounts.ids import uuid7
from accounts.models import Asset
from accounts.timestamps import in_milliseconds
from quotes.models import Instrument
from trades.errors import BadSchedule, NothingToCut
from trades.low_water import highest, low_water, raise_low_water
from trades.models import SettlementBatch, SettlementWindow
from trades.settlement.accepted import wait_for_commits
from trades.settlement.legs import Net, write_legs
from trades.settlement.membership import (
    CANDIDATES,
    IS_HELD,
    MAY_BE_CUT,
    MEMBERS,
    NOT_CUT,
    WHY_HELD,
    HeldBack,
    Sums,
    exited_later_of,
    expect_many,
    figures_beside,
    fingerprint,
    held_back_from,
    record_left_at_the_cut,
    still_storing,
    sums_of,
)
from trades.settlement.windows import due_cut
from trades.states import BatchState

logger = logging.getLogger(__name__)

EVERY_KIND = tuple(sorted(Asset.Type.values))

_CLAIM = """
INSERT INTO trades_settlementbatch
    (id, window_id, asset_kinds, cut_at, state, trades_count, customers_count, members_sha256, left_out_count,
     completed_count, legs_are_automatic, completes_in_order, symbols, round, round_symbols, round_stops, parts_seen,
     done_symbols, slice_ends, slices_done,
     made_by_id, made_by_client_id, key, created_at, updated_at)
VALUES (%(batch)s, %(window)s, %(kinds)s, %(cut_at)s, 'cut', 0, 0, '', 0, 0, %(automatic)s, %(in_order)s, '{}', 0,
        '{}', '{}', '{}', '{}', '{}', '{}', %(made_by)s, %(made_by_client)s, %(key)s, %(at)s, %(at)s)
ON CONFLICT DO NOTHING
"""

_TAKE_ORIGINALS = f"UPDATE trades_trade SET batch_id = %(batch)s WHERE {MAY_BE_CUT}"  # noqa: S608 - our own text

_TAKE_EXITS = """
UPDATE trades_trade e SET batch_id = %(batch)s
FROM trades_trade o
WHERE e.exiting_trade_id >= %(low)s AND e.batch_id IS NULL AND e.state = 'settling'
  AND o.id = e.exiting_trade_id AND o.batch_id = %(batch)s
"""

_EDGE = "SELECT id FROM trades_trade WHERE batch_id = %(batch)s AND id >= %(low)s ORDER BY id {order} LIMIT 1"

_GIVE_BACK = "UPDATE trades_trade SET batch_id = NULL WHERE id = ANY(%(ids)s::uuid[]) AND batch_id = %(batch)s"

_WOULD_BE_LEFT_OUT = f"""
SELECT {WHY_HELD} AS reason, count(*) FROM trades_trade WHERE {NOT_CUT} AND (state = 'storing' OR {IS_HELD})
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
    """Cut every active window that is due and waits for nothing; one that can't be read holds up no other."""
    batches = []
    for window in SettlementWindow.objects.filter(is_active=True).order_by("pk"):
        try:
            cut_at = due_cut(window, at)
            if cut_at is None or _waits(window, cut_at, at):
                continue
            if (batch := _cut_scheduled(window.pk, cut_at, at=at)) is not None:
                batches.append(batch)
        except BadSchedule:
            logger.exception("window %s is not cut", window.name)
    return batches


def _waits(window: SettlementWindow, cut_at: datetime, at: datetime) -> bool:
    """Whether a cut that is due should wait for trades accepted before it that are storing; asked again soon.

    It waits CUT_WAIT_SECONDS at the most from when it first found some, so an outage of the workers takes none of it.
    """
    wait_for_commits()
    if not still_storing(_accepted([window.asset_kind], cut_at)):
        return False
    began = window.waits_since
    if began is None or not cut_at <= began <= at:
        began = at
        SettlementWindow.objects.filter(pk=window.pk).update(waits_since=at)
    if at - began < timedelta(seconds=settings.CUT_WAIT_SECONDS):
        logger.info("the cut of %s for %s waits: trades accepted before it are storing", window.name, cut_at)
        return True
    logger.warning("the cut of %s for %s goes without trades that are still storing", window.name, cut_at)
    return False


@conflicts.atomic
def _cut_scheduled(window_id: UUID, cut_at: datetime, *, at: datetime) -> SettlementBatch | None:
    """Cut a window as its schedule asks. An automatic one's batch is confirmed in the same transaction.

    The window's row is locked before it is asked: another scheduler may have cut it, or somebody edited it, since.
    Raises BadSchedule.
    """
    hold_membership()
    window = SettlementWindow.objects.select_for_update(no_key=True).get(pk=window_id)
    if not window.is_active or due_cut(window, cut_at) != cut_at:
        return None
    batch = cut_window(window, cut_at, at)
    if batch is not None and window.is_automatic:
        batch.state, batch.confirmed_at = BatchState.CONFIRMED, at
        batch.save(update_fields=["state", "confirmed_at"])
    return batch


@conflicts.atomic
def cut_window(
    window: SettlementWindow, cut_at: datetime, at: datetime, by: Actor = SYSTEM, *, key: str | None = None
) -> SettlementBatch | None:
    """Cut a window: what was accepted before `cut_at`, to the millisecond. None when that cut exists already, or found
    no trade.

    The window remembers its latest cut either way. The batch waits to be confirmed, an automatic window's too: only
    what its schedule asks for (`cut_due`) is confirmed without a person. A key that has made a batch gives that one
    and cuts nothing. Raises KeyReused where that was of another window, or somebody else's.
    """
    cut_at = in_milliseconds(cut_at)
    asked = window.legs_are_automatic, window.pk, window.completes_in_order
    claim = _Claim([window.asset_kind], cut_at, at, by, *asked, key)
    batch = _cut(claim)
    cut_at = batch.cut_at if batch else cut_at  # of a key's earlier batch: the window wasn't cut once more
    latest = Greatest(Coalesce(F("last_cut_at"), Value(cut_at)), Value(cut_at))
    SettlementWindow.objects.filter(pk=window.pk).update(last_cut_at=latest)
    return batch


@conflicts.atomic
def cut_now(
    *,
    at: datetime,
    by: Actor,
    legs_are_automatic: bool = True,
    completes_in_order: bool = False,
    key: str | None = None,
) -> SettlementBatch:
    """Cut every kind of asset, outside the windows: what was accepted before `at`, to the millisecond.

    The batch waits to be confirmed. A key that has made a batch gives that one. Raises NothingToCut, and KeyReused as
    `cut_window` does.
    """
    cut_at = in_milliseconds(at)
    batch = _cut(_Claim(EVERY_KIND, cut_at, at, by, legs_are_automatic, None, completes_in_order, key))
    if batch is None:
        raise NothingToCut
    return batch


def preview(kinds: Sequence[str], at: datetime) -> CutPreview:
    """What a cut of these kinds of asset would take just now; changes nothing, and promises nothing."""
    given = _due(kinds, at)[1]
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
    completes_in_order: bool = False
    key: str | None = None


def _accepted(kinds: Sequence[str], cut_at: datetime) -> dict[str, Any]:
    """The parameters of what was accepted of these kinds before a cut time."""
    symbols = list(Instrument.objects.filter(base_asset__type__in=kinds).values_list("pk", flat=True))
    return {"low": low_water(kinds), "symbols": symbols, "cut_at": cut_at}


def _due(kinds: Sequence[str], cut_at: datetime) -> tuple[HeldBack, dict[str, Any]]:
    """Who is held back, and the parameters of everything that asks what waits for a batch of these kinds."""
    given = _accepted(kinds, cut_at)
    held = held_back_from(given)
    return held, {**given, **held.params()}


def _cut(claim: _Claim) -> SettlementBatch | None:
    """Make the batch with its members and legs; None when (window, cut_at) exists, or nothing waits."""
    wait_for_commits()
    hold_membership()
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")  # a million members take longer than a request may
    held, given = _due(claim.kinds, claim.cut_at)
    batch_id = uuid7()
    try:
        with ThreadPoolExecutor(1) as beside, transaction.atomic():
            if not _claimed(batch_id, claim):
                return _made_before(claim)
            reading = beside.submit(figures_beside, given)
            taken = _take(batch_id, given)
            if not taken.originals:
                raise _NothingWaits
            batch = _range_of(batch_id, given)
            figures = reading.result()
            if figures is None or taken.given_back or not taken.is_what(figures[0]):
                figures = _sums_of(batch), fingerprint(batch)
            _describe(batch, *figures, claim.at)
            if taken.given_back or not held.is_nobody:
                later = array({*held.later, *taken.given_back})
                record_left_at_the_cut(batch_id, {**given, "later": later}, claim.at)
            batch.refresh_from_db(fields=["updated_at"])
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
        "in_order": claim.completes_in_order,
        "made_by": claim.by.user_id,
        "made_by_client": claim.by.client_id,
        "key": claim.key,
        "at": claim.at,
    }
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, given)
        return bool(cursor.rowcount == 1)


def _made_before(claim: _Claim) -> SettlementBatch | None:
    """The batch that this key has made, whatever became of it; None without a key. Raises KeyReused."""
    batch = SettlementBatch.objects.filter(key=claim.key).first() if claim.key is not None else None
    if batch is None:
        return None
    was_by = Actor(batch.made_by_id, batch.made_by_client_id)
    is_same = batch.window_id == claim.window_id and was_by == claim.by
    settled_so = (batch.legs_are_automatic, batch.completes_in_order)
    if not is_same or (claim.window_id is None and settled_so != (claim.legs_are_automatic, claim.completes_in_order)):
        raise KeyReused("This key names a cut that was asked for otherwise, or by somebody else.")
    return batch


@dataclass(frozen=True, slots=True)
class _Taken:
    """How many originals and exits a cut took, and which originals it gave back."""

    originals: int
    exits: int
    given_back: frozenset[UUID]

    def is_what(self, sums: Sums) -> bool:
        return (self.originals, self.exits) == (sums.originals, sums.exits)


def _take(batch_id: UUID, given: dict[str, Any]) -> _Taken:
    """Originals first, then their exits in a statement of its own.

    In between those are given back whose exit, accepted at the cut time or later, began to live when the cut had looked
    already: no exit of a taken original can begin to live any more.
    """
    with connection.cursor() as cursor:
        cursor.execute(_TAKE_ORIGINALS, {**given, "batch": batch_id})
        originals, given_back = int(cursor.rowcount), frozenset[UUID]()
        if originals and (later := exited_later_of(batch_id, given["cut_at"])):
            given_back = later
            cursor.execute(_GIVE_BACK, {"ids": array(later), "batch": batch_id})
        if originals == len(given_back):
            return _Taken(0, 0, given_back)
        cursor.execute(_TAKE_EXITS, {**given, "batch": batch_id})
        return _Taken(originals - len(given_back), int(cursor.rowcount), given_back)


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
    write_legs(batch, sums.nets, at)


def _raise_water(claim: _Claim, given: dict[str, Any]) -> None:
    """Nothing below the new mark waits; it stays below what slow transactions may still bring."""
    margin = highest(claim.at)
    with connection.cursor() as cursor:
        cursor.execute(_WAITING_FIRST, {**given, "margin": margin})
        waiting = cursor.fetchone()
    raise_low_water(claim.kinds, waiting[0] if waiting else margin)
