"""Payouts by file: approved by a person, above the limit by two; then a payment file tells the bank to pay them.

The limit is the asset's, as for payments by hand, and counts what the same person approved alone in the last 24 hours,
paid or not yet; for a customer who is frozen or not verified it takes two whatever the amount.

Order of locks: the payment, its asset.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from accounts import conflicts
from accounts.errors import ActorRequired
from accounts.identity import Actor
from accounts.states import BankAccountState
from trades.corrections.propose import asset_locked, is_within_limit
from trades.errors import BankAccountDoesNotFit, MakerIsChecker, PaymentStateForbids
from trades.funding import takes_two
from trades.models import Payment
from trades.payments import steps
from trades.states import PaymentState


@conflicts.atomic
def approve(payment_id: UUID, *, by: Actor, at: datetime) -> Payment:
    """Approve, as the first person, that a pending payout is given to the bank. Said again it changes nothing.

    Raises ActorRequired, PaymentNotFound, PaymentStateForbids, and BankAccountDoesNotFit for a bank account that its
    customer has deleted.
    """
    if by.user_id is None:
        raise ActorRequired
    payment = _pending(payment_id)
    if payment.made_by_id == by.user_id:
        return payment
    if payment.made_by_id is not None:
        raise PaymentStateForbids("Somebody has approved it already.")
    _refuse_deleted_account(payment)
    is_alone = is_within_limit(asset_locked(payment.asset_id), int(payment.deliver_amount), by, at)
    needs_checker = not is_alone or takes_two(payment.customer_id, pays_out=True)
    return _said(payment, made_by_id=by.user_id, needs_checker=needs_checker, approved_at=at)


@conflicts.atomic
def agree(payment_id: UUID, *, by: Actor, at: datetime) -> Payment:
    """Approve it as the second person. Said again it changes nothing.

    Who agreed to pay a customer who was verified has not agreed to pay one who is frozen: that is said anew.

    Raises ActorRequired, PaymentNotFound, PaymentStateForbids, MakerIsChecker, BankAccountDoesNotFit.
    """
    if by.user_id is None:
        raise ActorRequired
    payment = _pending(payment_id)
    if payment.made_by_id is None:
        raise PaymentStateForbids("Nobody has approved it as the first person yet.")
    if payment.made_by_id == by.user_id:
        raise MakerIsChecker("Whoever approved it first can't be the second person.")
    is_unverified = takes_two(payment.customer_id, pays_out=True)  # since it was approved, perhaps
    is_beyond = payment.deliver_amount > asset_locked(payment.asset_id).adjustment_limit  # which was lowered, perhaps
    is_enough = payment.checked_by_id is not None and payment.is_agreed_unverified >= is_unverified
    if is_enough and payment.checked_by_id == by.user_id:
        return payment
    if is_enough or not (payment.needs_checker or is_unverified or is_beyond):
        raise PaymentStateForbids("The payout is approved already.")
    _refuse_deleted_account(payment)
    return _said(payment, checked_by_id=by.user_id, needs_checker=True, is_agreed_unverified=is_unverified)


def _pending(payment_id: UUID) -> Payment:
    payment = steps.locked(payment_id)
    if not payment.goes_by_file:
        raise PaymentStateForbids("The payment is no payout by file.")
    if payment.state != PaymentState.PENDING:
        raise PaymentStateForbids(f"The payment is {payment.state}.")
    return payment


def _refuse_deleted_account(payment: Payment) -> None:
    assert payment.external_bank_account is not None  # as it is a payout by file, by constraint
    if payment.external_bank_account.state != BankAccountState.COMPLETED:
        raise BankAccountDoesNotFit("Its customer has deleted the bank account: refuse the payout.")


def _said(payment: Payment, **said: Any) -> Payment:
    Payment.objects.filter(pk=payment.pk).update(**said)
    for name, value in said.items():
        setattr(payment, name, value)
    return payment
