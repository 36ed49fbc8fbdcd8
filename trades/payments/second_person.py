"""The second person of a payment, whichever the first one's word is: that it moved, is paid out, or was stopped."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from accounts.identity import Actor
from trades.errors import MakerIsChecker, PaymentNotFound
from trades.models import Payment
from trades.payments import manual, payouts


def agree(payment_id: UUID, *, by: Actor, at: datetime) -> Payment:
    """Agree. Raises PaymentNotFound, MakerIsChecker, and what `manual.agree` or, of a payout by file, `payouts.agree`
    raises, or `manual.refuse` where somebody has said that the bank has stopped it."""
    payment = Payment.objects.filter(pk=payment_id).first()
    if payment is None:
        raise PaymentNotFound
    if payment.stopped_by_id is not None:
        if payment.stopped_by_id == by.user_id:
            raise MakerIsChecker("Whoever said that the bank has stopped it can't be the second person.")
        return manual.refuse(payment_id, by=by, at=at, is_stopped=True)
    does = payouts.agree if payment.goes_by_file else manual.agree
    return does(payment_id, by=by, at=at)
