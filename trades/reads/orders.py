"""What a trader may see of their orders, one query each."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from accounts.errors import Malformed
from accounts.ids import parse_guid
from quotes.models import Instrument
from quotes.prices import Prices
from quotes.symbols import instruments
from trades.margin import presentation
from trades.margin.errors import OrderNotFound
from trades.margin.terms import ORDER_CODE
from trades.models import Order
from trades.reads.figures import floating
from trades.reads.history import PARENT_CODE, shown_closed
from trades.states import OrderStatus


def live_orders(customer_id: UUID, status: OrderStatus) -> QuerySet[Order]:
    """Open or pending orders, newest first."""
    return Order.objects.filter(customer_id=customer_id, status=status).order_by("-id")


def live_page(
    orders: QuerySet[Order], prices: Prices | None, limit: int, cursor: str
) -> tuple[list[dict[str, Any]], str | None]:
    """Live orders from a cursor on, all of them where `limit` is 0, and the next page's cursor.

    They show the floating profit that the account's figures sum up. Raises Malformed for a bad cursor.
    """
    if cursor:
        last = parse_guid(cursor)
        if last is None:
            raise Malformed("cursor is not one that this list gave")
        orders = orders.filter(id__lt=last)
    known = instruments()
    found = list(orders[: limit + 1] if limit else orders.all())  # read anew: a queryset keeps what it has read
    page = found[:limit] if limit else found
    shown = [_shown(order, known[order.instrument_id], prices) for order in page]
    return shown, page[-1].id.hex if len(found) > len(page) else None


def one_order(customer_id: UUID, user_id: UUID | None, code: str, prices: Prices | None) -> dict[str, Any]:
    """One order in any state. Raises OrderNotFound for an unknown one and for somebody else's."""
    if not ORDER_CODE.fullmatch(code):
        raise OrderNotFound
    order = Order.objects.filter(customer_id=customer_id, code=code).annotate(parent_code=PARENT_CODE).first()
    if order is None:
        raise OrderNotFound
    if order.status == OrderStatus.CLOSED:
        return shown_closed(order, user_id)
    return _shown(order, instruments()[order.instrument_id], prices)


def _shown(order: Order, instrument: Instrument, prices: Prices | None) -> dict[str, Any]:
    current: Decimal | None = None
    profit: int | None = None
    is_held = False
    if order.status == OrderStatus.OPEN and order.open_price is not None:
        assert order.realized is not None
        current, profit = floating(
            order.instrument_id, order.side, order.quantity, order.open_price, order.realized, prices
        )
        is_held = prices is not None and current is not None and prices.by_symbol[order.instrument_id].is_held
    decimals = instrument.counter_asset.decimals
    return presentation.live_order(order, instrument.price_decimals, decimals, current, profit, is_held=is_held)
