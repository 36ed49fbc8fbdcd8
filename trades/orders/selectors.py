"""What a trader may see of their orders, one query each."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

from quotes.models import Instrument
from quotes.prices import Prices
from quotes.symbols import instruments
from trades.models import Order
from trades.orders import answers
from trades.orders.errors import OrderNotFound
from trades.orders.figures import floating
from trades.orders.history import PARENT_CODE, shown_closed
from trades.orders.requests import ORDER_CODE
from trades.states import OrderStatus


def live_orders(customer_id: UUID, status: OrderStatus, prices: Prices | None) -> list[dict[str, Any]]:
    """Open or pending orders, newest first, with the floating profit that the account's figures sum up."""
    known = instruments()
    found = Order.objects.filter(customer_id=customer_id, status=status).order_by("-id")
    return [_shown(order, known[order.instrument_id], prices) for order in found]


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
    if order.status == OrderStatus.OPEN and order.open_price is not None:
        assert order.realized is not None
        current, profit = floating(
            order.instrument_id, order.side, order.quantity, order.open_price, order.realized, prices
        )
    return answers.live_order(order, instrument.price_decimals, instrument.counter_asset.decimals, current, profit)
