"""GET /api/v1/supportedAssets, prices/latest and candles: what can be traded and what it costs, without a token."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import redis
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import ValidationError

from accounts import clock
from accounts.errors import Malformed, Unavailable
from accounts.money import at_scale
from accounts.rest import fields
from accounts.rest.queries import Query
from accounts.rest.viewsets import PublicResource
from accounts.timestamps import parse_timestamp
from quotes import markets_selectors, prices, symbols
from quotes.errors import UnknownSymbol
from quotes.hours import MarketState, Phase
from quotes.leverage import tiers_of
from quotes.models import Instrument, PriceHold
from quotes.models.instrument import HedgedMargin
from quotes.selectors import HELD_BY, holds_behind

_YEARS = range(1970, 3000)


class Moment(fields.Time):
    """A time of the years that markets have."""

    def to_internal_value(self, data: Any) -> datetime:
        at = parse_timestamp(data)
        if at is None or at.year not in _YEARS:
            raise ValidationError(f"'{self.field_name}' must be an ISO 8601 time")
        return at


class Interval(fields.Verbatim):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.taken = {"type": "string", "enum": list(markets_selectors.INTERVALS)}


class Limit(fields.Verbatim):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.taken = {"type": "integer", "minimum": 1, "maximum": markets_selectors.MOST_CANDLES}


class CandleQuery(Query):
    """`from` is inclusive, `to` exclusive (default: now)."""

    symbol = fields.Verbatim(required=True, help_text="BTC-USD; btc, BTC, BTCUSD, BTCUSDT, too.")
    interval = Interval(required=True)
    vars()["from"] = Moment()  # a word of Python's
    to = Moment()
    limit = Limit(help_text="Absent: as many as may be.")

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not data.get("symbol") or not data.get("interval"):
            raise Malformed("Missing required parameters: symbol, interval")
        return super().to_internal_value(data)


class LeverageTierOut(fields.Shown):
    """From so much exposure in the symbol, the new order included, in the account currency."""

    vars()["from"] = fields.Count()  # a word of Python's
    leverageCap = fields.Count()  # noqa: N815


class InstrumentOut(fields.Shown):
    symbol = fields.Text()
    name = fields.Text()
    imageUrl = fields.Text(allow_null=True)  # noqa: N815 - the contract's names, here and below
    baseAsset = fields.Text()  # noqa: N815
    counterAsset = fields.Text()  # noqa: N815
    decimals = fields.Whole(least=0, most=18)
    quantityDecimals = fields.Whole(least=0, most=18)  # noqa: N815
    minQuantity = fields.Number()  # noqa: N815
    maxQuantity = fields.Number()  # noqa: N815
    leverageCap = fields.Count()  # noqa: N815
    retailLeverageCap = fields.Count(allow_null=True, help_text="Of retail customers, where it is less.")  # noqa: N815
    leverageTiers = LeverageTierOut(many=True)  # noqa: N815
    hedgedMargin = fields.Choice(  # noqa: N815
        HedgedMargin.values, help_text="What positions against each other reserve, those that open from now on."
    )
    leastDistance = fields.Number(help_text="Of stops and pending prices, in hundredths of a percent.")  # noqa: N815
    priceAgeLimitSeconds = fields.Count()  # noqa: N815
    priceJumpLimit = fields.Number()  # noqa: N815
    priceSpreadLimit = fields.Number()  # noqa: N815
    swapLong = fields.Number()  # noqa: N815
    swapShort = fields.Number()  # noqa: N815
    swapTripleWeekday = fields.Text(allow_null=True)  # noqa: N815
    tradingHours = fields.Text(help_text="Their name.")  # noqa: N815
    marketState = fields.Choice([phase.value for phase in Phase])  # noqa: N815
    stateUntil = fields.Time(allow_null=True, help_text="When the hours change it.")  # noqa: N815
    nextOpening = fields.Time(allow_null=True, help_text="Null while it is open.")  # noqa: N815


class LatestPriceOut(fields.Shown):
    optional = frozenset({"held", "heldSince", "heldBy"})

    symbol = fields.Text()
    bid = fields.Number()
    ask = fields.Number()
    time = fields.Time()
    held = fields.YesNo(help_text="An operator holds the price.")
    heldSince = fields.Time(allow_null=True)  # noqa: N815
    heldBy = fields.Text()  # noqa: N815


class LatestPricesOut(fields.Shown):
    vars()["data"] = LatestPriceOut(many=True)  # a serializer has a property of this name


class CandleOut(fields.Shown):
    time = fields.Time()
    open = fields.Number()
    high = fields.Number()
    low = fields.Number()
    close = fields.Number()
    volume = fields.Number()
    tradeCount = fields.Count()  # noqa: N815


class CandlesOut(fields.Shown):
    symbol = fields.Text()
    interval = fields.Choice(list(markets_selectors.INTERVALS))
    vars()["from"] = fields.Time()
    to = fields.Time()
    count = fields.Count()
    vars()["data"] = CandleOut(many=True)


class MarketViewSet(PublicResource):
    refusals = {"candles": (UnknownSymbol,)}

    @extend_schema(responses=InstrumentOut(many=True), filters=False)
    @action(detail=False, url_path="supportedAssets", pagination_class=None)
    def supported_assets(self, request: Request) -> Response:
        """The instruments, with their rules."""
        Query.read(request.query_params)
        states = markets_selectors.states()
        return Response([_asset(request, one, states[one.symbol]) for one in markets_selectors.tradable()])

    @extend_schema(responses=LatestPricesOut)
    @action(detail=False, url_path="prices/latest")
    def latest_prices(self, request: Request) -> Response:
        """Every fresh price; 503 when the feed is down. None of a closed market."""
        Query.read(request.query_params)
        try:
            fresh = markets_selectors.fresh(prices.latest())
        except redis.RedisError:
            fresh = []
        if not fresh and not markets_selectors.all_are_closed():
            raise Unavailable("Prices are temporarily unavailable")
        holds = holds_behind(one.price for one in fresh)
        return Response({"data": [_price(one, holds) for one in fresh]})

    @extend_schema(parameters=[CandleQuery], responses=CandlesOut)
    @action(detail=False)
    def candles(self, request: Request) -> Response:
        """The mid price over time."""
        asked = CandleQuery.read(request.query_params)
        instrument = symbols.instrument(asked["symbol"])
        interval = asked["interval"]
        if interval not in markets_selectors.INTERVALS:
            raise Malformed(f"Interval must be one of: {', '.join(markets_selectors.INTERVALS)}")
        since, until = asked.get("from"), asked.get("to") or clock.about_now()
        if since is not None and since > until:
            raise Malformed("'from' must not be after 'to'")
        limit = _limit(asked.get("limit"))
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


def _asset(request: Request, instrument: Instrument, state: MarketState) -> dict[str, Any]:
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
        "retailLeverageCap": instrument.retail_leverage_cap,
        "leverageTiers": [
            {"from": tier.exposure, "leverageCap": tier.cap} for tier in tiers_of(instrument.leverage_tiers)
        ],
        "hedgedMargin": instrument.hedged_margin,
        "leastDistance": at_scale(instrument.least_distance_bps),
        "priceAgeLimitSeconds": instrument.price_age_limit_seconds,
        "priceJumpLimit": at_scale(instrument.jump_limit_percent),
        "priceSpreadLimit": at_scale(instrument.max_spread_percent),
        "swapLong": at_scale(instrument.swap_long_bps),
        "swapShort": at_scale(instrument.swap_short_bps),
        "swapTripleWeekday": instrument.get_swap_triple_weekday_display() or None,
        "tradingHours": instrument.trading_hours_id,
        "marketState": state.phase.value,
        "stateUntil": state.until,
        "nextOpening": state.next_open,
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


def _limit(text: str | None) -> int:
    most = markets_selectors.MOST_CANDLES
    if not text:
        return most
    if not re.fullmatch(r"\d{1,4}", text, re.ASCII) or not 1 <= int(text) <= most:
        raise Malformed(f"Limit must be between 1 and {most}")
    return int(text)
