"""Open orders by themselves, for whoever watches them."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

from django.db import models

from trades.models.order import Order
from trades.states import OrderStatus


class OpenOrders(models.Manager["Position"]):
    def get_queryset(self) -> models.QuerySet[Position]:
        return super().get_queryset().filter(status=OrderStatus.OPEN)


class Position(Order):
    """An open order, with what it would close at. The two figures are filled in where prices are at hand."""

    current_price: Decimal | None = None
    floating_profit: int | None = None  # base units of the account currency

    objects: ClassVar[OpenOrders] = OpenOrders()

    class Meta:
        proxy = True
        verbose_name = "open position"
