"""What is still missing of a leg goes into the instruction of a later batch, where the window carries forward.

It goes with the window's next leg of the same asset that is instructed, whichever direction either has, once nothing
that could still be paid has it: its own instruction failed, was cancelled, or ended with a report by hand. The trade
stays in its batch, and the leg stays the leg of its batch: what moves by the later instruction is told to the earlier
leg first, which completes its batch's trades as any report does. No movement of the books is between batches.

It isn't carried to another counterparty than the one who owes it, or is owed it, nor to a value date before its own.
A leg is in one live instruction, by constraint, so no amount is carried twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from uuid import UUID

from django.db.models import QuerySet

from trades.models import (
    InstructionLeg,
    SettlementBatch,
    SettlementInstruction,
    SettlementLeg,
    SettlementWindow,
    StandingInstruction,
)
from trades.states import BATCHES_UNDER_WAY, LegStatus


def earlier_than(batch: SettlementBatch) -> QuerySet[SettlementLeg]:
    """Legs of the window's earlier batches that aren't settled; none where it doesn't carry forward."""
    if batch.window is None or not batch.window.carries_forward:
        return SettlementLeg.objects.none()
    return _open().filter(batch__window=batch.window, batch__cut_at__lt=batch.cut_at)


def earlier_than_day(windows: QuerySet[SettlementWindow], day: date) -> QuerySet[SettlementLeg]:
    """Legs of earlier value dates that aren't settled, of those of the windows that carry forward."""
    return _open().filter(batch__window__in=windows.filter(carries_forward=True), value_date__lt=day)


def carried_to(
    legs: Sequence[SettlementLeg], earlier: Sequence[SettlementLeg], going: Mapping[str, StandingInstruction]
) -> dict[UUID, UUID]:
    """For each earlier leg that goes along with one of these legs: which, by their ids.

    `going`: where each asset goes to. Of several legs of its window and asset it is the oldest batch's.
    """
    by_age = sorted(legs, key=lambda leg: leg.batch.cut_at, reverse=True)
    oldest = {(leg.batch.window_id, leg.asset_id): leg for leg in by_age}
    others = _last_counterparties(earlier) if oldest else {}
    found = {}
    for leg in earlier:
        to = oldest.get((leg.batch.window_id, leg.asset_id))
        if to is None or not (leg.batch.cut_at < to.batch.cut_at and leg.value_date <= to.value_date):
            continue
        now = going[leg.asset_id].counterparty_id
        if others.get(leg.pk, now) == now:
            found[leg.pk] = to.pk
    return found


def carried_in(instructions: Sequence[SettlementInstruction]) -> dict[UUID, list[InstructionLeg]]:
    """By instruction, the lines of what is carried forward in it, oldest batch first."""
    found: dict[UUID, list[InstructionLeg]] = {}
    lines = InstructionLeg.objects.filter(instruction__in=instructions, carried_to__isnull=False)
    for line in lines.select_related("leg").order_by("pk"):
        found.setdefault(line.instruction_id, []).append(line)
    return found


def _open() -> QuerySet[SettlementLeg]:
    reported = SettlementLeg.objects.filter(batch__state__in=BATCHES_UNDER_WAY, batch__legs_are_automatic=False)
    return reported.exclude(status=LegStatus.SETTLED)


def _last_counterparties(legs: Sequence[SettlementLeg]) -> dict[UUID, UUID]:
    """With whom each leg was to be settled by its last instruction, if it had any."""
    lines = InstructionLeg.objects.filter(leg__in=legs).order_by("leg_id", "-pk").distinct("leg_id")
    return dict(lines.values_list("leg_id", "instruction__counterparty_id"))
