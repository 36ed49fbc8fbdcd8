"""The margin orders' endpoints (`/api/v1/trade/…`).

What changes an order is a plain view: it hands a command over and passes the engine's bytes on. Creating and
closing are the hot path. Reading goes through REST framework like everything else.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, QueryDict
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import json_codec, tokens
from accounts.api.lists import given, only, whole_number
from accounts.errors import ERROR_CODE, Malformed
from trades.api.trader import TraderView, text, timestamp_in
from trades.gateway import submit
from trades.gateway.requests import known_symbol
from trades.gateway.submit import Reply, Trader
from trades.margin.errors import NotATrader, UnsupportedContent, code_of
from trades.margin.terms import LONGEST_NAME
from trades.models import Order
from trades.reads.history import closed_orders, history_page
from trades.reads.in_doubt import decided
from trades.reads.orders import live_orders, live_page, one_order
from trades.states import OrderStatus

Submit = Callable[[Trader, dict[str, Any], str, float], Reply]
READING = ("GET", "HEAD", "OPTIONS")
MOST_PER_PAGE = 100


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
    """Without a body it is of everything, as with `{}`."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    return _submitted(request, submit.close_all, has_body=bool(request.body))


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
    claims = tokens.verify(request.META.get("HTTP_AUTHORIZATION"))
    if claims.use != tokens.TRADER or claims.user_id is None or claims.customer_id is None:
        raise NotATrader
    body = _json_object(request) if has_body else {}
    key = request.META.get("HTTP_IDEMPOTENCY_KEY")
    if key == "":
        raise Malformed("Idempotency-Key must have 1 to 128 printable characters")
    arrived: float = request.arrived  # type: ignore[attr-defined]
    reply = service(Trader(claims.user_id, claims.customer_id), body, key or "", arrived)
    response = HttpResponse(reply.body, status=reply.status, content_type="application/json")
    if reply.replayed:
        response["Idempotent-Replayed"] = "true"
    if reply.status >= 400:
        response[ERROR_CODE] = code_of(reply.status, reply.body)
    return response


def _json_object(request: HttpRequest) -> dict[str, Any]:
    if request.content_type != "application/json":
        raise UnsupportedContent
    try:
        body = json_codec.loads(request.body)
    except json_codec.NotJSON as wrong:
        raise Malformed(str(wrong)) from None
    if not isinstance(body, dict):
        raise Malformed("The body must be a JSON object")
    return body


# --- reading ---------------------------------------------------------------------------------------


class LiveOrders(TraderView):
    """All of them; page by page where `limit` or `cursor` asks for it."""

    def get(self, request: Request) -> Response:
        query = request.query_params
        only(query, "status", "clientOrderId", "symbol", "limit", "cursor")
        status = (given(query, "status") or "open").upper()
        if status not in (OrderStatus.OPEN, OrderStatus.PENDING):
            raise Malformed("status must be open or pending")
        customer = self.trader(request).customer_id
        orders = _named(live_orders(customer, OrderStatus(status)), query)
        limit = whole_number(query, "limit", default=0, least=1, most=MOST_PER_PAGE)
        cursor = given(query, "cursor")
        if cursor and not limit:
            limit = MOST_PER_PAGE
        rows, following = decided(customer, partial(live_page, orders, self.prices(), limit, cursor))
        return Response({"message": rows, "nextCursor": following} if limit else {"message": rows})


class OneOrder(TraderView):
    def get(self, request: Request, order_id: str) -> Response:
        by = self.trader(request)
        read = partial(one_order, by.customer_id, by.user_id, order_id, self.prices())
        return Response(decided(by.customer_id, read))


class History(TraderView):
    def get(self, request: Request) -> Response:
        query = request.query_params
        only(query, "clientOrderId", "symbol", "from", "to", "limit", "cursor")
        by = self.trader(request)
        orders = _named(closed_orders(by.customer_id), query)
        for name, lookup in (("from", "closed_at__gte"), ("to", "closed_at__lt")):
            if (at := timestamp_in(query, name)) is not None:
                orders = orders.filter(**{lookup: at})
        limit = whole_number(query, "limit", default=MOST_PER_PAGE, least=1, most=MOST_PER_PAGE)
        page = partial(history_page, orders, by.user_id, limit, given(query, "cursor"))
        rows, following = decided(by.customer_id, page)
        return Response({"message": rows, "nextCursor": following})


def _named(orders: QuerySet[Order], query: QueryDict) -> QuerySet[Order]:
    """Those that `clientOrderId` and `symbol` name, where they are given. Raises Malformed."""
    if name := text(query, "clientOrderId", longest=LONGEST_NAME):
        orders = orders.filter(client_order_id=name)
    if symbol := given(query, "symbol"):
        orders = orders.filter(instrument_id=known_symbol(symbol))
    return orders


_history = csrf_exempt(History.as_view())
_one_order = csrf_exempt(OneOrder.as_view())
