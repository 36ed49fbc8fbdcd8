"""An instruction ends, and the legs that it doesn't settle any more are free for another one.

It ends by itself, too: once a leg of it is reported by hand, or is taken back by a correction, its amount isn't what is
open any more, and nobody shall pay it. What had moved for it has moved: another one is made for what is missing alone.
But the bank may pay what it was sent. So an outgoing one that was sent `may_be_paid` until somebody says that the bank
has refused or stopped it (`moves.fail`), and by trigger its legs are in no other one until then.

Order of locks: the instructions by id, then the legs.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db.models import F

from trades.models import InstructionLeg, SettlementInstruction, SettlementLeg
from trades.settlement.instructions.errors import InstructionStateForbids
from trades.states import INSTRUCTION_MOVES, InstructionState, LegStatus

_OPEN: Final = (InstructionState.MADE, InstructionState.SENT)


def lock_instructions_of(leg_ids: Collection[UUID]) -> None:
    """Lock the instructions that these legs are in, before the legs: as whoever confirms an instruction does."""
    having = InstructionLeg.objects.filter(leg__in=leg_ids, is_live=True).values("instruction_id")
    rows = SettlementInstruction.objects.filter(pk__in=having).order_by("pk")
    list(rows.select_for_update(no_key=True).values_list("pk"))


def end_for_report(leg: SettlementLeg, at: datetime) -> None:
    """End the open instruction of a locked leg that was just reported by hand.

    Where with that all has moved that it was to move, it is confirmed; not what was never sent, nor where some is
    missing: that is cancelled, or failed once the bank has it.
    """
    line = _live_line(leg)
    if line is None or line.instruction.state not in _OPEN:
        return
    one = line.instruction
    to, is_outgoing = _given_up(one), one.direction == SettlementInstruction.Direction.OUTGOING
    if _has_all_moved(line, leg) and (one.state == InstructionState.SENT or not is_outgoing):
        to, one.confirmed_amount = InstructionState.CONFIRMED, one.amount
    one.may_be_paid = is_at_the_bank(one) and to != InstructionState.CONFIRMED
    move(one, to, f"A leg was reported by hand: {leg.reference or 'no reference'}.", at)
    if to != InstructionState.CONFIRMED:
        release(one)


def end_for_reopening(leg: SettlementLeg, correction: UUID, at: datetime) -> None:
    """Free a locked leg that a correction takes back: its instruction, if open, ends; a confirmed one loses it."""
    line = _live_line(leg)
    if line is None:
        return
    one = line.instruction
    if one.state in _OPEN:
        to, one.may_be_paid = _given_up(one), is_at_the_bank(one)
        move(one, to, f"A leg was reversed by correction {correction.hex}.", at)
        release(one)
    else:
        InstructionLeg.objects.filter(pk=line.pk).update(is_live=False)


def move(one: SettlementInstruction, to: InstructionState, note: str, at: datetime) -> None:
    """Take a locked instruction to a state. Raises InstructionStateForbids."""
    if to not in INSTRUCTION_MOVES[one.state]:
        raise InstructionStateForbids(f"The instruction is {one.state}.")
    one.state, one.note, one.updated_at = to, note, at
    one.save(update_fields=["state", "note", "may_be_paid", "confirmed_amount", "updated_at"])


def is_at_the_bank(one: SettlementInstruction) -> bool:
    """Whether a bank has it, and may pay it."""
    return one.direction == SettlementInstruction.Direction.OUTGOING and one.state == InstructionState.SENT


def release(one: SettlementInstruction) -> list[InstructionLeg]:
    """The lines of an instruction that has ended, free for another one; those that had something left."""
    lines = list(InstructionLeg.objects.filter(instruction=one, is_live=True).order_by("pk"))
    InstructionLeg.objects.filter(pk__in=[line.pk for line in lines]).update(is_live=False)
    return [line for line in lines if line.reported < line.amount]


def _live_line(leg: SettlementLeg) -> InstructionLeg | None:
    """The leg's, with its instruction locked: one made just now, after the others were, is waited for here."""
    lines = InstructionLeg.objects.filter(leg=leg, is_live=True).select_related("instruction")
    return lines.select_for_update(no_key=True, of=("instruction",)).first()


def _given_up(one: SettlementInstruction) -> InstructionState:
    is_unknown_to_the_bank = one.state == InstructionState.MADE and not one.confirmed_amount
    return InstructionState.CANCELLED if is_unknown_to_the_bank else InstructionState.FAILED


def _has_all_moved(line: InstructionLeg, leg: SettlementLeg) -> bool:
    if leg.status != LegStatus.SETTLED or int(leg.actual or 0) < int(leg.expected):
        return False
    others = InstructionLeg.objects.filter(instruction=line.instruction, is_live=True).exclude(pk=line.pk)
    return not others.filter(reported__lt=F("amount")).exists()
