"""Filters and pages of a trader's orders: keyset pages, on the time or the id of the last row that was shown."""

from __future__ import annotations

import re
from functools import partial
from typing import Any, Final

from django import forms
from django.db.models import QuerySet
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.errors import Malformed
from accounts.rest.fields import NO_CONTROLS, Schema
from accounts.rest.filters import At, Filter, Filters
from accounts.rest.pages import parameter
from accounts.rest.queries import given, whole_number
from trades.gateway.requests import known_symbol
from trades.margin.terms import LONGEST_NAME
from trades.models import Order
from trades.reads.history import history_page
from trades.reads.in_doubt import decided
from trades.reads.orders import live_page
from trades.states import OrderStatus

MOST_PER_PAGE: Final = 100
LIVE: Final = {"open": OrderStatus.OPEN, "pending": OrderStatus.PENDING}


class Named(Filter):
    """The order that a client gave this name."""

    schema: Schema = {"type": "string", "pattern": f"^[^{NO_CONTROLS}]{{1,{LONGEST_NAME}}}$"}

    def parse(self, text: str) -> str:
        if re.fullmatch(f"[^{NO_CONTROLS}]{{1,{LONGEST_NAME}}}", text) is None:
            raise forms.ValidationError(f"must be a string of 1 to {LONGEST_NAME} characters")
        return text


class OfSymbol(Filter):
    """BTC-USD; btc, BTC, BTCUSD, BTCUSDT, too."""

    def parse(self, text: str) -> str:
        try:
            return known_symbol(text)
        except Malformed:
            raise forms.ValidationError("is unknown") from None


class OfStatus(Filter):
    """`open` or `pending`, in any case; open where it is absent."""

    schema: Schema = {"type": "string", "pattern": "^([oO][pP][eE][nN]|[pP][eE][nN][dD][iI][nN][gG])$"}

    def parse(self, text: str) -> OrderStatus:
        if text.lower() not in LIVE:
            raise forms.ValidationError("must be open or pending")
        return LIVE[text.lower()]

    def filter(self, qs: Any, value: Any) -> Any:
        return qs.filter(status=value or OrderStatus.OPEN)


class LiveFilters(Filters):
    status = OfStatus("status")
    clientOrderId = Named("client_order_id")  # noqa: N815 - the contract's name
    symbol = OfSymbol("instrument_id")


class HistoryFilters(Filters):
    """`from` is inclusive, `to` exclusive."""

    clientOrderId = Named("client_order_id")  # noqa: N815 - the contract's name
    symbol = OfSymbol("instrument_id")
    vars()["from"] = At("closed_at__gte")  # a word of Python's
    to = At("closed_at__lt")


class LivePages(BasePagination):
    """All live orders; page by page where `limit` or `cursor` asks for it."""

    parameters = ("limit", "cursor")
    default = 0

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        """The page's orders as they are shown. Raises Malformed."""
        query = request.query_params
        self.limit = whole_number(query, "limit", default=self.default, least=1, most=MOST_PER_PAGE)
        cursor = given(query, "cursor")
        if cursor and not self.limit:
            self.limit = MOST_PER_PAGE
        rows, self.following = decided(view.holder.customer_id, self.read(queryset, cursor, view))
        return list(rows)

    def read(self, orders: QuerySet[Order], cursor: str, view: Any) -> Any:
        return partial(live_page, orders, view.prices(), self.limit, cursor)

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"message": data, "nextCursor": self.following} if self.limit else {"message": data})

    def get_paginated_response_schema(self, schema: Schema) -> Schema:
        following = {"type": ["string", "null"], "description": "Where the next page begins; null on the last."}
        return {
            "type": "object",
            "required": ["message", "nextCursor"] if self.default else ["message"],
            "additionalProperties": False,
            "properties": {"message": schema, "nextCursor": following},
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        limit: Schema = {"type": "integer", "minimum": 1, "maximum": MOST_PER_PAGE}
        return [
            parameter("limit", limit | ({"default": self.default} if self.default else {}), "Rows of a page."),
            parameter("cursor", {"type": "string"}, "The nextCursor of the page before."),
        ]


class HistoryPages(LivePages):
    default = MOST_PER_PAGE

    def read(self, orders: QuerySet[Order], cursor: str, view: Any) -> Any:
        return partial(history_page, orders, view.holder.user_id, self.limit, cursor)
