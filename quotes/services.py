"""Quotes are issued here: an offer written down with the price it was made at."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from quotes import symbols
from quotes.errors import SymbolNotTraded
from quotes.models import Instrument, Quote
from quotes.prices import Prices
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
