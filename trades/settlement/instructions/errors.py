"""Refusals of counterparties, their standing instructions, settlement instructions, files and statements."""

from __future__ import annotations

from accounts.errors import Conflict, NotFound, Refusal, SecondPersonNeeded


class CounterpartyNotFound(NotFound):
    sentence = "There is no such counterparty."


class CounterpartyExists(Conflict):
    sentence = "There is a counterparty with this name or this LEI, or the firm's own is there already."


class StandingInstructionNotFound(NotFound):
    sentence = "There is no such standing instruction."


class StandingInstructionWaits(Conflict):
    sentence = "A standing instruction of this counterparty and asset waits for its second person: decide on it first."


class StandingInstructionDecided(Refusal):
    code = "standing_instruction_state"
    sentence = "The standing instruction has been decided on already."


class ProposerCantApprove(SecondPersonNeeded):
    """Whoever may change where money goes alone may take it."""

    code = "maker_is_checker"
    sentence = "Whoever proposed a standing instruction can't approve it."


class InstructionNotFound(NotFound):
    sentence = "There is no such settlement instruction."


class InstructionStateForbids(Refusal):
    code = "instruction_state"
    sentence = "The instruction is past that step, or not yet there."


class MayStillBePaid(Refusal):
    """The bank has it: another one for the same money would be paid, too."""

    code = "may_still_be_paid"
    sentence = "The instruction was sent and may still be paid: say so once the bank has refused or stopped it."


class DayNotOver(Refusal):
    """Netting before the day's last cut would leave out what is still to come."""

    code = "day_not_over"
    sentence = "Another batch of that day is still to be cut."


class NothingToSend(Refusal):
    code = "nothing_to_send"
    sentence = "No outgoing instruction waits to be sent."


class NoOwnAccount(Refusal):
    code = "no_own_account"
    sentence = "The firm has no account of its own for this asset: its standing instruction is missing."


class StatementNotFound(NotFound):
    sentence = "There is no imported statement with this SHA-256."


class OtherStatement(Refusal):
    code = "other_statement"
    sentence = "The file that you have is another one than was imported: compare them, and release nothing."


class NothingToRelease(Refusal):
    code = "nothing_to_release"
    sentence = "Nobody has imported it as a member of staff since two persons are asked: agree to each deposit."


class EntryNotFound(NotFound):
    sentence = "There is no such entry of a statement."


class EntryDecided(Refusal):
    code = "entry_state"
    sentence = "The entry has been matched or explained already."


class EntryDoesNotFit(Refusal):
    code = "entry_does_not_fit"
    sentence = "The entry doesn't fit this instruction."
