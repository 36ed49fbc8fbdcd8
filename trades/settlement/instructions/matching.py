"""Which instruction an entry of a statement confirms, or why none: every rule of it, in order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from django.db.models import Q

from accounts.errors import Refusal
from accounts.models import Asset
from accounts.services import base_units
from trades.bank.entries import Entry
from trades.bank.references import is_of_a_payment, references_in
from trades.models import SettlementInstruction, StandingInstruction, StatementEntry
from trades.states import InstructionState, StandingState

REASONS: Final = {
    "no_direction": "it doesn't say whether it is a credit or a debit",
    "not_booked": "the bank hasn't booked it yet",
    "a_reversal": "the bank took something back",
    "no_bank_reference": "it has no reference of the bank's own",
    "several_payments_without_amounts": "it is several payments that don't say how much each is",
    "payments_come_to_another_amount": "it is several payments that come to another amount than its own",
    "same_reference": "the bank gave its reference to another entry before",
    "same_reference_unclear": "the bank gave its reference to another entry before, and it is none to assign",
    "unknown_asset": "its currency is none that is settled here",
    "bad_amount": "its amount is not one above zero, or finer than the asset",
    "not_our_account": "the account is none of the firm's for this asset",
    "nothing_named": "it names no instruction and no payment",
    "several_named": "it names several instructions or payments",
    "payment_waits": "it names a payment that isn't completed yet",
    "unknown_instruction": "there is no such instruction",
    "other_asset": "the instruction is of another asset",
    "other_direction": "the instruction goes the other way",
    "never_sent": "the instruction was never sent",
    "has_ended": "the instruction has ended",
    "other_account": "the money came from, or went to, another account than was agreed",
    "more_than_due": "it is more than is still due",
    "leg_refused": "a leg was reported otherwise meanwhile",
}
PAYMENT_WAITS: Final = "payment_waits"
NOT_OURS: Final = "not_our_account"
USED: Final = "same_reference"
USED_AND_UNCLEAR: Final = "same_reference_unclear"  # a reversal, not booked, or of an account that isn't the firm's
OF_A_RETURN: Final = "return_"  # so begins why an entry waits that came as a reversal and was compared with its payment

# Of an entry that names an instruction: money moved otherwise than that said. Somebody has to look, soon.
CONTRADICTING: Final = (
    *("other_asset", "other_direction", "never_sent", "has_ended", "other_account", "more_than_due"),
    *("leg_refused", "same_reference", "same_reference_unclear", "a_reversal"),
)


def amount_of(entry: Entry, asset: Asset | None) -> int | None:
    """What moved, in base units; None where the bank's amount is none of this asset."""
    try:
        return base_units(asset.code, entry.amount) if asset else None
    except Refusal:
        return None


def named_in(names: Iterable[str]) -> list[str]:
    """The ids of instructions and payments in an entry's texts, each once; those in the bank's own fields decide."""
    for text in names:
        if found := references_in(text):
            return found
    return []


def waits_because(named: Sequence[str]) -> str:
    """Why an entry without a problem isn't compared with an instruction, as one of REASONS; empty: it is."""
    if len(named) != 1:
        return "several_named" if named else "nothing_named"
    return PAYMENT_WAITS if is_of_a_payment(named[0]) else ""


def problem_of(entry: Entry, asset: Asset | None, amount: int | None) -> str:
    """What is wrong with the entry whatever it names, as one of REASONS; empty: nothing."""
    if entry.problem:
        return entry.problem
    if asset is None:
        return "unknown_asset"
    if amount is None:
        return "bad_amount"
    return "" if is_ours(entry.account, asset) else NOT_OURS


def misfit(entry_direction: str, asset_id: str, amount: int, other_account: str, one: SettlementInstruction) -> str:
    """Why the entry doesn't confirm this instruction, as one of REASONS; empty: it does."""
    if one.asset_id != asset_id:
        return "other_asset"
    if one.direction != entry_direction:
        return "other_direction"
    if one.state not in (InstructionState.MADE, InstructionState.SENT):
        return "has_ended"
    if one.state == InstructionState.MADE and one.direction == SettlementInstruction.Direction.OUTGOING:
        return "never_sent"
    if other_account and other_account not in (one.standing.iban, one.standing.address):
        return "other_account"
    return "more_than_due" if amount > one.amount - one.confirmed_amount else ""


def contradicting() -> Q:
    """Of entries: those that wait for a person, and contradict an instruction that they name."""
    return Q(state=StatementEntry.State.LISTED, reason__in=CONTRADICTING) & ~Q(named="")


def is_ours(account: str, asset: Asset) -> bool:
    """Whether it is, or was, an account of the firm's for this asset."""
    own = StandingInstruction.objects.filter(
        counterparty__is_own=True, state=StandingState.APPROVED, asset=asset
    ).values_list("iban", "address")
    return bool(account) and any(account in each for each in own)
