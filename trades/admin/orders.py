"""Margin orders in every state, and the open ones with what they would close at now."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import redis
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from unfold.decorators import action
from unfold.views import ChangeList

from accounts.admin import shown
from accounts.admin.base import BoundedList, may_read, names_in
from accounts.admin.by_day import MadeFilter
from quotes.admin.held import held_shown
from quotes.prices import Prices, latest
from quotes.selectors import holds_behind
from trades.admin.best_execution import best_execution_page
from trades.admin.dealing import DealsWithOrders
from trades.admin.exposure import exposure_page
from trades.admin.order_columns import BOOKKEEPING, DETAIL, OrderColumns, currency_of, price_text
from trades.admin.result import result_page
from trades.margin.pricing import NOTHING
from trades.models import Order, Position
from trades.reads.figures import floating
from trades.spendable import rates_by


@admin.register(Order)
class OrderAdmin(DealsWithOrders, OrderColumns):
    list_display = (
        "code_label",
        "customer_name",
        "symbol",
        "side_label",
        "status_label",
        "quantity_shown",
        "entry_shown",
        "close_price_shown",
        "profit_shown",
        "created",
    )
    list_filter = ("status", "side", "instrument", "type", "close_reason", MadeFilter)
    sortable_by = ("created",)
    fieldsets = (
        *DETAIL,
        (
            "End",
            {"fields": (("close_price_shown", "profit_shown", "ended"), ("swap_shown", "fee_shown"))},
        ),
        *BOOKKEEPING,
    )
    readonly_fields = names_in(fieldsets)
    actions_list = ("best_execution",)

    @action(description="Best execution", icon="query_stats", permissions=["view"])
    def best_execution(self, request: HttpRequest) -> HttpResponse:
        return best_execution_page(request, self.admin_site.each_context(request), self.model._meta)


class PricedPositionList(BoundedList):
    """Reads all prices once per page and tells each position what it would close at."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        mark(self.result_list, prices_or_none())


@admin.register(Position)
class PositionAdmin(DealsWithOrders, OrderColumns):
    list_display = (
        "code",
        "customer_name",
        "symbol",
        "side_label",
        "quantity_shown",
        "open_price_shown",
        "current_price_shown",
        "floating_profit_shown",
        "swap_shown",
        "margin_shown",
        "protection",
        "opened",
    )
    list_filter = ("side", "instrument")
    fieldsets = (
        *DETAIL,
        ("Now", {"fields": (("current_price_shown", "floating_profit_shown", "swap_shown"),)}),
        *BOOKKEEPING,
    )
    readonly_fields = names_in(fieldsets)
    actions_list = ("exposure", "result")
    has_look_permission = may_read("trades_position")
    has_look_at_ledger_permission = may_read("accounts_ledgeraccount")

    @action(description="Exposure", icon="donut_small", permissions=["look"])
    def exposure(self, request: HttpRequest) -> HttpResponse:
        return exposure_page(request, self.admin_site.each_context(request))

    @action(description="The firm's result", icon="query_stats", permissions=["look_at_ledger"])
    def result(self, request: HttpRequest) -> HttpResponse:
        return result_page(request, self.admin_site.each_context(request))

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return PricedPositionList

    def before_export(self, rows: list[Any]) -> None:
        mark(rows, prices_or_none())

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Position | None:
        position: Position | None = super().get_object(request, object_id, from_field)
        if position is not None:
            mark([position], prices_or_none())
        return position

    @admin.display(description="Current price")
    def current_price_shown(self, position: Position) -> str:
        if position.current_price is None:
            return "no price"
        text = price_text(position, position.current_price)
        is_stale: bool = position.price_is_stale  # type: ignore[attr-defined]
        stale = shown.chip("stale", {"stale": "danger"}) if is_stale else ""
        held: str = position.price_held  # type: ignore[attr-defined]
        return format_html("{} {} {}", text, stale, held) if stale or held else text

    @admin.display(description="Floating profit")
    def floating_profit_shown(self, position: Position) -> str:
        return shown.gain(position.floating_profit, currency_of(position))


def mark(positions: Iterable[Position], prices: Prices | None) -> None:
    """Give each position its exit price and floating profit by the latest price, however old, as margin levels have it.

    `price_is_stale` says that nothing can be executed at it, `price_held` who holds it there.
    """
    holds = holds_behind(prices.by_symbol.values()) if prices else {}
    rates = rates_by(prices.by_symbol) if prices else None
    for position in positions:
        if prices is None or position.open_price is None:
            continue
        instrument = position.instrument
        latest = prices.by_symbol.get(instrument.symbol)
        if latest is None or rates is None:
            continue
        position.current_price, position.floating_profit = floating(
            instrument.symbol,
            position.side,
            position.quantity,
            position.open_price,
            position.realized or NOTHING,
            prices,
            rates,
        )
        is_stale = prices.usable(instrument.symbol, instrument.price_age_limit_seconds) is None
        position.price_is_stale = is_stale  # type: ignore[attr-defined]
        position.price_held = held_shown(latest, holds)  # type: ignore[attr-defined]


def prices_or_none() -> Prices | None:
    """The latest prices, or None while Redis is away: the admin shows everything else all the same."""
    try:
        return latest()
    except redis.RedisError:
        return None
