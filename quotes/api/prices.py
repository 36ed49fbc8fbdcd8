"""GET /api/symbols and /api/prices: bare arrays, for tokens with prices:read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.money import DOWN, UP, to_base_units
from accounts.rest import fields
from accounts.rest.queries import Query
from accounts.rest.viewsets import FIRM, Resource
from quotes import markets_selectors, prices, symbols
from quotes.hours import OPEN_ALWAYS, MarketState, Phase
from quotes.models import PriceHold
from quotes.selectors import HELD_BY, holds_behind


class PriceQuery(Query):
    symbol = fields.Text(help_text="Several are separated by commas.")


class PriceOut(fields.Shown):
    """One whole base unit in counter base units: what buying costs (up), what selling brings (down).

    A price that an operator holds says so, and so does one of a market that isn't open.
    """

    optional = frozenset({"held", "held_since", "held_by", "market_state"})

    symbol = fields.Text()
    buy_price = fields.Amount()
    sell_price = fields.Amount()
    buy_price_last_updated_at = fields.Time()
    sell_price_last_updated_at = fields.Time()
    held = fields.YesNo()
    held_since = fields.Time(allow_null=True)
    held_by = fields.Text()
    market_state = fields.Choice([phase.value for phase in Phase if phase is not Phase.OPEN])


class SymbolViewSet(Resource):
    owner = FIRM
    scopes = {"list": "prices:read"}
    pagination_class = None

    @extend_schema(responses={200: {"type": "string"}}, filters=False)
    def list(self, request: Request) -> Response:
        """The symbols that can be traded."""
        Query.read(request.query_params)
        return Response([instrument.symbol for instrument in markets_selectors.tradable()])


class PriceViewSet(Resource):
    """A symbol without a fresh price is left out: it has no price now."""

    owner = FIRM
    scopes = {"list": "prices:read"}
    pagination_class = None

    @extend_schema(parameters=[PriceQuery], responses=PriceOut(many=True), filters=False)
    def list(self, request: Request) -> Response:
        """What one whole base unit costs and brings now, in counter base units."""
        asked = PriceQuery.read(request.query_params).get("symbol")
        wanted = {symbols.canonical(name.strip()) for name in asked.split(",")} if asked else None
        return Response([one for one in shown(prices.latest()) if wanted is None or one["symbol"] in wanted])


def shown(latest: prices.Prices) -> list[dict[str, Any]]:
    """The fresh ones of these prices, as the list and the stream show them. Raises django.db.Error."""
    found = markets_selectors.fresh(latest)
    holds = holds_behind(one.price for one in found)
    states = markets_selectors.states() if found else {}
    return [_price_out(one, holds) | _rests(states.get(one.instrument.symbol, OPEN_ALWAYS)) for one in found]


def _rests(state: MarketState) -> dict[str, str]:
    return {} if state.phase is Phase.OPEN else {"market_state": state.phase.value}


def _price_out(fresh: markets_selectors.Fresh, holds: Mapping[str, PriceHold]) -> dict[str, Any]:
    """One whole base unit in counter base units: what buying costs (up), what selling brings (down).

    A price that an operator holds says so.
    """
    decimals = fresh.instrument.counter_asset.decimals
    shown = {
        "symbol": fresh.instrument.symbol,
        "buy_price": to_base_units(fresh.price.ask, decimals, UP),
        "sell_price": to_base_units(fresh.price.bid, decimals, DOWN),
        "buy_price_last_updated_at": fresh.price.at,
        "sell_price_last_updated_at": fresh.price.at,
    }
    if fresh.price.is_held:
        hold = holds.get(fresh.instrument.symbol)
        shown |= {"held": True, "held_since": hold.at if hold else None, "held_by": HELD_BY}
    return shown
