"""What a trader may see of their orders and their account. Every function is a fixed number of queries."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Q, QuerySet

from accounts.errors import Malformed, NotFound
from accounts.models import Asset, LedgerAccount
from accounts.money import from_base_units
from quotes.models import Instrument
from quotes.prices import Prices
from quotes.symbols import instruments
from trades.models import Order
from trades.orders import answers, money
from trades.states import OrderStatus

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CODE = re.compile(r"ord_[0-9a-f]{16}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Figures:
    """A margin account in base units; `unrealized` is what closing everything now would bring.

    Orders without a usable price count as if their price had not moved.
    """

    balance: int
    margin: int
    free: int
    unrealized: int

    @property
    def equity(self) -> int:
        return self.balance + self.unrealized

    @property
    def free_margin(self) -> int:
        return self.equity - self.margin

    @property
    def level(self) -> Decimal | None:
        return money.margin_level(self.equity, self.margin)


def live_orders(customer_id: UUID, status: OrderStatus, prices: Prices | None) -> list[dict[str, Any]]:
    """Open (or pending) orders, newest first, with their floating profit."""
    known = instruments()
    return [
        shown(order, known[order.instrument_id], prices)
        for order in Order.objects.filter(customer_id=customer_id, status=status).order_by("-id")
    ]


def one_order(customer_id: UUID, user_id: UUID | None, code: str, prices: Prices | None) -> dict[str, Any]:
    """One order in any state. Raises NotFound for an unknown one and for somebody else's."""
    order = Order.objects.filter(customer_id=customer_id, code=code).first() if _CODE.fullmatch(code) else None
    if order is None:
        raise NotFound("Order not found")
    instrument = instruments()[order.instrument_id]
    if order.status == OrderStatus.CLOSED:
        return answers.closed_order(order, user_id, instrument.price_decimals, instrument.counter_asset.decimals)
    return shown(order, instrument, prices)


def shown(order: Order, instrument: Instrument, prices: Prices | None) -> dict[str, Any]:
    current, floating = _floating(order, instrument, prices)
    return answers.live_order(order, instrument.price_decimals, instrument.counter_asset.decimals, current, floating)


def _floating(order: Order, instrument: Instrument, prices: Prices | None) -> tuple[Decimal | None, int | None]:
    price = prices.usable(instrument.symbol, instrument.price_age_limit_seconds) if prices else None
    if price is None or order.open_price is None:
        return None, None
    current = price.exit(order.side)
    decimals = instrument.counter_asset.decimals
    return current, money.floating_profit(order.side, order.open_price, current, order.quantity, decimals)


def figures(customer_id: UUID, prices: Prices | None) -> Figures:
    """The customer's margin account. Free cash comes from the ledger, reserved margin from the open orders."""
    rows = LedgerAccount.objects.filter(
        customer_id=customer_id, asset_id=settings.ACCOUNT_CURRENCY, type__in=["available", "margin"]
    )
    held = {row.type: row.balance for row in rows}
    known = instruments()
    margin = unrealized = 0
    for order in Order.objects.filter(customer_id=customer_id, status=OrderStatus.OPEN):
        margin += int(order.margin)
        unrealized += _floating(order, known[order.instrument_id], prices)[1] or 0
    free = held.get("available", 0)
    return Figures(balance=free + held.get("margin", 0), margin=margin, free=free, unrealized=unrealized)


def in_currency(amount: int) -> Decimal:
    """Base units of the account currency as the API prints them."""
    return from_base_units(amount, _currency_decimals())


def shown_figures(found: Figures) -> dict[str, Any]:
    return {
        "currency": settings.ACCOUNT_CURRENCY,
        "balance": in_currency(found.balance),
        "equity": in_currency(found.equity),
        "margin": in_currency(found.margin),
        "freeMargin": in_currency(found.free_margin),
        "marginLevel": found.level,
        "unrealizedProfit": in_currency(found.unrealized),
    }


@cache
def _currency_decimals() -> int:
    """An asset's decimals never change (trigger)."""
    return Asset.objects.get(pk=settings.ACCOUNT_CURRENCY).decimals


# --- history ---------------------------------------------------------------------------------------


def history(customer_id: UUID) -> QuerySet[Order]:
    """Closed orders, newest first; (closed_at, id) is total, so equal times never drop a row."""
    return Order.objects.filter(customer_id=customer_id, status=OrderStatus.CLOSED).order_by("-closed_at", "-id")


def history_page(
    orders: QuerySet[Order], user_id: UUID | None, limit: int, cursor: str
) -> tuple[list[dict[str, Any]], str | None]:
    """A page of the history from a cursor on, and the next page's cursor. Raises Malformed for a bad cursor."""
    if cursor:
        at, id_ = _read_cursor(cursor)
        orders = orders.filter(Q(closed_at__lt=at) | Q(closed_at=at, id__lt=id_), closed_at__lte=at)
    page: Sequence[Order] = list(orders[: limit + 1])
    known: Mapping[str, Instrument] = instruments()
    rows = [
        answers.closed_order(
            order,
            user_id,
            known[order.instrument_id].price_decimals,
            known[order.instrument_id].counter_asset.decimals,
        )
        for order in page[:limit]
    ]
    return rows, _cursor(page[limit - 1]) if len(page) > limit else None


def _cursor(order: Order) -> str:
    assert order.closed_at is not None
    microseconds = (order.closed_at - _EPOCH) // timedelta(microseconds=1)
    return base64.urlsafe_b64encode(microseconds.to_bytes(8) + order.id.bytes).decode()


def _read_cursor(text: str) -> tuple[datetime, UUID]:
    try:
        raw = base64.urlsafe_b64decode(text.encode("ascii"))
        if len(raw) != 24 or len(text) != 32:
            raise ValueError
        return _EPOCH + timedelta(microseconds=int.from_bytes(raw[:8])), UUID(bytes=raw[8:])
    except (ValueError, OverflowError, binascii.Error, UnicodeEncodeError):
        raise Malformed("cursor is not one that this list gave") from None
