"""A payment that comes back: the bank takes a deposit away again, or couldn't deliver a payout.

Outside it has happened, whatever the books say. So it is booked, once for a payment and never more than had moved: as a
correction, alone within the asset's limit, by two persons above it. No customer's balance goes below zero: where a
deposit has been spent, two persons decide, the firm bears what is missing (its `adjustments` pay it), and the customer
is frozen, so that nothing else leaves. What the firm has borne comes back by an adjustment, once there is money.

Order of locks: the correction, the payment, its asset, ledger accounts, the customer.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from accounts import ledger, services
from accounts.errors import InsufficientFunds, KeyReused, Malformed
from accounts.identity import Actor
from accounts.ledger import Locked, Movement
from accounts.models import Funding
from accounts.selectors import state_of
from accounts.services import funding
from accounts.services.funding import refuse_reference
from accounts.states import CustomerState
from trades.corrections.errors import AlreadyReturned
from trades.errors import PaymentNotFound, PaymentStateForbids
from trades.funding import takes_two
from trades.models import Correction, Payment, PaymentEvent
from trades.spendable import spendable_now
from trades.states import CorrectionState, PaymentState

BY_REFERENCE: Final = (
    Correction.Kind.DEPOSIT,
    Correction.Kind.WITHDRAWAL,
    Correction.Kind.CAPITAL_IN,
    Correction.Kind.PROFIT_OUT,
    Correction.Kind.FEES_OUT,
    Correction.Kind.PAYMENT_RETURNED,
)
"""Kinds of corrections that have the outside's reference, which one of them uses alone."""

RETURNED: Final = "payment_returned"
BORNE: Final = "payment_return_borne"


def moved(payment: Payment) -> int:
    """What moved outside by a completed payment, base units: so much can come back."""
    return int(payment.receive_amount if payment.leaves else payment.deliver_amount)


def returnable(payment_id: UUID, amount: int, reference: str) -> Payment:
    """The completed payment of which this may come back, its row locked.

    Raises Malformed, PaymentNotFound, PaymentStateForbids, AlreadyReturned, and KeyReused for a reference that names
    another movement.
    """
    refuse_reference(reference)
    payment = _locked(payment_id)
    if payment.state != PaymentState.COMPLETED or payment.is_book:
        raise PaymentStateForbids("Only a completed deposit or withdrawal can come back.")
    if not 0 < amount <= moved(payment):
        raise Malformed(f"What comes back is above zero, and at most what moved: {moved(payment)} base units.")
    if return_of(payment_id) is not None:
        raise AlreadyReturned
    if is_taken(reference):
        raise KeyReused(f"The reference {reference} names another movement.")
    return payment


def is_taken(reference: str) -> bool:
    """Whether a reference names a movement, or one that somebody has proposed."""
    living = [CorrectionState.PROPOSED, CorrectionState.APPLIED]
    proposed = Correction.objects.filter(kind__in=BY_REFERENCE, state__in=living, reference=reference)
    return proposed.exists() or Funding.objects.filter(reference=reference).exists()


def return_of(payment_id: UUID) -> Correction | None:
    """The correction by which a payment came back, or is said to have."""
    found = Correction.objects.filter(kind=Correction.Kind.PAYMENT_RETURNED, subject=payment_id)
    return found.filter(state__in=[CorrectionState.PROPOSED, CorrectionState.APPLIED]).first()


def takes_two_to_return(payment: Payment, amount: int) -> bool:
    """Whether a return takes two persons whatever the limit: for who is frozen or not verified, and where the customer
    can't pay it. Locks their available account.

    Raises InsufficientFunds where a position has no price, redis.RedisError where none can be read.
    """
    if takes_two(payment.customer_id, pays_out=not payment.leaves):
        return True
    return not payment.leaves and spendable_now(_lock_own(payment)) < amount


def carry_out_return(correction: Correction, at: datetime) -> int:
    """Book that a payment came back, inside the caller's transaction; how many movements that took.

    Raises KeyReused for a reference that names another movement, InsufficientFunds where a position has no price or
    where one person alone would have the firm bear it, and redis.RedisError where no price can be read.
    """
    assert correction.subject is not None
    assert correction.amount is not None
    payment, amount = _locked(correction.subject), int(correction.amount)
    at = max(at, payment.updated_at)  # never dated before the step that it follows
    borne = 0 if payment.leaves else _bear(correction, payment, amount, at)
    _move(correction, payment, amount, at)
    Payment.objects.filter(pk=payment.pk).update(updated_at=at)
    PaymentEvent.objects.create(
        payment=payment,
        customer_id=payment.customer_id,
        became=PaymentEvent.RETURNED,
        detail=correction.pk.hex,
        by_id=correction.made_by_id,
        by_client_id=correction.made_by_client_id,
        at=at,
    )
    if borne and state_of(payment.customer_id) == CustomerState.VERIFIED:
        services.decide_on_customer(payment.customer_id, CustomerState.FROZEN, at)
    return 2 if borne else 1


def _bear(correction: Correction, payment: Payment, amount: int, at: datetime) -> int:
    """Credit the customer what they can't pay of it; how much that is."""
    own = ledger.customers(payment.customer_id, payment.asset_id, ledger.AVAILABLE)
    ours = ledger.house(payment.customer_id, payment.asset_id, ledger.ADJUSTMENTS)
    outside = ledger.house(payment.customer_id, payment.asset_id, ledger.EXTERNAL)
    balances = ledger.lock([own, ours, outside])
    missing = max(0, amount - spendable_now(balances[own]))
    if missing and not correction.needs_checker:
        raise InsufficientFunds("The customer has spent it: a second person is needed.")
    if missing:
        key = f"correction:{correction.pk.hex}:borne"
        ledger.post(
            [Movement(ours, own, missing, BORNE, key, payment.customer_id, correction.pk, at)], balances=balances
        )
    return missing


def _move(correction: Correction, payment: Payment, amount: int, at: datetime) -> None:
    """Between the customer and the outside, under its reference."""
    own = ledger.customers(payment.customer_id, payment.asset_id, ledger.AVAILABLE)
    outside = ledger.house(payment.customer_id, payment.asset_id, ledger.EXTERNAL)
    debit, credit = (outside, own) if payment.leaves else (own, outside)
    is_new = funding.move(
        RETURNED,
        debit,
        credit,
        amount,
        correction.reference,
        at,
        Actor(correction.made_by_id, correction.made_by_client_id),
        customer_id=payment.customer_id,
        reason=correction.reason,
        subject=correction.pk,
    )
    if not is_new:
        raise KeyReused(f"The reference {correction.reference} names another movement.")


def _locked(payment_id: UUID) -> Payment:
    payment = Payment.objects.select_for_update(no_key=True).filter(pk=payment_id).first()
    if payment is None:
        raise PaymentNotFound
    return payment


def _lock_own(payment: Payment) -> Locked:
    own = ledger.customers(payment.customer_id, payment.asset_id, ledger.AVAILABLE)
    return ledger.lock([own])[own]
