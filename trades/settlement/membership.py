"""Who is in a batch: what may be cut, what is left out and why, and what its members come to.

The members' fingerprint is the SHA-256 of what this prints, so an auditor needs no code of ours to check it:

    COPY (SELECT id, customer_id, side, receive_asset_id, receive_amount, deliver_asset_id, deliver_amount, fee,
          taken_from_settling, reference_trade_id FROM trades_trade WHERE … ORDER BY id) TO STDOUT
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import DatabaseError, InterfaceError, connection, transaction

from accounts.arrays import array
from accounts.models import Customer
from trades.low_water import STORING, low_water
from trades.models import LeftOut, SettlementBatch
from trades.settlement.legs import Net

logger = logging.getLogger(__name__)

# A flagged exit holds its original back, and so itself: they settle together or not at all.
_HELD = """
SELECT coalesce(t.exiting_trade_id, t.id), f.reason
FROM trades_tradeflag f JOIN trades_trade t ON t.id = f.trade_id
WHERE f.cleared_at IS NULL
"""

# What was accepted before the cut time and waits for a batch, apart from who is held back. `exit` rows follow their
# originals by another statement.
_ACCEPTED = """id >= %(low)s AND batch_id IS NULL AND instrument_id = ANY(%(symbols)s::text[])
    AND created_at < %(cut_at)s"""
WAITING = f"{_ACCEPTED} AND state = 'settling'"
_NOT_HELD = "customer_id <> ALL(%(frozen)s::uuid[]) AND id <> ALL(%(held)s::uuid[])"
MAY_BE_CUT = f"{WAITING} AND trade_type = 'platform' AND {_NOT_HELD}"

IS_HELD = "(customer_id = ANY(%(frozen)s::uuid[]) OR coalesce(exiting_trade_id, id) = ANY(%(held)s::uuid[]))"
# After a cut: of everything that was accepted in time and is in no batch. Only one of these can be why.
NOT_CUT = f"{_ACCEPTED} AND state IN ('storing', 'settling')"
WHY_HELD = """CASE
    WHEN state = 'storing' THEN 'still_storing'
    WHEN customer_id = ANY(%(frozen)s::uuid[]) THEN 'customer_frozen'
    WHEN coalesce(exiting_trade_id, id) = ANY(%(flagged)s::uuid[]) THEN 'trade_flagged'
    WHEN coalesce(exiting_trade_id, id) = ANY(%(later)s::uuid[]) THEN 'exited_later'
    ELSE 'still_storing' END"""

_RECORD = f"""
INSERT INTO trades_leftout (id, batch_id, trade_id, customer_id, stage, reason, detail, at)
SELECT new_uuid7(), %(batch)s, t.id, t.customer_id, %(stage)s,
       {WHY_HELD},
       coalesce(h.reason, ''), %(at)s
FROM {{trades}} t
LEFT JOIN unnest(%(flagged)s::uuid[], %(reasons)s::text[]) AS h(flagged_id, reason)
    ON h.flagged_id = coalesce(t.exiting_trade_id, t.id)
"""  # noqa: S608 - our own text
_LEFT_AT_THE_CUT = _RECORD.format(
    trades=f"(SELECT * FROM trades_trade WHERE {NOT_CUT})"  # noqa: S608 - our own text
)
_TAKEN_OUT = f"""
WITH gone AS (
    UPDATE trades_trade SET batch_id = NULL
    WHERE batch_id = %(batch)s AND id BETWEEN %(first)s AND %(last)s AND state = 'settling' AND {IS_HELD}
    RETURNING *
)
{_RECORD.format(trades="gone")}
"""  # noqa: S608 - our own text

_SUMS = """
SELECT instrument_id, receive_asset_id, deliver_asset_id, side, trade_type, count(*), sum(receive_amount),
       sum(deliver_amount), sum(fee)
FROM {trades} GROUP BY instrument_id, receive_asset_id, deliver_asset_id, side, trade_type
"""
_CUSTOMERS = "SELECT count(*) FROM (SELECT customer_id FROM {trades} GROUP BY customer_id) customers"

_FACTS = """
COPY (
    SELECT id, customer_id, side, receive_asset_id, receive_amount, deliver_asset_id, deliver_amount, fee,
           taken_from_settling, reference_trade_id
    FROM {trades} ORDER BY id
) TO STDOUT
"""

_EXITED_LATER = """
SELECT exiting_trade_id FROM trades_trade
WHERE reference_trade_id IS NOT NULL AND created_at >= %(cut_at)s AND exiting_trade_id IS NOT NULL
  AND state = 'settling' AND batch_id IS NULL
"""
# No statistics know a batch that was just made: by the exits' own range first, then by key.
_OF_BATCH = """
SELECT o.id FROM unnest(%(ids)s::uuid[]) late(id) JOIN trades_trade o ON o.id = late.id WHERE o.batch_id = %(batch)s
"""
_STORING = """
SELECT DISTINCT reference_trade_id FROM trades_trade
WHERE id >= %(low)s AND state = 'storing' AND created_at < %(cut_at)s AND instrument_id = ANY(%(symbols)s::text[])
"""

# What the statements above can be asked about.
MEMBERS = "(SELECT * FROM trades_trade WHERE batch_id = %(batch)s AND id BETWEEN %(first)s AND %(last)s) members"
_AS_CUT = """(
    SELECT * FROM trades_trade WHERE batch_id = %(batch)s AND id BETWEEN %(first)s AND %(last)s
       OR id IN (SELECT trade_id FROM trades_leftout WHERE batch_id = %(batch)s AND stage = 'settling')
) members"""
CANDIDATES = f"""(
    SELECT * FROM trades_trade t
    WHERE {WAITING} AND (trade_type = 'platform' AND {_NOT_HELD} OR trade_type = 'exit' AND EXISTS (
        SELECT FROM trades_trade WHERE id = t.exiting_trade_id AND {MAY_BE_CUT}))
) candidates"""  # noqa: S608 - our own text


@dataclass(frozen=True, slots=True)
class HeldBack:
    """Who is kept back just now: frozen customers, originals with an open flag and why, and of a cut those whose exit
    isn't of it: accepted later, or in time and still storing. `is_late`: a trade accepted in time is still storing.
    """

    frozen: frozenset[UUID]
    flagged: dict[UUID, str]
    later: frozenset[UUID] = frozenset()
    exits_stored: frozenset[UUID] = frozenset()
    is_late: bool = False

    @property
    def is_nobody(self) -> bool:
        return not (self.frozen or self.flagged or self.later or self.is_late)

    def params(self) -> dict[str, Any]:
        """For the statements above, as array literals."""
        return {
            "frozen": array(self.frozen),
            "held": array({*self.flagged, *self.later, *self.exits_stored}),
            "flagged": array(self.flagged),
            "reasons": array(self.flagged.values()),
            "later": array(self.later),
        }


@dataclass(frozen=True, slots=True)
class Sums:
    """What some trades come to."""

    trades: int
    exits: int
    customers: int
    symbols: list[str]
    nets: list[Net]

    @property
    def originals(self) -> int:
        return self.trades - self.exits


def held_back() -> HeldBack:
    """Frozen customers and flagged trades, as of now."""
    frozen = Customer.objects.filter(state=Customer.State.FROZEN).values_list("pk", flat=True)
    with connection.cursor() as cursor:
        cursor.execute(_HELD)
        return HeldBack(frozenset(frozen), dict(cursor.fetchall()))


def held_back_from(given: dict[str, Any]) -> HeldBack:
    """Whom a cut must pass over, as of now; `given` has `low`, `symbols` and `cut_at`."""
    storing = still_storing(given)
    exits_stored = frozenset(id_ for id_ in storing if id_ is not None)
    return replace(held_back(), later=exited_later(given), exits_stored=exits_stored, is_late=bool(storing))


def exited_later(given: dict[str, Any]) -> frozenset[UUID]:
    """The originals whose live exit was accepted at the cut time or after it: they wait with it for the next cut."""
    with connection.cursor() as cursor:
        cursor.execute(_EXITED_LATER, given)
        return frozenset(id_ for (id_,) in cursor.fetchall())


def exited_later_of(batch_id: UUID, cut_at: datetime) -> frozenset[UUID]:
    """Of a batch's originals, those that `exited_later` names by now."""
    later = exited_later({"cut_at": cut_at})
    with connection.cursor() as cursor:
        cursor.execute(_OF_BATCH, {"ids": array(later), "batch": batch_id})
        return frozenset(id_ for (id_,) in cursor.fetchall())


def still_storing(given: dict[str, Any]) -> frozenset[UUID | None]:
    """Of the trades accepted before the cut time that are still storing: the originals of exits, None for others."""
    with connection.cursor() as cursor:
        cursor.execute(_STORING, {**given, "low": max(given["low"], low_water([STORING]))})
        return frozenset(id_ for (id_,) in cursor.fetchall())


def record_left_at_the_cut(batch_id: UUID, given: dict[str, Any], at: datetime) -> None:
    """Write down every trade accepted in time that the cut passed over, and why; `given` as for MAY_BE_CUT."""
    with connection.cursor() as cursor:
        cursor.execute(_LEFT_AT_THE_CUT, {**given, "batch": batch_id, "stage": LeftOut.Stage.CUT.value, "at": at})


def take_out_held(batch: SettlementBatch, at: datetime) -> int:
    """Take members out again whose customer was frozen, or that were flagged, since the cut; gives their number.

    Only before any money moved, under the membership lock.
    """
    held = held_back()
    if held.is_nobody:
        return 0
    given = {
        **held.params(),
        "batch": batch.pk,
        "first": batch.first_trade_id,
        "last": batch.last_trade_id,
        "stage": LeftOut.Stage.SETTLING.value,
        "at": at,
    }
    with connection.cursor() as cursor:
        cursor.execute(_TAKEN_OUT, given)
        return int(cursor.rowcount)


def sums_of(trades: str, given: dict[str, Any]) -> Sums:
    """What `trades` come to, a FROM clause of ours over the columns of a trade, with its parameters."""
    with connection.cursor() as cursor:
        cursor.execute(_SUMS.format(trades=trades), given)
        rows = cursor.fetchall()
        cursor.execute(_CUSTOMERS.format(trades=trades), given)
        customers = int(cursor.fetchone()[0])
    count = sum(row[5] for row in rows)
    exits = sum(row[5] for row in rows if row[4] == "exit")
    return Sums(count, exits, customers, sorted({row[0] for row in rows}), _netted(rows))


def fingerprint(batch: SettlementBatch) -> str:
    """SHA-256 of the members as they were cut, in hexadecimal; memory stays flat."""
    return _fingerprint(_AS_CUT, {"batch": batch.pk, "first": batch.first_trade_id, "last": batch.last_trade_id})


def figures_beside(given: dict[str, Any]) -> tuple[Sums, str] | None:
    """What a cut would take just now comes to, and its fingerprint; for a thread beside the cut.

    `given` as for MAY_BE_CUT. On a connection of its own, as of one moment. None when that connection is refused: the
    cut can do without.
    """
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                cursor.execute("SET LOCAL statement_timeout = 0")
                cursor.execute("SET LOCAL max_parallel_workers_per_gather = 0")  # the other cores are the cut's
            expect_many()
            return sums_of(CANDIDATES, given), _fingerprint(CANDIDATES, given)
    except (DatabaseError, InterfaceError) as reason:
        logger.warning("a cut counts its members itself: %s", reason)
        return None
    finally:
        connection.close()


def expect_many() -> None:
    """For this transaction: group by hash, and take what an index has in order, instead of sorting.

    No statistics know a batch that was just made. The planner takes it for a row or two, and would sort a million.
    """
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_sort = off")


def _fingerprint(trades: str, given: dict[str, Any]) -> str:
    digest = hashlib.sha256()
    with connection.cursor() as cursor, cursor.copy(_FACTS.format(trades=trades), given) as copy:
        for data in copy:
            digest.update(data)
    return digest.hexdigest()


def _netted(rows: Sequence[tuple[Any, ...]]) -> list[Net]:
    """One Net per asset. A buy's fee is in what was delivered, a sell's was taken out of what was received."""
    sums: dict[str, list[int]] = {}
    for _, receives, delivers, side, _, _, received, delivered, fee in rows:
        sums.setdefault(receives, [0, 0, 0])[0] += int(received)
        sums.setdefault(delivers, [0, 0, 0])[1] += int(delivered)
        sums[delivers if side == "buy" else receives][2] += int(fee)
    return [Net(asset, *sums[asset]) for asset in sorted(sums)]
