"""What has moved for an instruction is told to its legs, each part as it comes.

Of several legs netted, those against the instruction's direction are paid by the others: as soon as anything is
confirmed (or where all nets to nothing) they are settled whole, and so is as much of the others. What the bank moves is
given to the others, the oldest batch's first.

A leg's reference is the bank's own; where one entry settles several legs, or a leg and what it is netted against, a
number is added, because an outside reference settles one leg only.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from accounts.identity import Actor
from trades.models import InstructionLeg, SettlementInstruction, SettlementLeg
from trades.settlement.legs import settle_leg


def open_of(leg: SettlementLeg) -> int:
    """What of a leg has not moved yet, in base units."""
    return int(leg.expected) - int(leg.actual or 0)


def report_legs(instruction: SettlementInstruction, *, reference: str, by: Actor, at: datetime) -> None:
    """Tell the legs what they haven't been told of what is confirmed. The caller has the instruction locked.

    Raises what reporting a leg raises: ReferenceUsed where the reference has been reported before, of whichever leg.
    """
    due = list(_due(instruction))
    legs = SettlementLeg.objects.filter(pk__in=[line.leg_id for line, _ in due]).order_by("pk")
    list(legs.select_for_update(no_key=True).values_list("pk"))  # all of them, in one order
    for number, (line, amount) in enumerate(due, start=1):
        said = reference if len(due) == 1 else f"{reference}/{number}"
        _report(line, amount, said, by, at)


def _due(instruction: SettlementInstruction) -> Iterator[tuple[InstructionLeg, int]]:
    """Each line of which more is settled than its leg was told, with how much more."""
    lines = list(InstructionLeg.objects.filter(instruction=instruction, is_live=True).order_by("pk"))
    against = [line for line in lines if line.direction != instruction.direction]
    left = int(instruction.confirmed_amount) + sum(int(line.amount) for line in against)
    for line in lines:
        covered = int(line.amount) if line in against else min(int(line.amount), left)
        left -= 0 if line in against else covered
        if covered > line.reported:
            yield line, covered - int(line.reported)


def _report(line: InstructionLeg, amount: int, reference: str, by: Actor, at: datetime) -> None:
    settle_leg(line.leg_id, actual=amount, reference=reference, by=by, at=at, is_by_hand=False)
    line.reported += amount
    line.save(update_fields=["reported"])
