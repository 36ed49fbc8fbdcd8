"""The margin orders' endpoints (`/api/v1/…`).

Creating and closing are plain views: they are the hot path, and all they do is hand a command over and pass
the engine's bytes on. Reading goes through REST framework like everything else.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import redis
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import exact, tokens
from accounts.api.lists import parse_moment, whole_number
from accounts.errors import Malformed
from accounts.identity import MARGIN_TRADING, Caller
from quotes import prices as markets
from quotes.prices import Prices
from quotes.symbols import canonical
from trades.orders import selectors, submit
from trades.orders.errors import NotATrader, UnsupportedContent
from trades.orders.submit import Reply, Trader
from trades.states import OrderStatus

log = logging.getLogger("orders")

Submit = Callable[[Trader, dict[str, Any], str, float], Reply]


def _submitted(request: HttpRequest, service: Submit) -> HttpResponse:
    """Translate in, one call, translate out. Refusals are answered by the middleware."""
    claims = tokens.verify(request.headers.get("Authorization"))
    if claims.use != tokens.TRADER or claims.user_id is None or claims.customer_id is None:
        raise NotATrader
    body = _json_object(request)
    key = request.headers.get("Idempotency-Key")
    if key == "":
        raise Malformed("Idempotency-Key must have 1 to 128 printable characters")
    arrived: float = request.arrived  # type: ignore[attr-defined]
    reply = service(Trader(claims.user_id, claims.customer_id), body, key or "", arrived)
    response = HttpResponse(reply.body, status=reply.status, content_type="application/json")
    if reply.replayed:
        response["Idempotent-Replayed"] = "true"
    return response


def _json_object(request: HttpRequest) -> dict[str, Any]:
    if request.content_type != "application/json":
        raise UnsupportedContent
    try:
        body = exact.loads(request.body)
    except exact.NotJSON as wrong:
        raise Malformed(str(wrong)) from None
    if not isinstance(body, dict):
        raise Malformed("The body must be a JSON object")
    return body


@csrf_exempt
def create(request: HttpRequest) -> HttpResponseBase:
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    return _submitted(request, submit.create)


@csrf_exempt
def close(request: HttpRequest) -> HttpResponseBase:
    """POST closes an order; GET is the history."""
    if request.method == "POST":
        return _submitted(request, submit.close)
    return _history(request)


class TraderView(APIView):
    scopes = {"GET": MARGIN_TRADING}

    @staticmethod
    def trader(request: Request) -> Trader:
        """Only a trader's own token has this view's scope, and it names both."""
        caller: Caller = request.user  # type: ignore[assignment]
        if caller.user_id is None or caller.customer_id is None:
            raise NotATrader
        return Trader(caller.user_id, caller.customer_id)

    @staticmethod
    def prices() -> Prices | None:
        """The latest prices, or None while Redis is away: money is shown all the same."""
        try:
            return markets.latest()
        except redis.RedisError:
            log.warning("no prices: Redis is away")
            return None


class LiveOrders(TraderView):
    def get(self, request: Request) -> Response:
        asked = request.query_params.get("status", "open").upper()
        if asked not in (OrderStatus.OPEN, OrderStatus.PENDING):
            raise Malformed("status must be open or pending")
        orders = selectors.live_orders(self.trader(request).customer_id, OrderStatus(asked), self.prices())
        return Response({"message": orders})


class OneOrder(TraderView):
    def get(self, request: Request, order_id: str) -> Response:
        by = self.trader(request)
        return Response(selectors.one_order(by.customer_id, by.user_id, order_id, self.prices()))


class History(TraderView):
    http_method_names = ["get", "head", "options"]

    def get(self, request: Request) -> Response:
        query = request.query_params
        by = self.trader(request)
        orders = selectors.history(by.customer_id)
        if query.get("symbol"):
            symbol = canonical(query["symbol"])
            if symbol is None:
                raise Malformed("symbol is unknown")
            orders = orders.filter(instrument_id=symbol)
        for name, lookup in (("from", "closed_at__gte"), ("to", "closed_at__lt")):
            if query.get(name):
                at = parse_moment(query[name])
                if at is None:
                    raise Malformed(f"{name} must be a time such as 2026-01-31T12:00:00.000Z")
                orders = orders.filter(**{lookup: at})
        limit = whole_number(query, "limit", default=100, least=1, most=100)
        rows, following = selectors.history_page(orders, by.user_id, limit, query.get("cursor", ""))
        return Response({"message": rows, "nextCursor": following})


class Balance(TraderView):
    def get(self, request: Request) -> Response:
        free = selectors.figures(self.trader(request).customer_id, None).free
        return Response({"status": "success", "message": selectors.in_currency(free)})


class AccountFigures(TraderView):
    def get(self, request: Request) -> Response:
        found = selectors.figures(self.trader(request).customer_id, self.prices())
        return Response(selectors.shown_figures(found))


_history = csrf_exempt(History.as_view())
