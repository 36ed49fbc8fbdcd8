"""The margin orders' endpoints (`/api/v1/trade/…`).

What changes an order is a plain view: it hands a command over and passes the engine's bytes on. Creating and
closing are the hot path. Reading goes through REST framework like everything else.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import exact, tokens
from accounts.api.lists import whole_number
from accounts.errors import Malformed
from trades.api.trader import TraderView, moment
from trades.orders import submit
from trades.orders.errors import NotATrader, UnsupportedContent
from trades.orders.history import closed_orders, history_page
from trades.orders.in_doubt import decided
from trades.orders.requests import known_symbol
from trades.orders.selectors import live_orders, one_order
from trades.orders.submit import Reply, Trader
from trades.states import OrderStatus

Submit = Callable[[Trader, dict[str, Any], str, float], Reply]
READING = ("GET", "HEAD", "OPTIONS")


# --- what the engine does --------------------------------------------------------------------------


def post_create(request: HttpRequest) -> HttpResponse:
    return _submitted(request, submit.create)


def post_close(request: HttpRequest) -> HttpResponse:
    return _submitted(request, submit.close)


@csrf_exempt
def create(request: HttpRequest) -> HttpResponseBase:
    return post_create(request) if request.method == "POST" else HttpResponseNotAllowed(["POST"])


@csrf_exempt
def close(request: HttpRequest) -> HttpResponseBase:
    """POST closes an order; GET is the history."""
    if request.method == "POST":
        return post_close(request)
    if request.method not in READING:
        return HttpResponseNotAllowed([*READING, "POST"])
    return _history(request)


@csrf_exempt
def close_all(request: HttpRequest) -> HttpResponseBase:
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    return _submitted(request, submit.close_all)


@csrf_exempt
def order(request: HttpRequest, order_id: str) -> HttpResponseBase:
    """GET shows an order in any state, PATCH changes its stops or its price, DELETE cancels it while it is pending."""
    if request.method == "PATCH":
        return _submitted(request, lambda by, body, *rest: submit.change(by, order_id, body, *rest))
    if request.method == "DELETE":
        return _submitted(request, lambda by, _, *rest: submit.cancel(by, order_id, *rest), has_body=False)
    if request.method not in READING:
        return HttpResponseNotAllowed([*READING, "PATCH", "DELETE"])
    return _one_order(request, order_id=order_id)


def _submitted(request: HttpRequest, service: Submit, *, has_body: bool = True) -> HttpResponse:
    """Translate in, one call, translate out. Refusals are answered by the middleware."""
    claims = tokens.verify(request.headers.get("Authorization"))
    if claims.use != tokens.TRADER or claims.user_id is None or claims.customer_id is None:
        raise NotATrader
    body = _json_object(request) if has_body else {}
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


# --- reading ---------------------------------------------------------------------------------------


class LiveOrders(TraderView):
    def get(self, request: Request) -> Response:
        asked = request.query_params.get("status", "open").upper()
        if asked not in (OrderStatus.OPEN, OrderStatus.PENDING):
            raise Malformed("status must be open or pending")
        customer = self.trader(request).customer_id
        orders = decided(customer, partial(live_orders, customer, OrderStatus(asked), self.prices()))
        return Response({"message": orders})


class OneOrder(TraderView):
    def get(self, request: Request, order_id: str) -> Response:
        by = self.trader(request)
        read = partial(one_order, by.customer_id, by.user_id, order_id, self.prices())
        return Response(decided(by.customer_id, read))


class History(TraderView):
    def get(self, request: Request) -> Response:
        query = request.query_params
        by = self.trader(request)
        orders = closed_orders(by.customer_id)
        if query.get("symbol"):
            orders = orders.filter(instrument_id=known_symbol(query["symbol"]))
        for name, lookup in (("from", "closed_at__gte"), ("to", "closed_at__lt")):
            if (at := moment(query, name)) is not None:
                orders = orders.filter(**{lookup: at})
        limit = whole_number(query, "limit", default=100, least=1, most=100)
        page = partial(history_page, orders, by.user_id, limit, query.get("cursor", ""))
        rows, following = decided(by.customer_id, page)
        return Response({"message": rows, "nextCursor": following})


_history = csrf_exempt(History.as_view())
_one_order = csrf_exempt(OneOrder.as_view())
