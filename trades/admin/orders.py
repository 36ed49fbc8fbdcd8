"""Margin orders in every state, and the open ones with what they would close at now."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import redis
from django.contrib import admin
from django.http import HttpRequest
from unfold.views import ChangeList

from accounts.admin import shown
from accounts.admin.base import DeskList, ReadOnlyAdmin, ReadOnlyInline, names_in
from accounts.models import Asset
from quotes.prices import Prices, latest
from trades.admin.movements import movements_of
from trades.models import Deal, Order, Position
from trades.orders.money import floating_profit

SIDES = {"buy": "success", "sell": "danger"}
STATUSES = {"OPEN": "info", "PENDING": "warning", "CLOSED": "", "CANCELLED": ""}


class DealInline(ReadOnlyInline):
    model = Deal
    fields = readonly_fields = ("when", "kind", "price_shown", "quantity_shown", "profit_shown", "reason")
    related = ("order__instrument__counter_asset",)

    @admin.display(description="At")
    def when(self, deal: Deal) -> str:
        return shown.moment(deal.at)

    @admin.display(description="Price")
    def price_shown(self, deal: Deal) -> str:
        return shown.number(deal.price, deal.order.instrument.price_decimals)

    @admin.display(description="Quantity")
    def quantity_shown(self, deal: Deal) -> str:
        return shown.number(deal.quantity)

    @admin.display(description="Profit")
    def profit_shown(self, deal: Deal) -> str:
        return shown.gain(deal.profit, deal.order.instrument.counter_asset)


class OrderColumns(ReadOnlyAdmin):
    """What orders and positions show alike."""

    related = ("customer", "instrument__counter_asset")
    search_texts = ("code",)
    search_guids = ("pk", "customer_id")
    search_customer = "customer_id"
    inlines = (DealInline,)

    @admin.display(description="Symbol")
    def symbol(self, order: Order) -> str:
        return order.instrument_id

    @admin.display(description="Customer")
    def customer_name(self, order: Order) -> str:
        return shown.customer_link(order.customer)

    @admin.display(description="Side")
    def side_label(self, order: Order) -> str:
        return shown.chip(order.side, SIDES)

    @admin.display(description="Status")
    def status_label(self, order: Order) -> str:
        return shown.chip(order.status, STATUSES)

    @admin.display(description="Quantity")
    def quantity_shown(self, order: Order) -> str:
        return shown.number(order.quantity)

    @admin.display(description="Leverage")
    def leverage_shown(self, order: Order) -> str:
        return f"{order.leverage} ×"

    @admin.display(description="Margin")
    def margin_shown(self, order: Order) -> str:
        return shown.amount(order.margin, _currency(order))

    @admin.display(description="Requested price")
    def price_shown(self, order: Order) -> str:
        return _price(order, order.price)

    @admin.display(description="Open price")
    def open_price_shown(self, order: Order) -> str:
        return _price(order, order.open_price)

    @admin.display(description="Close price")
    def close_price_shown(self, order: Order) -> str:
        return _price(order, order.close_price)

    @admin.display(description="Stop loss")
    def stop_loss_shown(self, order: Order) -> str:
        return _price(order, order.stop_loss)

    @admin.display(description="Take profit")
    def take_profit_shown(self, order: Order) -> str:
        return _price(order, order.take_profit)

    @admin.display(description="Trailing stop")
    def trailing_stop_shown(self, order: Order) -> str:
        return _price(order, order.trailing_stop)

    @admin.display(description="Profit")
    def profit_shown(self, order: Order) -> str:
        return shown.gain(order.profit, _currency(order))

    @admin.display(description="Swap and fee")
    def costs_shown(self, order: Order) -> str:
        return shown.amount(order.swap + order.fee, _currency(order))

    @admin.display(description="Created")
    def created(self, order: Order) -> str:
        return shown.moment(order.created_at)

    @admin.display(description="Opened")
    def opened(self, order: Order) -> str:
        return shown.moment(order.opened_at)

    @admin.display(description="Closed")
    def closed(self, order: Order) -> str:
        return shown.moment(order.closed_at)

    @admin.display(description="Taken from")
    def parent(self, order: Order) -> str:
        return shown.link("trades_order", order.parent_id, shown.short_guid(order.parent_id))

    @admin.display(description="Guid")
    def guid(self, order: Order) -> str:
        return shown.guid(order.pk)

    @admin.display(description="Movements")
    def movements(self, order: Order) -> str:
        return movements_of(order.customer_id, order.pk)


DETAIL = (
    (
        None,
        {
            "fields": (
                ("code", "status_label"),
                ("customer_name", "client_order_id"),
                ("instrument", "side_label"),
                ("quantity_shown", "leverage_shown", "margin_shown"),
            )
        },
    ),
    (
        "Prices",
        {
            "fields": (
                ("type", "price_shown", "open_price_shown"),
                ("stop_loss_shown", "take_profit_shown", "trailing_stop_shown"),
            )
        },
    ),
)
BOOKKEEPING = (
    ("Money", {"fields": ("movements",)}),
    ("Bookkeeping", {"fields": (("created", "opened"), ("guid", "parent"))}),
)


@admin.register(Order)
class OrderAdmin(OrderColumns):
    list_display = (
        "code",
        "customer_name",
        "symbol",
        "side_label",
        "status_label",
        "quantity_shown",
        "margin_shown",
        "open_price_shown",
        "close_price_shown",
        "profit_shown",
        "created",
    )
    list_filter = ("status", "side", "instrument", "type", "close_reason")
    fieldsets = (
        *DETAIL,
        (
            "Close",
            {"fields": (("close_price_shown", "profit_shown", "close_reason"), ("costs_shown", "closed"))},
        ),
        *BOOKKEEPING,
    )
    readonly_fields = names_in(fieldsets)


class PricedList(DeskList):
    """Reads all prices once per page and tells each position what it would close at."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        mark(self.result_list)


@admin.register(Position)
class PositionAdmin(OrderColumns):
    list_display = (
        "code",
        "customer_name",
        "symbol",
        "side_label",
        "quantity_shown",
        "open_price_shown",
        "current_price_shown",
        "floating_profit_shown",
        "margin_shown",
        "stop_loss_shown",
        "take_profit_shown",
        "opened",
    )
    list_filter = ("side", "instrument")
    fieldsets = (
        *DETAIL,
        ("Now", {"fields": (("current_price_shown", "floating_profit_shown"),)}),
        *BOOKKEEPING,
    )
    readonly_fields = names_in(fieldsets)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return PricedList

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Position | None:
        position: Position | None = super().get_object(request, object_id, from_field)
        if position is not None:
            mark([position])
        return position

    @admin.display(description="Current price")
    def current_price_shown(self, position: Position) -> str:
        return _price(position, position.current_price) if position.current_price else "no fresh price"

    @admin.display(description="Floating profit")
    def floating_profit_shown(self, position: Position) -> str:
        return shown.gain(position.floating_profit, _currency(position))


def mark(positions: Iterable[Position]) -> None:
    """Give each position its exit price and floating profit, where its instrument has a usable price."""
    prices = _prices()
    if prices is None:
        return
    for position in positions:
        instrument = position.instrument
        price = prices.usable(instrument.symbol, instrument.price_age_limit_seconds)
        if price is None or position.open_price is None:
            continue
        position.current_price = price.exit(position.side)
        position.floating_profit = floating_profit(
            position.side,
            position.open_price,
            position.current_price,
            position.quantity,
            instrument.counter_asset.decimals,
        )


def _prices() -> Prices | None:
    try:
        return latest()
    except redis.RedisError:
        return None


def _currency(order: Order) -> Asset:
    return order.instrument.counter_asset


def _price(order: Order, value: Any) -> str:
    return shown.number(value, order.instrument.price_decimals)
