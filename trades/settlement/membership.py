"""Who is in a batch: what may be cut, what is left out and why, and what its members come to.

The members' fingerprint is the SHA-256 of what this prints, so an auditor needs no code of ours to check it:

    COPY (SELECT id, customer_id, side, receive_asset_id, receive_amount, deliver_asset_id, deliver_amount, fee,
          taken_from_settling, reference_trade_id FROM trades_trade WHERE … ORDER BY id) TO STDOUT
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import DatabaseError, InterfaceError, connection, transaction

from accounts.arrays import array
from accounts.models import Customer
from trades.models import LeftOut, SettlementBatch
from trades.settlement.legs import Net

logger = logging.getLogger(__name__)

_NOBODY: Final = "{}"

# A flagged exit holds its original back, and so itself: they settle together or not at all.
_HELD = """
SELECT coalesce(t.exiting_trade_id, t.id), f.reason
FROM trades_tradeflag f JOIN trades_trade t ON t.id = f.trade_id
WHERE f.cleared_at IS NULL
"""

# What waits for a batch, apart from who is held back. `exit` rows follow their originals by another statement.
WAITING = "id >= %(low)s AND state = 'settling' AND batch_id IS NULL AND instrument_id = ANY(%(symbols)s::text[])"
_NOT_HELD = "customer_id <> ALL(%(frozen)s::uuid[]) AND id <> ALL(%(held)s::uuid[])"
MAY_BE_CUT = f"{WAITING} AND trade_type = 'platform' AND {_NOT_HELD}"

IS_HELD = "(customer_id = ANY(%(frozen)s::uuid[]) OR coalesce(exiting_trade_id, id) = ANY(%(held)s::uuid[]))"
WHY_HELD = "CASE WHEN customer_id = ANY(%(frozen)s::uuid[]) THEN 'customer_frozen' ELSE 'trade_flagged' END"

_RECORD = f"""
INSERT INTO trades_leftout (id, batch_id, trade_id, customer_id, stage, reason, detail, at)
SELECT new_uuid7(), %(batch)s, t.id, t.customer_id, %(stage)s,
       {WHY_HELD},
       coalesce(h.reason, ''), %(at)s
FROM {{trades}} t
LEFT JOIN unnest(%(held)s::uuid[], %(reasons)s::text[]) AS h(id, reason) ON h.id = coalesce(t.exiting_trade_id, t.id)
"""  # noqa: S608 - our own text
_LEFT_AT_THE_CUT = _RECORD.format(
    trades=f"(SELECT * FROM trades_trade WHERE {WAITING} AND {IS_HELD})"  # noqa: S608 - our own text
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
    """Who is kept back just now, as array literals: frozen customers, and originals with an open flag."""

    frozen: str
    held: str
    reasons: str

    @property
    def is_nobody(self) -> bool:
        return self.frozen == _NOBODY and self.held == _NOBODY

    def params(self) -> dict[str, Any]:
        return {"frozen": self.frozen, "held": self.held, "reasons": self.reasons}


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
    frozen = Customer.objects.filter(state=Customer.State.FROZEN).order_by("pk").values_list("pk", flat=True)
    with connection.cursor() as cursor:
        cursor.execute(_HELD)
        flagged = dict(cursor.fetchall())
    return HeldBack(array(frozen), array(flagged), array(flagged.values()))


def record_left_at_the_cut(batch_id: UUID, given: dict[str, Any], at: datetime) -> None:
    """Write down which waiting trades the cut passed over, and why; `given` as for MAY_BE_CUT."""
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
