"""One call that brings a customer money: a funding quote, its payment, and all the steps of the sandbox's rail."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from accounts import conflicts
from accounts.identity import Caller
from quotes.models import Quote
from quotes.services import quote_funding
from trades.models import Payment
from trades.payments.carry import carry
from trades.payments.execute import execute


@conflicts.atomic
def fund(
    *,
    by: Caller,
    customer_id: UUID,
    asset: str,
    amount: int,
    at: datetime,
    external_id: str = "",
    labels: Sequence[str] | None = None,
) -> UUID:
    """Bring in `amount` base units; gives the payment, which is completed, or failed as a transfer's would be.

    Raises UnknownAsset, CustomerNotVerified, AmountOutOfRange, CustomerIsFrozen.
    """
    quote = quote_funding(
        customer_id=customer_id,
        asset=asset,
        side=Quote.Side.DEPOSIT,
        receive=None,
        deliver=amount,
        fees=None,
        at=at,
    )
    payment = execute(
        by=by,
        quote_id=quote.pk,
        transfer_type=Payment.Type.FUNDING,
        at=at,
        labels=labels,
        external_id=external_id,
        by_rail=Payment.Rail.SANDBOX,
    )
    carry([payment.pk])
    return payment.pk
