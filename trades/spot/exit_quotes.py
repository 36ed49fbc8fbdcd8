"""The offer to take a settling trade back.

It lives here and not in `quotes`, because only this app knows trades; `quotes.services.issue` writes it.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from quotes import services as quotes
from quotes.models import Quote
from quotes.prices import Prices
from quotes.quoting import FeeTerms
from trades.errors import ReferenceNotExitable
from trades.models import Trade
from trades.states import TradeState


def quote_exit(
    *,
    customer_id: UUID,
    reference_trade_id: UUID,
    fees: FeeTerms | None,
    prices: Prices,
    at: datetime,
    external_id: str = "",
) -> Quote:
    """Offer the opposite of a settling trade: the same quantity of the base asset, at the current price.

    A batched trade still gets its quote, as the contract says: whether it can be exited is decided under
    the trade's lock when the exit is stored. Raises ReferenceNotExitable and what `issue` raises.
    """
    original = (
        Trade.objects.select_related("instrument__base_asset", "instrument__counter_asset")
        .filter(pk=reference_trade_id, customer_id=customer_id, trade_type=Trade.Type.PLATFORM)
        .first()
    )
    if original is None or original.state != TradeState.SETTLING:
        raise ReferenceNotExitable
    bought = original.side == Trade.Side.BUY
    return quotes.issue(
        original.instrument,
        customer_id=customer_id,
        side=Trade.Side.SELL if bought else Trade.Side.BUY,
        deliver=int(original.receive_amount) if bought else None,
        receive=None if bought else int(original.deliver_amount),
        fees=fees,
        prices=prices,
        at=at,
        reference_trade_id=original.pk,
        external_id=external_id,
    )
