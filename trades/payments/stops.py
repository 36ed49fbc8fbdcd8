"""A payout that a bank was told of, and has refused or stopped: one person says so, above the limit a second one.

What was held is given back then, and can be spent: so it counts as what came back does (`propose_payment_return`), in
the asset's limit over 24 hours. Until the second one says the same the payout is `settling`, and may still be paid.

Callers have the payment locked. Order of locks: the payment, its asset.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from accounts.identity import Actor
from trades.corrections.propose import asset_locked, is_within_limit
from trades.funding import takes_two
from trades.models import Payment


def said(payment: Payment, by: Actor, at: datetime) -> dict[str, Any] | None:
    """Note that this person says that the bank has stopped a locked payout: the columns to fail it with; None while it
    waits for a second person. Said again by the same person it changes nothing.
    """
    if payment.stopped_by_id == by.user_id:
        return None
    if payment.stopped_by_id is not None:
        return {"stop_checked_by_id": by.user_id}
    is_alone = is_within_limit(asset_locked(payment.asset_id), int(payment.deliver_amount), by, at)
    payment.stopped_by_id, payment.stopped_at = by.user_id, at
    Payment.objects.filter(pk=payment.pk).update(stopped_by_id=by.user_id, stopped_at=at)
    return {} if is_alone and not takes_two(payment.customer_id, pays_out=False) else None
