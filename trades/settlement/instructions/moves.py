"""An instruction is sent, fails or is cancelled. In each the legs that it doesn't settle any more are free again."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from accounts import conflicts
from accounts.bank_details import printable
from accounts.identity import Actor
from trades.models import SettlementInstruction, SettlementLeg
from trades.settlement.instructions.ending import is_at_the_bank, move, release
from trades.settlement.instructions.errors import InstructionNotFound, InstructionStateForbids, MayStillBePaid
from trades.settlement.legs import fail_leg
from trades.states import InstructionState, LegStatus

LONGEST_NOTE: Final = 200


@conflicts.atomic
def send(instruction_id: UUID, *, at: datetime) -> SettlementInstruction:
    """Note that an outgoing instruction was given to the bank by another way than a file.

    Raises InstructionNotFound, InstructionStateForbids.
    """
    found = locked(instruction_id)
    if found.direction != SettlementInstruction.Direction.OUTGOING:
        raise InstructionStateForbids("Nothing is sent for an incoming instruction: it is the other side that pays.")
    move(found, InstructionState.SENT, "", at)
    return found


@conflicts.atomic
def fail(
    instruction_id: UUID, *, note: str, by: Actor, at: datetime, is_stopped: bool = False
) -> SettlementInstruction:
    """It won't be carried out any more: its legs failed with it, and another one may be made for what is missing.

    What of it was confirmed stays with its legs. What was sent the bank may still pay: whoever lets it fail says that
    the bank has refused or stopped it (`is_stopped`), also of one that has ended by itself and may be paid: then its
    legs, which were freed by that, may be in another one.

    Raises Malformed, InstructionNotFound, InstructionStateForbids, MayStillBePaid.
    """
    note = printable(note.strip(), "A reason", LONGEST_NOTE)
    found = locked(instruction_id)
    if not is_stopped and (found.may_be_paid or is_at_the_bank(found)):
        raise MayStillBePaid
    if found.may_be_paid:
        found.may_be_paid, found.note, found.updated_at = False, note, at
        found.save(update_fields=["may_be_paid", "note", "updated_at"])
        return found
    move(found, InstructionState.FAILED, note, at)
    for line in release(found):
        if SettlementLeg.objects.get(pk=line.leg_id).status in (LegStatus.PENDING, LegStatus.PARTIALLY_SETTLED):
            fail_leg(line.leg_id, failure=note, by=by, at=at)
    return found


@conflicts.atomic
def cancel(instruction_id: UUID, *, note: str, at: datetime) -> SettlementInstruction:
    """Give it up before it was sent and before anything was confirmed; its legs wait for another one.

    Raises Malformed, InstructionNotFound, InstructionStateForbids.
    """
    found = locked(instruction_id)
    if found.confirmed_amount:
        raise InstructionStateForbids("A part of it has been confirmed: what is left of it can only fail.")
    move(found, InstructionState.CANCELLED, printable(note.strip(), "A reason", LONGEST_NOTE), at)
    release(found)
    return found


def locked(instruction_id: UUID) -> SettlementInstruction:
    """The instruction, its row locked until the transaction ends. Raises InstructionNotFound."""
    rows = SettlementInstruction.objects.select_for_update(no_key=True, of=("self",)).select_related(
        "asset", "standing"
    )
    found = rows.filter(pk=instruction_id).first()
    if found is None:
        raise InstructionNotFound
    return found
