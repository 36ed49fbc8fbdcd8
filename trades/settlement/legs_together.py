"""Several legs of a batch reported at once: all of it is noted, or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from accounts import conflicts
from accounts.errors import Refusal
from accounts.identity import Actor
from trades.errors import LegNotFound, LegStateForbids
from trades.models import SettlementLeg
from trades.settlement.instructions import ending
from trades.settlement.legs import settle_leg


class Odd(StrEnum):
    """How a report differs from what is still expected: so far that somebody looks at it twice."""

    PERCENT = "by more than 1 %"
    TENFOLD = "tenfold"


@dataclass(frozen=True, slots=True)
class Report:
    """What moved for a leg, in base units. `seen` is the leg's `steps_of` when its reporter looked at it."""

    leg_id: UUID
    actual: int
    reference: str
    final: bool
    seen: int


def steps_of(leg: SettlementLeg) -> int:
    """Grows with every report of the leg and every reversal."""
    return leg.attempts + leg.reversals


def left_of(leg: SettlementLeg) -> int:
    """What is still expected, in base units."""
    return max(int(leg.expected) - int(leg.actual or 0), 0)


def oddity(actual: int, left: int) -> Odd | None:
    """How far `actual` is from `left`, both in base units; None: a hundredth of it at the most."""
    if actual * 10 <= left or actual >= left * 10:
        return None if actual == left else Odd.TENFOLD
    return Odd.PERCENT if abs(actual - left) * 100 > left else None


@conflicts.atomic
def settle_legs(batch_id: UUID, reports: Sequence[Report], *, by: Actor, at: datetime) -> list[SettlementLeg]:
    """`settle_leg` for each of the reports. The first one that is refused undoes the others, and its text begins with
    the leg's asset.

    Raises what `settle_leg` raises; LegNotFound for a leg of another batch; LegStateForbids for one that was reported,
    or taken back, since its reporter looked at it.
    """
    told = {report.leg_id: report for report in reports}
    ending.lock_instructions_of(list(told))  # all of them before the first leg
    legs = SettlementLeg.objects.filter(batch_id=batch_id, pk__in=told).order_by("pk")
    locked = list(legs.select_for_update(no_key=True))
    if len(locked) != len(told):
        raise LegNotFound
    return [_settled(leg, told[leg.pk], by, at) for leg in locked]


def _settled(leg: SettlementLeg, report: Report, by: Actor, at: datetime) -> SettlementLeg:
    try:
        if steps_of(leg) != report.seen:
            raise LegStateForbids("It was reported, or taken back, since this page was opened.")
        return settle_leg(leg.pk, actual=report.actual, reference=report.reference, final=report.final, by=by, at=at)
    except Refusal as refusal:
        raise type(refusal)(f"{leg.asset_id}: {refusal.text}") from refusal
