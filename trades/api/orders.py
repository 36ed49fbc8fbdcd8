"""The margin orders' endpoints (`/api/v1/trade/…`).

What changes an order hands a command over and passes the engine's bytes on: these actions are direct
(`trades.api.direct`), and creating and closing are the hot path. Reading goes through REST framework.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import DynamicRoute, Route

from accounts import json_codec
from accounts.errors import Malformed
from accounts.idempotency_key import NEEDED
from accounts.identity import EXECUTE_ORDERS, READ_ORDERS
from accounts.rest.filters import Filters
from accounts.rest.routers import BothSlashes
from trades.api import examples
from trades.api import order_bodies as bodies
from trades.api.direct import DirectActions
from trades.api.margin_account import OfMarginAccount, asker_of
from trades.api.order_lists import HistoryFilters, HistoryPages, LiveFilters, LivePages
from trades.gateway import submit
from trades.gateway.submit import Reply
from trades.margin.commands import Asker
from trades.margin.errors import (
    AgainstTheRules,
    ClientOrderIdTaken,
    CreationTimedOut,
    InsufficientBalance,
    MarketClosed,
    MarketCloseOnly,
    MarketHalted,
    MayNotOpen,
    MissingParameters,
    NotOffered,
    OrderIdMismatch,
    OrderNotFound,
    OrderNotFoundOrClosed,
    OutcomeUnknown,
    PriceNotFound,
    SlippageExceeded,
    UnknownField,
    UnsupportedContent,
    headers_of,
)
from trades.models import Order
from trades.reads.execution import execution_of
from trades.reads.in_doubt import decided
from trades.reads.orders import one_order

NAMES: Final = (NotOffered, UnknownField)
Submit = Callable[[Asker, dict[str, Any], str, float], Reply]


class OrderViewSet(DirectActions, OfMarginAccount):
    queryset = Order.objects.all()
    direct = frozenset({"create", "close", "close_all", "partial_update", "destroy"})
    scopes = dict.fromkeys(["list", "retrieve", "history", "execution"], READ_ORDERS) | dict.fromkeys(
        direct, EXECUTE_ORDERS
    )
    not_found = OrderNotFound
    refusals = {
        "create": (
            *(MissingParameters, *NAMES, AgainstTheRules, PriceNotFound, InsufficientBalance, SlippageExceeded),
            *(MayNotOpen, ClientOrderIdTaken, CreationTimedOut, MarketClosed, MarketHalted, MarketCloseOnly),
        ),
        "close": (
            *(MissingParameters, *NAMES, OrderNotFoundOrClosed, OrderIdMismatch, AgainstTheRules, PriceNotFound),
            *(MarketClosed, MarketHalted, OutcomeUnknown),
        ),
        "close_all": (*NAMES, PriceNotFound, MarketClosed, MarketHalted, OutcomeUnknown),
        "partial_update": (
            *(*NAMES, AgainstTheRules, PriceNotFound, MarketClosed, MarketHalted, MarketCloseOnly, OrderIdMismatch),
            OutcomeUnknown,
        ),
        "destroy": (AgainstTheRules, OrderIdMismatch, OutcomeUnknown),
    }
    lookup_url_kwarg = "order_id"

    @property
    def filterset_class(self) -> type[Filters] | None:
        return {"list": LiveFilters, "history": HistoryFilters}.get(self.action)

    @property
    def pagination_class(self) -> type[LivePages]:  # type: ignore[override]
        return HistoryPages if self.action == "history" else LivePages

    @extend_schema(request=bodies.CreateOrderIn, responses={200: bodies.CreateOut}, examples=examples.CREATE)
    def create(self, request: HttpRequest) -> HttpResponse:
        """Open an order at the market price, or place a limit or stop order. Answers within 3 s."""
        return _submitted(request, submit.create)

    @extend_schema(request=bodies.CloseOrderIn, responses=bodies.CloseOut, examples=examples.CLOSE)
    @action(detail=False, methods=["post"])
    def close(self, request: HttpRequest) -> HttpResponse:
        """Close an order, or a part of it, at the current market price. Answers within 5 s."""
        return _submitted(request, submit.close)

    @extend_schema(responses=bodies.ClosedOrderOut(many=True))
    @close.mapping.get
    def history(self, request: Request) -> Response:
        """Closed orders, newest first."""
        return self._page()

    @extend_schema(request=bodies.CloseAllIn, responses=bodies.CloseAllOut)
    @action(detail=False, methods=["post"], url_path="close-all")
    def close_all(self, request: HttpRequest) -> HttpResponse:
        """Close every open order, or those of one symbol. Without a body it is of everything, as with `{}`."""
        return _submitted(request, submit.close_all, has_body=bool(request.body))

    @extend_schema(responses=bodies.OrderOut(many=True))
    def list(self, request: Request) -> Response:
        """Open orders, or pending ones, newest first."""
        return self._page()

    @extend_schema(responses=bodies.AnyOrderOut)
    def retrieve(self, request: Request, order_id: str) -> Response:
        """One order in any state."""
        holder = self.holder
        read = partial(one_order, self.get_queryset(), holder.user_id, order_id, self.prices())
        return Response(decided(holder.customer_id, read))

    @extend_schema(responses=bodies.ExecutionOut, examples=examples.EXECUTION)
    def execution(self, request: Request, order_id: str) -> Response:
        """Which prices an order's deals were executed at, and what the market and its sources said then."""
        read = partial(execution_of, self.get_queryset(), order_id)
        return Response(decided(self.holder.customer_id, read))

    @extend_schema(request=bodies.ChangeOrderIn, responses=bodies.ChangeOut)
    def partial_update(self, request: HttpRequest, order_id: str) -> HttpResponse:
        """Set or take away an order's stops, or move a pending order's price."""
        return _submitted(request, lambda by, body, *rest: submit.change(by, order_id, body, *rest))

    @extend_schema(request=None, responses={200: bodies.ChangeOut})
    def destroy(self, request: HttpRequest, order_id: str) -> HttpResponse:
        """Cancel a pending order."""
        return _submitted(request, lambda by, _, *rest: submit.cancel(by, order_id, *rest), has_body=False)

    def _page(self) -> Response:
        return self.get_paginated_response(self.paginate_queryset(self.filter_queryset(self.get_queryset())))


class OrdersRouter(BothSlashes):
    """The paths of the contract's page: `create`, `close`, `orders` and its second name `open`."""

    routes = [
        Route(r"^{prefix}/create{trailing_slash}$", {"post": "create"}, "{basename}-create", False, {}),
        DynamicRoute(r"^{prefix}/{url_path}{trailing_slash}$", "{basename}-{url_name}", False, {}),
        Route(r"^{prefix}/orders{trailing_slash}$", {"get": "list"}, "{basename}-list", False, {}),
        Route(r"^{prefix}/open{trailing_slash}$", {"get": "list"}, "{basename}-open", False, {}),
        Route(
            r"^{prefix}/orders/{lookup}{trailing_slash}$",
            {"get": "retrieve", "patch": "partial_update", "delete": "destroy"},
            "{basename}-detail",
            True,
            {},
        ),
        Route(
            r"^{prefix}/orders/{lookup}/execution{trailing_slash}$",
            {"get": "execution"},
            "{basename}-execution",
            True,
            {},
        ),
    ]


def _submitted(request: HttpRequest, service: Submit, *, has_body: bool = True) -> HttpResponse:
    """Translate in, one call, translate out. Refusals are answered by the middleware."""
    by = asker_of(request)
    body = _json_object(request) if has_body else {}
    key = request.META.get("HTTP_IDEMPOTENCY_KEY")
    if key == "":
        raise Malformed(NEEDED)
    arrived: float = request.arrived  # type: ignore[attr-defined]
    reply = service(by, body, key or "", arrived)
    headers = headers_of(reply.status, reply.body) | ({"Idempotent-Replayed": "true"} if reply.replayed else {})
    return HttpResponse(reply.body.encode(), status=reply.status, content_type="application/json", headers=headers)


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
