"""A trader's closed orders, page by page: a fixed number of queries, whatever the page."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import OuterRef, Q, QuerySet, Subquery

from accounts.errors import Malformed
from quotes.symbols import instruments
from trades.currency import decimals
from trades.margin import presentation
from trades.models import Order
from trades.states import OrderStatus

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

PARENT_CODE = Subquery(Order.objects.filter(pk=OuterRef("parent_id")).values("code"))
"""The orderId that a closed part was taken from, as `parent_code`."""


def history_page(
    orders: QuerySet[Order], user_id: UUID | None, limit: int, cursor: str
) -> tuple[list[dict[str, Any]], str | None]:
    """A page of closed orders from a cursor on, newest first, and the next page's cursor.

    (closed_at, id) is total, so equal times never drop a row. Raises Malformed for a bad cursor.
    """
    orders = orders.filter(status=OrderStatus.CLOSED).order_by("-closed_at", "-id")
    if cursor:
        at, id_ = _read_cursor(cursor)
        orders = orders.filter(Q(closed_at__lt=at) | Q(closed_at=at, id__lt=id_), closed_at__lte=at)
    page: Sequence[Order] = list(orders.annotate(parent_code=PARENT_CODE)[: limit + 1])
    rows = [shown_closed(order, user_id) for order in page[:limit]]
    return rows, _cursor(page[limit - 1]) if len(page) > limit else None


def shown_closed(order: Order, user_id: UUID | None) -> dict[str, Any]:
    """A closed order that was read with its `parent_code`."""
    instrument = instruments()[order.instrument_id]
    parent_code: str | None = order.parent_code  # type: ignore[attr-defined]
    return presentation.closed_order(order, user_id, instrument.price_decimals, decimals(), parent_code)


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
