"""Money of which an operator's command says that it has moved: a payment that is completed at once, without a fee.

In a sandbox one person alone may say so, or nobody; elsewhere within the asset's limit, as for what is confirmed by
hand.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction

from accounts import conflicts
from accounts.errors import InsufficientFunds, KeyReused
from accounts.identity import Actor
from accounts.services.funding import refuse_reference
from accounts.timestamps import in_milliseconds
from quotes.models import Quote
from quotes.services import MOVING_LIFE
from trades.corrections.funding import is_done, is_proposed
from trades.corrections.propose import asset_locked, is_within_limit, refuse_amount
from trades.funding import refuse_to_pay_in, refuse_to_pay_out, takes_two
from trades.models import Payment
from trades.payments import money, steps
from trades.states import PaymentState


@conflicts.atomic
def may_alone(
    side: str, customer_id: UUID, asset: str, amount: int, reference: str, *, by: Actor, at: datetime
) -> bool:
    """Whether this person may say so alone, outside a sandbox. The asset is locked, so call it in the transaction that
    books it: two at once then don't both find room below the limit.

    Raises UnknownAsset.
    """
    known = asset_locked(asset)
    if is_proposed(reference) or takes_two(customer_id, pays_out=side == Payment.Side.WITHDRAWAL):
        return False
    return is_within_limit(known, amount, by, at)


@conflicts.atomic
def book(
    side: str,
    customer_id: UUID,
    asset: str,
    amount: int,
    *,
    reference: str,
    reason: str,
    by: Actor | str,
    at: datetime,
) -> bool:
    """Book that `amount` base units came in (deposit) or went out (withdrawal); False where that was done before.

    Raises Malformed, CustomerIsFrozen, CustomerNotVerified, InsufficientFunds, KeyReused for a reference that names
    another movement, and redis.RedisError where positions are open and no price can be read.
    """
    refuse_amount(amount)
    refuse_reference(reference)
    if is_done(side, customer_id, asset, amount, reference):
        return False
    leaves = side == Payment.Side.WITHDRAWAL
    (refuse_to_pay_out if leaves else refuse_to_pay_in)(customer_id)
    try:
        with transaction.atomic():
            _book(side, customer_id, asset, amount, reference, reason, by, at)
    except (IntegrityError, KeyReused):
        if is_done(side, customer_id, asset, amount, reference):  # said at the same moment
            return False
        raise
    return True


def written(
    side: str, customer_id: UUID, asset: str, amount: int, rail: str, *, by: Actor, at: datetime, reference: str = ""
) -> Payment:
    """A new payment that nobody has asked for by a quote: one is made for it, without a fee. `reference`: what its
    payer was to write, where it is of a bank's files."""
    amounts = {"receive_amount": amount, "deliver_amount": amount, "fee": 0}
    issued_at = in_milliseconds(at)
    quote = Quote.objects.create(
        customer_id=customer_id,
        product_type=Quote.Product.FUNDING,
        asset_id=asset,
        side=side,
        fee_bps=0,
        fee_fixed=0,
        issued_at=issued_at,
        expires_at=issued_at + MOVING_LIFE,
        **amounts,
    )
    payment = Payment(
        customer_id=customer_id,
        quote=quote,
        type=Payment.Type.FUNDING,
        side=side,
        asset_id=asset,
        rail=rail,
        remittance_reference=reference,
        created_at=at,
        updated_at=at,
        **amounts,
    )
    steps.stored(payment, by)
    return payment


def _book(
    side: str, customer_id: UUID, asset: str, amount: int, reference: str, reason: str, by: Actor | str, at: datetime
) -> None:
    """All of a payment's steps, one after the other."""
    who = by if isinstance(by, Actor) else Actor()
    rail = Payment.Rail.SANDBOX if settings.SANDBOX else Payment.Rail.MANUAL
    payment = written(side, customer_id, asset, amount, rail, by=who, at=at)
    if payment.leaves and not money.hold(payment, at):
        raise InsufficientFunds(f"The customer can't spend so much of {asset}.")
    steps.move(payment, PaymentState.PENDING, at=at, by=who)
    steps.move(payment, PaymentState.SETTLING, at=at, by=who, reference=reference, made_by_id=who.user_id)
    steps.complete(payment, reference, at=at, by=who, moved_by=by, reason=reason)
