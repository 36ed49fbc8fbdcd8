"""GET /api/symbols and /api/prices: bare arrays, for tokens with prices:read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.lists import given
from accounts.money import DOWN, UP, to_base_units
from quotes import markets_selectors, prices, symbols
from quotes.models import PriceHold
from quotes.selectors import HELD_BY, holds_behind


class SymbolsView(APIView):
    scopes = {"GET": "prices:read"}

    def get(self, request: Request) -> Response:
        return Response([instrument.symbol for instrument in markets_selectors.tradable()])


class PricesView(APIView):
    """A symbol without a fresh price is left out: it has no price now. `symbol` takes several, separated by commas."""

    scopes = {"GET": "prices:read"}

    def get(self, request: Request) -> Response:
        asked = given(request.query_params, "symbol")
        wanted = {symbols.canonical(name.strip()) for name in asked.split(",")} if asked else None
        found = [
            one for one in markets_selectors.fresh(prices.latest()) if wanted is None or one.instrument.symbol in wanted
        ]
        holds = holds_behind(one.price for one in found)
        return Response([_price_out(one, holds) for one in found])


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
