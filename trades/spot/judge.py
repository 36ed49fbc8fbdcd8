"""Whether a stored trade may go on, as far as that can be said without its money. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import NamedTuple

from accounts.money import EXACT, exact
from accounts.states import CustomerState
from accounts.timestamps import in_milliseconds
from quotes.hours import OPEN_ALWAYS, MarketState, is_after_gap
from quotes.models import Instrument
from quotes.prices import Price, Prices
from trades.spot.money import TradeTerms
from trades.states import FailureCode


class TradeRequest(NamedTuple):
    """What was asked for, and under which quote."""

    symbol: str
    expected_error: str
    came_late: bool  # when the quote had expired
    quoted_price: Decimal
    quoted_at: datetime
    customer_state: str


class Market(NamedTuple):
    """What an instrument allows now; `most` in base units, `price` None where none is fresh, or of before a gap."""

    is_active: bool
    state: MarketState
    most: Decimal
    price: Price | None
    volatility_limit_percent: Decimal


@exact
def markets(
    instruments: Iterable[Instrument],
    prices: Prices | None,
    states: Mapping[str, MarketState] = MappingProxyType({}),
    read_at: datetime | None = None,
) -> dict[str, Market]:
    """By symbol. Without `prices` no market has one; one without a state is open. `read_at` is the firm's time when the
    prices were read, or a little earlier; there is one where there are states."""
    return {
        one.symbol: Market(
            is_active=one.is_active,
            state=states.get(one.symbol, OPEN_ALWAYS),
            most=one.max_quantity.scaleb(one.base_asset.decimals),
            price=_price(one, prices, states.get(one.symbol, OPEN_ALWAYS), read_at) if prices is not None else None,
            volatility_limit_percent=one.volatility_limit_percent,
        )
        for one in instruments
    }


def _price(one: Instrument, prices: Prices, state: MarketState, read_at: datetime | None) -> Price | None:
    price = prices.usable(one.symbol, one.price_age_limit_seconds)
    if price is None or read_at is None or is_after_gap(price.at, state, read_at, prices.now):
        return price
    return None


def failure_of(terms: TradeTerms, asked: TradeRequest, market: Market, *, is_exit: bool) -> FailureCode | None:
    """The code a trade fails with, or None where only the reference trade and the funds are left to judge.

    An exit only takes back: it is no new risk, so neither the greatest quantity nor a symbol that was switched off
    is in its way. It has to be bought or sold all the same, so a market that is closed or halted is,
    and one that was since the quote: the trade fails whenever a worker comes to it.
    """
    if asked.expected_error:
        return FailureCode(asked.expected_error)
    if asked.came_late:
        return FailureCode.EXPIRED_QUOTE
    if asked.customer_state != CustomerState.VERIFIED or not (market.is_active or is_exit):
        return FailureCode.UNSUPPORTED
    if not (market.state.closes if is_exit else market.state.opens):
        return FailureCode.UNSUPPORTED
    if market.state.since is not None and asked.quoted_at < in_milliseconds(market.state.since):
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
