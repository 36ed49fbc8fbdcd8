"""A worker carries payments as far as their rail goes by itself, a transaction for each step.

Killed between two steps, whoever looks next finds the payment where the last one left it: the state column is the
queue. A payment that somebody else has locked is passed over.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db import IntegrityError

from accounts import clock, conflicts
from accounts.errors import Refusal
from trades.funding import takes_two
from trades.models import Payment
from trades.payments import steps
from trades.payments.rails import RAILS, Step, goes_on_by_itself
from trades.states import PaymentFailure, PaymentState

logger = logging.getLogger(__name__)


def carry(ids: Iterable[UUID]) -> int:
    """Take these payments on; how many steps were taken. One that can't be taken on is told, and holds up no other."""
    taken = 0
    for payment_id in ids:
        try:
            while take_step(payment_id, at=clock.firm_now()):
                taken += 1
        except (Refusal, RuntimeError, IntegrityError):
            logger.exception("payment %s can't be taken on; the others go on", payment_id.hex)
    return taken


def sweep() -> int:
    """Take on whatever goes on by itself: what a lost message left behind."""
    return carry(list(Payment.objects.filter(goes_on_by_itself()).order_by("pk").values_list("pk", flat=True)))


@conflicts.atomic
def take_step(payment_id: UUID, *, at: datetime) -> bool:
    """Take one step, if the payment's rail has one by itself; whether it did."""
    rows = Payment.objects.select_for_update(no_key=True, skip_locked=True)
    payment = rows.filter(goes_on_by_itself(), pk=payment_id).first()
    if payment is None:
        return False
    step = RAILS[payment.rail].next_step(payment)
    # A program moves nothing of a customer whose money no one person alone moves.
    if step.became == PaymentState.COMPLETED and takes_two(payment.customer_id, pays_out=payment.leaves):
        step = Step(PaymentState.FAILED, failure=PaymentFailure.REFUSED)
    if step.failure is not None:
        steps.fail(payment, step.failure, at=at)
    elif step.became == PaymentState.COMPLETED:
        steps.complete(payment, step.reference, at=at, moved_by=f"rail {payment.rail}")
    else:
        steps.move(payment, step.became, at=at)
    return True
