"""Whether a stored trade may go on, as far as that can be said without its money. Pure."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from accounts.models import Customer
from accounts.money import exact, from_base_units
from quotes.models import Instrument
from quotes.prices import Prices
from trades.models import Trade
from trades.spot.money import Terms
from trades.states import FailureCode

_MAY_NOT_TRADE = frozenset({Customer.State.FROZEN, Customer.State.REJECTED})


class Asked(NamedTuple):
    """What was asked for, when, and under which quote."""

    symbol: str
    expected_error: str
    created_at: datetime
    quoted_price: Decimal
    quote_expires_at: datetime
    customer_state: str


def failure_of(
    terms: Terms, asked: Asked, instrument: Instrument, prices: Prices | None, *, is_exit: bool
) -> FailureCode | None:
    """The code a trade fails with, or None where only the reference trade and the funds are left to judge."""
    if asked.expected_error:
        return FailureCode(asked.expected_error)
    if asked.created_at >= asked.quote_expires_at:
        return FailureCode.EXPIRED_QUOTE
    if not instrument.is_active or asked.customer_state in _MAY_NOT_TRADE:
        return FailureCode.UNSUPPORTED
    if not is_exit and _quantity(terms, instrument) > instrument.max_quantity:  # an exit only takes back
        return FailureCode.LIMIT_EXCEEDED
    if prices is not None and _has_moved(terms.side, asked.quoted_price, instrument, prices):
        return FailureCode.MARKET_VOLATILITY
    return None


def _quantity(terms: Terms, instrument: Instrument) -> Decimal:
    amount = terms.receive_amount if terms.side == Trade.Side.BUY else terms.deliver_amount
    return from_base_units(amount, instrument.base_asset.decimals)


@exact
def _has_moved(side: str, quoted: Decimal, instrument: Instrument, prices: Prices) -> bool:
    """Whether the price is further from the quote's than the limit allows; no fresh price judges nothing."""
    current = prices.usable(instrument.symbol, instrument.price_age_limit_seconds)
    if current is None:
        return False
    return abs(current.entry(side) - quoted) * 100 > quoted * instrument.volatility_limit_percent
