"""Which payment an entry of a statement completes or returns, or why none: every rule of it, in order."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from django.db.models import Q

from accounts.selectors import state_of
from accounts.states import CustomerState
from trades.models import Payment, StatementEntry
from trades.settlement.instructions import matching
from trades.states import PaymentState

A_REVERSAL: Final = "a_reversal"
RETURN_WAITS: Final = "return_waits"
RETURN_NEEDS_A_PERSON: Final = "return_needs_a_person"
NEVER_MOVED: Final = "return_never_moved"
RETURN_NOT_OURS: Final = "return_not_our_account"
UNKNOWN_RETURN: Final = "return_unknown_payment"
NEEDS_A_PERSON: Final = "payment_needs_a_person"
REASONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        **matching.REASONS,
        "unknown_payment": "there is no such payment",
        "payment_other_asset": "the payment is of another asset",
        "payment_other_direction": "the payment goes the other way",
        "payment_other_amount": "it is another amount than the payment's",
        "payment_other_account": "the money came from, or went to, another account than the payment says",
        "payment_never_sent": "the bank was never told to pay it out",
        "payment_has_ended": "the payment has completed or failed already",
        "payment_refused": "its reference names another movement, or can't name one",
        NEEDS_A_PERSON: "nobody has imported it by name: import a statement as a member of staff",
        "customer_not_verified": "its customer is frozen, or not verified",
        "assignment_refused": "a second person refused the payment that it was said to be",
        UNKNOWN_RETURN: "it takes back a payment that there isn't",
        "return_unknown_asset": "it came back in a currency that is none settled here",
        "return_bad_amount": "what came back is no amount above zero, or finer than the asset",
        RETURN_NOT_OURS: "it came back to an account that is none of the firm's for this asset",
        "return_other_asset": "it came back in another asset than the payment's",
        "return_other_direction": "it came back the same way as the payment went",
        NEVER_MOVED: "it takes back what has not moved",
        "return_refused": "it takes back more than has moved, or what came back before",
        RETURN_NEEDS_A_PERSON: "it came back: import it as a member of staff, or say so at the payment",
        RETURN_WAITS: "it came back: a second person decides under Corrections",
        "return_rejected": "it came back, and the correction that said so was rejected",
    }
)

OF_RETURNS: Final = (A_REVERSAL, RETURN_WAITS, RETURN_NEEDS_A_PERSON, NEVER_MOVED, RETURN_NOT_OURS)
DUE: Final = (matching.PAYMENT_WAITS, NEEDS_A_PERSON, *OF_RETURNS)

# Of an entry that names a payment: money moved otherwise than that said. Somebody has to look, soon.
CONTRADICTING: Final = (
    *matching.CONTRADICTING,
    *(name for name in REASONS if name.startswith("payment_") and name != matching.PAYMENT_WAITS),
    *(name for name in REASONS if name.startswith(matching.OF_A_RETURN) and name not in (RETURN_WAITS, UNKNOWN_RETURN)),
    "customer_not_verified",
)


def contradicting() -> Q:
    """Of entries: those that wait for a person, and contradict an instruction or a payment that they name."""
    return Q(state=StatementEntry.State.LISTED, reason__in=CONTRADICTING) & ~Q(named="")


def due() -> Q:
    """Of entries: those that name a payment and haven't been compared with it, or wait for what comes of a return, for
    somebody who imports by name, for the payment that they take back to move, or for their account to be the firm's."""
    waits = Q(reason__in=DUE)
    return waits & Q(state=StatementEntry.State.LISTED, named__startswith="RF")


def misfit(entry: StatementEntry, payment: Payment) -> str:
    """Why the entry doesn't complete this payment by itself, as one of REASONS; empty: it does."""
    if why := misfit_by_hand(entry, payment):
        return why
    account = payment.external_bank_account
    if account is not None and entry.other_account and entry.other_account.upper() != account.account_number:
        return "payment_other_account"
    is_paid_in = not payment.leaves  # what the bank has paid out has left, whoever it is
    return "customer_not_verified" if is_paid_in and state_of(payment.customer_id) != CustomerState.VERIFIED else ""


def misfit_by_hand(entry: StatementEntry, payment: Payment) -> str:
    """Why nobody can say that the entry is this payment's, as one of REASONS; empty: a person can."""
    if payment.asset_id != entry.asset_id:
        return "payment_other_asset"
    if not entry.direction:
        return "no_direction"
    if payment.leaves != (entry.direction == "outgoing"):
        return "payment_other_direction"
    if why := _not_now(payment):
        return why
    amount = payment.receive_amount if payment.leaves else payment.deliver_amount
    return "" if entry.amount == amount else "payment_other_amount"


def _not_now(payment: Payment) -> str:
    if payment.leaves:
        if payment.state in (PaymentState.STORING, PaymentState.PENDING):
            return "payment_never_sent"
        return "" if payment.state == PaymentState.SETTLING else "payment_has_ended"
    is_awaited = payment.state in (PaymentState.STORING, PaymentState.PENDING) and not payment.expected_error
    return "" if is_awaited else "payment_has_ended"


def misfit_of_a_return(entry: StatementEntry, payment: Payment) -> str:
    """Why the entry doesn't take this payment back, as one of REASONS; empty: it does.

    Each begins with OF_A_RETURN: nothing else says of the entry that it came as a reversal.
    """
    if entry.asset is None:
        return "return_unknown_asset"
    if entry.amount is None:
        return "return_bad_amount"
    if not matching.is_ours(entry.account, entry.asset):
        return RETURN_NOT_OURS
    if payment.asset_id != entry.asset_id:
        return "return_other_asset"
    if payment.leaves != (entry.direction == "incoming"):
        return "return_other_direction"
    return "" if payment.state == PaymentState.COMPLETED else NEVER_MOVED


def waits_for_a_person(entry: StatementEntry) -> bool:
    """Whether it is a deposit's that somebody else than its first person has to agree to."""
    payment = entry.payment
    if payment is None or payment.leaves:
        return False
    return payment.state == PaymentState.SETTLING and payment.needs_checker


def became(entry: StatementEntry) -> str:
    """What a statement's entry is, or why it waits, or what somebody said of it."""
    if entry.instruction:
        return entry.instruction.reference
    if entry.payment:
        waits = ", which waits for a second person" if waits_for_a_person(entry) else ""
        return entry.payment.remittance_reference + waits
    return REASONS.get(entry.reason, entry.reason) if entry.state == StatementEntry.State.LISTED else entry.note
