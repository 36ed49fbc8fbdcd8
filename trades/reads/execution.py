"""Which price it was: what an order's deals were executed at, beside what the market and its sources said then."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db.models import Q, QuerySet

from accounts.money import NEAREST, at_scale, exact, rounded
from quotes import made_of
from quotes.candles import minute_of
from quotes.conversion import prices_of
from quotes.markets_selectors import Bar, bars_of
from quotes.symbols import instruments
from trades.margin.errors import OrderNotFound
from trades.margin.terms import ORDER_CODE
from trades.models import Deal, Order
from trades.reads.slippage import in_bps, middle, side_of, slippage

_MILLISECOND: Final = timedelta(milliseconds=1)
RATE_DECIMALS: Final = 18


@dataclass(frozen=True, slots=True)
class Compared:
    """What somebody said, and what the execution cost beside it. Of the middle `source` is empty.

    `price` is the side that the customer would have got there; `age_ms` as of the decision.
    """

    source: str
    bid: Decimal
    ask: Decimal
    price: Decimal
    at: datetime
    age_ms: int
    slippage: Decimal
    bps: Decimal | None


@dataclass(frozen=True, slots=True)
class Executed:
    """A deal beside its price; `mid`, `sources` and `candle` are None of one from before prices were kept.

    `candle` is the price's minute; None, too, where nothing was gathered of it, or not written yet.
    """

    deal: Deal
    side: str
    mid: Compared | None
    sources: tuple[Compared, ...] | None
    candle: Bar | None


def execution_of(orders: QuerySet[Order], code: str) -> dict[str, Any]:
    """How one of these orders was executed. Raises OrderNotFound for a code that none of them has."""
    order = orders.filter(code=code).first() if ORDER_CODE.fullmatch(code) else None
    if order is None:
        raise OrderNotFound
    row = instruments()[order.instrument_id]
    shown = partial(_shown, decimals=row.price_decimals, counted_in=row.counter_asset_id)
    return {
        "orderId": order.code,
        "symbol": order.instrument_id,
        "type": order.side,
        "status": order.status,
        "deals": [shown(one) for one in executed(order)],
    }


def executed(order: Order) -> list[Executed]:
    """An order's deals in their order; of a closed part its order's opening, too. Two queries."""
    deals = list(Deal.objects.filter(Q(order_id=order.pk) | _opening_of(order.parent_id)).order_by("at", "id"))
    minutes = {minute_of(deal.priced_at) for deal in deals if deal.priced_at is not None}
    candles = bars_of(order.instrument_id, minutes) if minutes else {}
    return [_executed(order, deal, candles) for deal in deals]


def _opening_of(parent_id: UUID | None) -> Q:
    return Q(order_id=parent_id, kind=Deal.Kind.OPEN) if parent_id else Q(pk__in=[])


def _executed(order: Order, deal: Deal, candles: dict[datetime, Bar]) -> Executed:
    side = side_of(order.side, deal.kind)
    if deal.bid is None or deal.ask is None or deal.priced_at is None or deal.price_age_ms is None:
        return Executed(deal, side, None, None, None)
    read_at = deal.priced_at + deal.price_age_ms * _MILLISECOND
    mid = middle(deal.bid, deal.ask)
    return Executed(
        deal,
        side,
        _compared(deal, side, "", deal.bid, deal.ask, mid, deal.priced_at, read_at),
        tuple(
            _compared(deal, side, one.source, one.bid, one.ask, one.ask if side == "buy" else one.bid, one.at, read_at)
            for one in made_of.read(deal.sources or "")
        ),
        candles.get(minute_of(deal.priced_at)),
    )


def _compared(
    deal: Deal, side: str, source: str, bid: Decimal, ask: Decimal, price: Decimal, at: datetime, read_at: datetime
) -> Compared:
    slipped = slippage(side, deal.price, price)
    age = (read_at - at) // _MILLISECOND
    return Compared(source, bid, ask, price, at, age, slipped, in_bps(slipped, price))


# --- as the API shows it ---------------------------------------------------------------------------


def _shown(one: Executed, decimals: int, counted_in: str) -> dict[str, Any]:
    deal, mid = one.deal, one.mid
    spread = None if deal.bid is None or deal.ask is None else at_scale(deal.ask - deal.bid, decimals)
    return {
        "kind": deal.kind,
        "side": one.side,
        "time": deal.at,
        "price": at_scale(deal.price, decimals),
        "quantity": at_scale(deal.quantity),
        "reason": deal.reason or None,
        "conversion": _shown_rate(deal, counted_in),
        "bid": None if deal.bid is None else at_scale(deal.bid, decimals),
        "ask": None if deal.ask is None else at_scale(deal.ask, decimals),
        "spread": spread,
        "mid": None if mid is None else at_scale(mid.price, decimals),
        "slippage": None if mid is None else at_scale(mid.slippage, decimals),
        "slippageBps": None if mid is None or mid.bps is None else at_scale(mid.bps),
        "priceTime": deal.priced_at,
        "priceAgeMs": deal.price_age_ms,
        "priceHeld": None if mid is None else deal.hold is not None,
        "sources": None if one.sources is None else [_shown_source(source, decimals) for source in one.sources],
        "candle": None if one.candle is None else _shown_candle(one.candle, decimals),
    }


@exact
def _shown_rate(deal: Deal, counted_in: str) -> dict[str, Any] | None:
    """What a margin or a profit was converted at; None where it was in the account's currency already."""
    if deal.rate_multiplier is None or deal.rate_divisor is None:
        return None
    rate = rounded(deal.rate_multiplier / deal.rate_divisor, RATE_DECIMALS, NEAREST)
    return {
        "currency": counted_in,
        "accountCurrency": settings.ACCOUNT_CURRENCY,
        "rate": at_scale(rate),
        "multiplier": at_scale(deal.rate_multiplier),
        "divisor": at_scale(deal.rate_divisor),
        "prices": [
            {"symbol": one.symbol, "side": one.side, "inverse": one.is_inverse} for one in prices_of(deal.rate_path)
        ],
        "time": deal.rate_at,
    }


def _shown_source(source: Compared, decimals: int) -> dict[str, Any]:
    return {
        "source": source.source,
        "bid": at_scale(source.bid, decimals),
        "ask": at_scale(source.ask, decimals),
        "time": source.at,
        "ageMs": source.age_ms,
        "slippage": at_scale(source.slippage, decimals),
        "slippageBps": None if source.bps is None else at_scale(source.bps),
    }


def _shown_candle(bar: Bar, decimals: int) -> dict[str, Any]:
    return {
        "time": bar.time,
        "open": at_scale(bar.open, decimals),
        "high": at_scale(bar.high, decimals),
        "low": at_scale(bar.low, decimals),
        "close": at_scale(bar.close, decimals),
    }
