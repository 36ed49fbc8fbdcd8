"""What happened to orders and margin accounts, in words: for the list of events and for the pages of orders."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from functools import cache
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet, TextField
from django.db.models.functions import Cast
from django.utils.html import format_html

from accounts import json_codec
from accounts.admin import shown
from accounts.models import Asset
from accounts.money import at_scale
from trades.models import Order, OrderEvent

MOST_SHOWN = 50
KINDS = {
    "placed": "warning",
    "opened": "info",
    "margin_call": "danger",
    "margin_call_over": "success",
    "stop_out": "danger",
}

_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")


@cache
def account_currency() -> Asset:
    """An asset's decimals never change (trigger)."""
    return Asset.objects.get(pk=settings.ACCOUNT_CURRENCY)


def read_exactly(events: QuerySet[OrderEvent]) -> QuerySet[OrderEvent]:
    """With `detail_text`: the detail's numbers as they were written, which a JSON field would give as floats."""
    return events.defer("detail").annotate(detail_text=Cast("detail", TextField()))


def told(event: OrderEvent) -> str:
    """The detail of an event that was read with `read_exactly`, on one line."""
    text: str | None = event.detail_text  # type: ignore[attr-defined]
    if text is None:
        return shown.NOTHING
    return " · ".join(_one(name, value) for name, value in json_codec.loads(text.encode()).items())


def events_of(order: Order) -> str:
    """The newest events of an order; an event's id is younger than its order's."""
    events = OrderEvent.objects.filter(customer_id=order.customer_id, pk__gte=order.pk, order_id=order.pk)
    return _table(events, "Nothing happened to it yet.")


def events_of_account(customer_id: UUID) -> str:
    """The newest events of a customer's orders and margin account."""
    return _table(OrderEvent.objects.filter(customer_id=customer_id), "Nothing happened yet.", with_orders=True)


def codes_of(events: Iterable[OrderEvent]) -> dict[UUID, str]:
    """The orderIds that events are about, in one query."""
    wanted = {event.order_id for event in events if event.order_id}
    return dict(Order.objects.filter(pk__in=wanted).values_list("pk", "code")) if wanted else {}


def _table(events: QuerySet[OrderEvent], nothing: str, *, with_orders: bool = False) -> str:
    found = list(read_exactly(events).order_by("-pk")[: MOST_SHOWN + 1])
    codes = codes_of(found) if with_orders else {}
    rows: list[list[Any]] = []
    for event in found[:MOST_SHOWN]:
        order = [shown.link("trades_order", event.order_id, codes.get(event.order_id))] if with_orders else []  # type: ignore[arg-type]
        rows.append([shown.timestamp(event.at), shown.chip(event.kind, KINDS), *order, told(event)])
    headers = ["At", "What", *(["Order"] if with_orders else []), "Detail"]
    table = shown.table(headers, rows, nothing)
    return format_html("{}<p>The newest {}.</p>", table, MOST_SHOWN) if len(found) > MOST_SHOWN else table


def _one(name: str, value: Any) -> str:
    words = _WORD.sub(" ", name).lower()
    if isinstance(value, list):
        was, is_ = (shown.NOTHING if one is None else _text(one) for one in value)
        return f"{words} {was} → {is_}"
    if name in ("required", "available"):
        return f"{words} {value} {settings.ACCOUNT_CURRENCY}"
    if name == "amount":
        return f"{words} {shown.amount_text(value, account_currency())}"
    if name in ("equity", "margin"):
        return f"{words} {_text(value, account_currency().decimals)} {settings.ACCOUNT_CURRENCY}"
    return f"{words} {shown.NOTHING if value is None else _text(value)}{' %' if name == 'marginLevel' else ''}"


def _text(value: Any, least_decimals: int = 0) -> str:
    """Every digit that says something: a column of numbers has eighteen decimals."""
    if isinstance(value, bool) or not isinstance(value, Decimal | int):
        return str(value)
    return f"{at_scale(Decimal(value), least_decimals):,f}"
