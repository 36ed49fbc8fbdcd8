"""A quote becomes a trade: written down in `storing`, moved on by `advance`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction

from accounts import clock, conflicts
from accounts.db import locks
from accounts.errors import SandboxOnly
from accounts.identity import Caller
from accounts.ids import time_of
from accounts.models.firm_clock import firm_now_of_statement
from quotes.errors import QuoteNotFound
from quotes.models import Quote
from quotes.selectors import quote_of
from trades.errors import QuoteUsed, TradeTypeDoesNotFit
from trades.models import Trade, TradeEvent
from trades.states import TradeState

_PRODUCT_OF = {Trade.Type.PLATFORM.value: Quote.Product.TRADING, Trade.Type.EXIT.value: Quote.Product.TRADING_EXIT}

LONGEST: Final = timedelta(seconds=3)  # from a trade's id to its commit


@conflicts.atomic
def execute(
    *,
    by: Caller,
    quote_id: UUID,
    at: datetime | None = None,
    trade_type: str = Trade.Type.PLATFORM,
    labels: Sequence[str] | None = None,
    external_id: str = "",
    expected_error: str = "",
) -> Trade:
    """Write a quote down as a trade in `storing`. No money moves yet, nothing else is judged yet.

    `labels` are at most 8 of 1 to 64 characters, `external_id` at most 64, as whoever calls has seen to.
    `at` becomes the trade's created_at, by which `advance` judges whether the quote had expired; without it PostgreSQL
    says the firm's time in the INSERT itself, which begins under the lock ACCEPTING: a cut at a later moment sees
    either the trade or that somebody is at it. What is not committed soon after the trade's id was made is undone and
    tried anew, so that no id lies below a mark, and no trade is accepted long after its time.
    A quote is used once: of any number of parallel callers one gets the trade, because the trade's quote
    is unique.

    Raises QuoteNotFound (also for another customer's), TradeTypeDoesNotFit, SandboxOnly, QuoteUsed.
    """
    quote = quote_of(by, quote_id)
    if quote is None:
        raise QuoteNotFound
    if _PRODUCT_OF[trade_type] != quote.product_type:
        raise TradeTypeDoesNotFit
    if expected_error and not settings.SANDBOX:
        raise SandboxOnly
    assert quote.instrument is not None  # as its product has one, by constraint
    base, counter = quote.instrument.base_asset_id, quote.instrument.counter_asset_id
    buys = quote.side == Trade.Side.BUY
    trade = Trade(
        customer_id=quote.customer_id,
        quote=quote,
        trade_type=trade_type,
        instrument=quote.instrument,
        side=quote.side,
        receive_asset_id=base if buys else counter,
        deliver_asset_id=counter if buys else base,
        receive_amount=quote.receive_amount,
        deliver_amount=quote.deliver_amount,
        fee=quote.fee,
        labels=list(labels) if labels is not None else None,
        external_id=external_id or None,
        expected_error=expected_error,
        reference_trade_id=quote.reference_trade_id,
        created_at=at or firm_now_of_statement(),
        updated_at=at or firm_now_of_statement(),
    )
    locks.hold_shared(locks.ACCEPTING)
    try:
        with transaction.atomic():
            trade.save(force_insert=True)
    except IntegrityError:
        if Trade.objects.filter(quote_id=quote.pk).exists():
            raise QuoteUsed from None
        raise
    if at is None:
        trade.refresh_from_db(fields=["created_at", "updated_at"])
    TradeEvent.objects.create(
        trade=trade, customer_id=trade.customer_id, became=TradeState.STORING, at=trade.created_at
    )
    clock.must_commit_by(time_of(trade.pk) + LONGEST)
    return trade
