"""Quotes are issued here, an offer written down with the price it was made at; and refused prices are accepted."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

import redis
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import transaction

from accounts import conflicts
from accounts.errors import Unavailable
from accounts.money import printed
from quotes import prices as market
from quotes import symbols
from quotes.errors import SymbolNotTraded
from quotes.models import Instrument, Quote
from quotes.prices import Price, Prices
from quotes.quoting import FeeTerms, Pair, amounts


def quote_trading(
    *,
    customer_id: UUID,
    symbol: str,
    side: str,
    receive: int | None,
    deliver: int | None,
    fees: FeeTerms | None,
    prices: Prices,
    at: datetime,
) -> Quote:
    """Offer a customer to buy or sell; exactly one amount (base units, > 0) is given and kept exactly.

    Raises UnknownSymbol, SymbolNotTraded, StalePrice, AmountTooSmall, AmountOutOfRange.
    """
    return issue(
        symbols.instrument(symbol),
        customer_id=customer_id,
        side=side,
        receive=receive,
        deliver=deliver,
        fees=fees,
        prices=prices,
        at=at,
    )


@conflicts.atomic
def issue(
    instrument: Instrument,
    *,
    customer_id: UUID,
    side: str,
    receive: int | None = None,
    deliver: int | None = None,
    fees: FeeTerms | None,
    prices: Prices,
    at: datetime,
    reference_trade_id: UUID | None = None,
) -> Quote:
    """Write down an offer at the current price. Without `fees` the instrument's own apply.

    The times are cut to milliseconds, because that is what the customer sees: a quote expires at the
    moment its answer says. Raises SymbolNotTraded, StalePrice, AmountTooSmall, AmountOutOfRange.
    """
    if not instrument.is_active:
        raise SymbolNotTraded
    latest = prices.require(instrument.symbol, instrument.price_age_limit_seconds)
    price = latest.entry(side)
    pair = Pair(instrument.base_asset.decimals, instrument.counter_asset.decimals)
    terms = fees or FeeTerms(Decimal(instrument.fee_bps))
    offered = amounts(side, price, pair, terms, receive=receive, deliver=deliver)
    issued_at = at.replace(microsecond=at.microsecond // 1000 * 1000)
    return Quote.objects.create(
        customer_id=customer_id,
        product_type=Quote.Product.TRADING if reference_trade_id is None else Quote.Product.TRADING_EXIT,
        instrument=instrument,
        side=side,
        price=price,
        receive_amount=offered.receive,
        deliver_amount=offered.deliver,
        fee=offered.fee,
        reference_trade_id=reference_trade_id,
        issued_at=issued_at,
        expires_at=issued_at + timedelta(seconds=instrument.quote_life_seconds),
    )


@transaction.atomic  # and no more: Redis would not forget what an undone try told it
def accept_price(instrument: Instrument, *, seen: Price, by: UUID) -> Price:
    """Accept the feed's price that was refused as a jump, in the name of a member of the staff. Gives it.

    `seen` is the refused price that was before their eyes. The deed stands in the instrument's history, and is
    written there first: what can't be written down doesn't happen.
    Raises NoRefusedPrice, RefusedPriceMoved, Unavailable.
    """
    LogEntry.objects.create(
        user_id=by,
        content_type=ContentType.objects.get_for_model(Instrument),
        object_id=instrument.symbol,
        object_repr=instrument.symbol,
        action_flag=CHANGE,
        change_message=f"Accepted the refused price {printed(seen.bid)} / {printed(seen.ask)}.",
    )
    try:
        return market.accept(instrument.symbol, seen=seen, limit=instrument.jump_limit_percent)
    except redis.RedisError as error:
        raise Unavailable("Redis can't be reached; look whether the price is still refused.") from error
