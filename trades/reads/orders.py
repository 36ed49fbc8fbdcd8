"""What a trader may see of their orders, one query each."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import QuerySet, Window
from django.db.models.functions import RowNumber

from accounts.errors import Malformed
from accounts.ids import parse_guid
from quotes.conversion import Rates
from quotes.models import Instrument
from quotes.prices import Prices
from quotes.symbols import instruments
from trades.currency import decimals
from trades.margin import presentation
from trades.margin.errors import OrderNotFound
from trades.margin.terms import ORDER_CODE
from trades.models import Order
from trades.reads.figures import floating
from trades.reads.history import PARENT_CODE, shown_closed
from trades.spendable import rates_by
from trades.states import LIVE, OrderStatus


def live_page(
    orders: QuerySet[Order], prices: Prices | None, limit: int, cursor: str
) -> tuple[list[dict[str, Any]], str | None]:
    """Live orders from a cursor on, newest first, all of them where `limit` is 0, and the next page's cursor.

    They show the floating profit that the account's figures sum up. Raises Malformed for a bad cursor.
    """
    orders = orders.order_by("-id")
    if cursor:
        last = parse_guid(cursor)
        if last is None:
            raise Malformed("cursor is not one that this list gave")
        orders = orders.filter(id__lt=last)
    known, rates = instruments(), rates_by(prices.by_symbol if prices else {})
    found = list(orders[: limit + 1] if limit else orders.all())  # read anew: a queryset keeps what it has read
    page = found[:limit] if limit else found
    shown = [_shown(order, known[order.instrument_id], prices, rates) for order in page]
    return shown, page[-1].id.hex if len(found) > len(page) else None


def live_orders_of(
    customer_ids: Collection[UUID], prices: Prices | None, most: int
) -> dict[UUID, tuple[list[dict[str, Any]], bool]]:
    """Of each of these customers that has any the newest `most` open and pending orders, as `live_page` shows them and
    with their guids, and whether there are further ones. One query.
    """
    place = Window(RowNumber(), partition_by="customer_id", order_by="-id")
    live = Order.objects.filter(customer_id__in=[*customer_ids], status__in=LIVE)
    known, rates = instruments(), rates_by(prices.by_symbol if prices else {})
    found: dict[UUID, tuple[list[dict[str, Any]], bool]] = {}
    for order in live.annotate(place=place).filter(place__lte=most + 1).order_by("-id"):
        shown, _ = found.setdefault(order.customer_id, ([], False))
        if len(shown) == most:
            found[order.customer_id] = shown, True
        else:
            shown.append({"guid": order.pk, **_shown(order, known[order.instrument_id], prices, rates)})
    return found


def one_order(orders: QuerySet[Order], user_id: UUID | None, code: str, prices: Prices | None) -> dict[str, Any]:
    """One of these orders, in any state. Raises OrderNotFound for a code that none of them has."""
    if not ORDER_CODE.fullmatch(code):
        raise OrderNotFound
    order = orders.filter(code=code).annotate(parent_code=PARENT_CODE).first()
    if order is None:
        raise OrderNotFound
    if order.status == OrderStatus.CLOSED:
        return shown_closed(order, user_id)
    return _shown(order, instruments()[order.instrument_id], prices, rates_by(prices.by_symbol if prices else {}))


def _shown(order: Order, instrument: Instrument, prices: Prices | None, rates: Rates) -> dict[str, Any]:
    current: Decimal | None = None
    profit: int | None = None
    is_held = False
    if order.status == OrderStatus.OPEN and order.open_price is not None:
        assert order.realized is not None
        current, profit = floating(
            order.instrument_id, order.side, order.quantity, order.open_price, order.realized, prices, rates
        )
        is_held = prices is not None and current is not None and prices.by_symbol[order.instrument_id].is_held
    return presentation.live_order(order, instrument.price_decimals, decimals(), current, profit, is_held=is_held)
