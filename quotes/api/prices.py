"""GET /api/symbols and /api/prices: bare arrays, for tokens with prices:read."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.lists import given
from accounts.money import DOWN, UP, to_base_units
from quotes import markets_selectors, prices, symbols


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
        return Response(
            [
                _price_out(one)
                for one in markets_selectors.fresh(prices.latest())
                if wanted is None or one.instrument.symbol in wanted
            ]
        )


def _price_out(fresh: markets_selectors.Fresh) -> dict[str, Any]:
    """One whole base unit in counter base units: what buying costs (up), what selling brings (down)."""
    decimals = fresh.instrument.counter_asset.decimals
    return {
        "symbol": fresh.instrument.symbol,
        "buy_price": to_base_units(fresh.price.ask, decimals, UP),
        "sell_price": to_base_units(fresh.price.bid, decimals, DOWN),
        "buy_price_last_updated_at": fresh.price.at,
        "sell_price_last_updated_at": fresh.price.at,
    }
