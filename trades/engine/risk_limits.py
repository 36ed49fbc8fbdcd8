"""The firm's limits in a tick: which there are, and what is open against them, of all engines together.

A tick costs nothing more where there is no limit. Each reads the limits' version with its customers' rows; what is kept
in this process counts as long as it is of that version. Triggers on the limits let no tick run while they change, so
one version holds for a whole tick.
"""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from accounts.arrays import array
from accounts.db.locks import OPENING
from accounts.db.pipeline import Known, Pending, Pipeline
from accounts.db.writing import Part
from trades.margin.risk_limits import NONE, Kind, Limits
from trades.margin.session import Session
from trades.margin.sides import Sides

_kept = NONE


def load(p: Pipeline, session: Session, version: UUID | None, may_open: Collection[UUID]) -> None:
    """Give a session the limits of this version, and what is open of customers `may_open` and of the firm.

    Where there are limits of a symbol or of the firm, and somebody may open, engines take turns from here until the
    tick's end: the last lock that it takes, and its sums are read after it.
    """
    if version is None:
        return
    session.limits = limits = _of(p, session, version)
    if not may_open:
        return
    exposures: Pending[dict[UUID, int]] = Known({})
    if Kind.CUSTOMER in limits.kinds:
        session.used.customers = dict.fromkeys(may_open, 0)
        exposures = p.send(
            "SELECT o.customer_id, sum(o.margin * o.leverage) FROM trades_order o"
            " WHERE o.customer_id = ANY(%s::uuid[]) AND o.status = 'OPEN' GROUP BY o.customer_id",
            [array(may_open)],
            lambda rows: {customer: int(exposure) for customer, exposure in rows},
        )
    if limits.are_counted:
        p.send("SELECT pg_advisory_xact_lock(%s)", [OPENING])
        session.used.symbols = p.send(
            "SELECT instrument_id, sum(bought), sum(sold) FROM trades_openexposure GROUP BY instrument_id",
            [],
            lambda rows: {symbol: Sides(int(bought), int(sold)) for symbol, bought, sold in rows},
        ).result()
    session.used.customers |= exposures.result()


def _of(p: Pipeline, session: Session, version: UUID) -> Limits:
    global _kept
    if _kept.version != version:
        rows = p.send(
            "SELECT kind, customer_id, instrument_id, amount FROM trades_risklimit WHERE amount IS NOT NULL"
        ).result()
        _kept = Limits.of(version, rows, session.market.decimals)
    return _kept


def count(session: Session) -> Part | None:
    """What this tick opens and closes, added to what is open; each row is written by one engine alone."""
    changes = [(key, one) for key, one in sorted(session.used.changes.items()) if one.bought or one.sold]
    if not changes:
        return None
    return Part(
        "INSERT INTO trades_openexposure AS e (partition, instrument_id, bought, sold)"
        " SELECT * FROM unnest(%s::int[], %s::text[], %s::numeric[], %s::numeric[])"
        " ON CONFLICT (partition, instrument_id) DO UPDATE"
        " SET bought = e.bought + excluded.bought, sold = e.sold + excluded.sold",
        [
            array(partition for (partition, _), _ in changes),
            array(symbol for (_, symbol), _ in changes),
            array(one.bought for _, one in changes),
            array(one.sold for _, one in changes),
        ],
    )
