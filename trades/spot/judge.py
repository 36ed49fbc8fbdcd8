"""Whether a stored trade may go on, as far as that can be said without its money. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from accounts.models import Customer
from accounts.money import EXACT, exact
from quotes.models import Instrument
from quotes.prices import Price, Prices
from trades.spot.money import TradeTerms
from trades.states import FailureCode

_MAY_NOT_TRADE = frozenset({Customer.State.FROZEN, Customer.State.REJECTED})


class TradeRequest(NamedTuple):
    """What was asked for, and under which quote."""

    symbol: str
    expected_error: str
    came_late: bool  # when the quote had expired
    quoted_price: Decimal
    customer_state: str


class Market(NamedTuple):
    """What an instrument allows just now; `most` in base units, `price` None where none is fresh."""

    is_active: bool
    most: Decimal
    price: Price | None
    volatility_limit_percent: Decimal


@exact
def markets(instruments: Iterable[Instrument], prices: Prices | None) -> dict[str, Market]:
    """By symbol. Without `prices` no market has one."""
    return {
        one.symbol: Market(
            is_active=one.is_active,
            most=one.max_quantity.scaleb(one.base_asset.decimals),
            price=prices.usable(one.symbol, one.price_age_limit_seconds) if prices is not None else None,
            volatility_limit_percent=one.volatility_limit_percent,
        )
        for one in instruments
    }


def failure_of(terms: TradeTerms, asked: TradeRequest, market: Market, *, is_exit: bool) -> FailureCode | None:
    """The code a trade fails with, or None where only the reference trade and the funds are left to judge.

    An exit only takes back: it is no new risk, so neither the greatest quantity nor a symbol that was switched off
    is in its way.
    """
    if asked.expected_error:
        return FailureCode(asked.expected_error)
    if asked.came_late:
        return FailureCode.EXPIRED_QUOTE
    if asked.customer_state in _MAY_NOT_TRADE or not (market.is_active or is_exit):
        return FailureCode.UNSUPPORTED
    quantity = terms.receive_amount if terms.buys else terms.deliver_amount
    if not is_exit and quantity > market.most:
        return FailureCode.LIMIT_EXCEEDED
    if market.price is not None and _has_moved(asked.quoted_price, market.price.entry(terms.side), market):
        return FailureCode.MARKET_VOLATILITY
    return None


def _has_moved(quoted: Decimal, current: Decimal, market: Market) -> bool:
    """Whether the price is further from the quote's than the limit allows, either way; exactly the limit passes.

    In the exact context's own operations: entering it for each trade costs more than the rest of the judgement.
    """
    distance = EXACT.abs(EXACT.subtract(current, quoted))
    return EXACT.multiply(distance, Decimal(100)) > EXACT.multiply(quoted, market.volatility_limit_percent)
