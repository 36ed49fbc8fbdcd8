"""What is traded and what it costs: public, no token."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import redis
from django.urls import re_path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import clock
from accounts.errors import Malformed, Unavailable
from accounts.money import at_scale
from quotes import markets_selectors, prices, symbols
from quotes.models import Instrument, PriceHold
from quotes.selectors import HELD_BY, holds_behind

_MOMENT = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d([.,]\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?)?", re.ASCII)
_YEARS = range(1970, 3000)


class PublicView(APIView):
    authentication_classes = []
    permission_classes = []


class SupportedAssets(PublicView):
    def get(self, request: Request) -> Response:
        return Response([_asset(request, instrument) for instrument in markets_selectors.tradable()])


class LatestPrices(PublicView):
    def get(self, request: Request) -> Response:
        try:
            fresh = markets_selectors.fresh(prices.latest())
        except redis.RedisError:
            fresh = []
        if not fresh:
            raise Unavailable("Prices are temporarily unavailable")
        holds = holds_behind(one.price for one in fresh)
        return Response({"data": [_price(one, holds) for one in fresh]})


class Candles(PublicView):
    def get(self, request: Request) -> Response:
        given = request.query_params
        if not given.get("symbol") or not given.get("interval"):
            raise Malformed("Missing required parameters: symbol, interval")
        instrument = symbols.instrument(given["symbol"])
        interval = given["interval"]
        if interval not in markets_selectors.INTERVALS:
            raise Malformed(f"Interval must be one of: {', '.join(markets_selectors.INTERVALS)}")
        since, until = _moment(given.get("from"), "from"), _moment(given.get("to"), "to") or clock.about_now()
        if since is not None and since > until:
            raise Malformed("'from' must not be after 'to'")
        limit = _limit(given.get("limit"))
        bars = markets_selectors.bars(instrument.symbol, interval, since=since, until=until, limit=limit)
        return Response(
            {
                "symbol": instrument.symbol,
                "interval": interval,
                "from": since or (bars[0].time if bars else until),
                "to": until,
                "count": len(bars),
                "data": [_candle(bar) for bar in bars],
            }
        )


def _asset(request: Request, instrument: Instrument) -> dict[str, Any]:
    return {
        "symbol": instrument.symbol,
        "name": instrument.name,
        "imageUrl": request.build_absolute_uri(instrument.image_url) if instrument.image_url else None,
        "baseAsset": instrument.base_asset_id,
        "counterAsset": instrument.counter_asset_id,
        "decimals": instrument.price_decimals,
        "quantityDecimals": instrument.quantity_decimals,
        "minQuantity": at_scale(instrument.min_quantity),
        "maxQuantity": at_scale(instrument.max_quantity),
        "leverageCap": instrument.leverage_cap,
        "priceAgeLimitSeconds": instrument.price_age_limit_seconds,
        "priceJumpLimit": at_scale(instrument.jump_limit_percent),
        "priceSpreadLimit": at_scale(instrument.max_spread_percent),
        "swapLong": at_scale(instrument.swap_long_bps),
        "swapShort": at_scale(instrument.swap_short_bps),
        "swapTripleWeekday": instrument.get_swap_triple_weekday_display() or None,
    }


def _price(fresh: markets_selectors.Fresh, holds: Mapping[str, PriceHold]) -> dict[str, Any]:
    """A price that an operator holds says so; the public isn't told which operator."""
    decimals = fresh.instrument.price_decimals
    shown = {
        "symbol": fresh.instrument.symbol,
        "bid": at_scale(fresh.price.bid, decimals),
        "ask": at_scale(fresh.price.ask, decimals),
        "time": fresh.price.at,
    }
    if fresh.price.is_held:
        hold = holds.get(fresh.instrument.symbol)
        shown |= {"held": True, "heldSince": hold.at if hold else None, "heldBy": HELD_BY}
    return shown


def _candle(bar: markets_selectors.Bar) -> dict[str, Any]:
    shown: dict[str, Any] = {
        name: at_scale(value) for name, value in bar._asdict().items() if isinstance(value, Decimal)
    }
    return {"time": bar.time, **shown, "tradeCount": bar.updates}


def _moment(text: str | None, name: str) -> datetime | None:
    """ISO 8601 with or without an offset (then UTC); fractions past microseconds are cut off."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text) if _MOMENT.fullmatch(text) else None
        if moment is not None:
            moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        moment = None
    if moment is None or moment.year not in _YEARS:
        raise Malformed(f"'{name}' must be an ISO 8601 time")
    return moment


def _limit(text: str | None) -> int:
    most = markets_selectors.MOST_CANDLES
    if not text:
        return most
    if not re.fullmatch(r"\d{1,4}", text, re.ASCII) or not 1 <= int(text) <= most:
        raise Malformed(f"Limit must be between 1 and {most}")
    return int(text)


markets_urlpatterns = [
    re_path(r"^api/v1/supportedAssets/?$", SupportedAssets.as_view()),
    re_path(r"^api/v1/prices/latest/?$", LatestPrices.as_view()),
    re_path(r"^api/v1/candles/?$", Candles.as_view()),
]
