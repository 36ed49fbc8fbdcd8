"""Who could not settle, and what operators hold back."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.admin import shown
from accounts.admin.base import ReadOnlyAdmin
from trades.models import LeftOut, TradeFlag

REASONS = {"customer_frozen": "danger", "trade_flagged": "warning"}


@admin.register(LeftOut)
class LeftOutAdmin(ReadOnlyAdmin):
    """A row per trade and batch that it could not settle with. It waits for a later one."""

    list_display = ("when", "trade_link", "customer_name", "batch_link", "stage", "reason_label", "detail")
    list_filter = ("reason", "stage")
    related = ("batch", "customer")
    search_guids = ("trade_id", "batch_id")
    fields = readonly_fields = (
        "when",
        "trade_link",
        "customer_name",
        "batch_link",
        "stage",
        "reason_label",
        "detail",
    )

    @admin.display(description="At")
    def when(self, left: LeftOut) -> str:
        return shown.timestamp(left.at)

    @admin.display(description="Trade")
    def trade_link(self, left: LeftOut) -> str:
        return shown.link("trades_trade", left.trade_id, shown.short_guid(left.trade_id))

    @admin.display(description="Customer")
    def customer_name(self, left: LeftOut) -> str:
        return shown.customer_link(left.customer)

    @admin.display(description="Batch")
    def batch_link(self, left: LeftOut) -> str:
        return shown.link("trades_settlementbatch", left.batch_id, left.batch)

    @admin.display(description="Why")
    def reason_label(self, left: LeftOut) -> str:
        return shown.chip(left.reason, REASONS)


class OpenFilter(admin.SimpleListFilter):
    title, parameter_name = "flag", "open"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Still held back"), ("no", "Cleared")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in ("yes", "no"):
            return queryset
        return queryset.filter(cleared_at__isnull=self.value() == "yes")


@admin.register(TradeFlag)
class TradeFlagAdmin(ReadOnlyAdmin):
    """Set and cleared on the trade's own page."""

    list_display = ("flagged", "trade_link", "customer_name", "reason", "flagged_by", "cleared", "cleared_by")
    list_filter = (OpenFilter,)
    related = ("trade__customer", "flagged_by", "cleared_by")
    search_guids = ("trade_id",)
    fields = readonly_fields = (
        "flagged",
        "trade_link",
        "customer_name",
        "reason",
        "flagged_by",
        "cleared",
        "cleared_by",
    )

    @admin.display(description="Flagged at")
    def flagged(self, flag: TradeFlag) -> str:
        return shown.timestamp(flag.flagged_at)

    @admin.display(description="Trade")
    def trade_link(self, flag: TradeFlag) -> str:
        return shown.link("trades_trade", flag.trade_id, shown.short_guid(flag.trade_id))

    @admin.display(description="Customer")
    def customer_name(self, flag: TradeFlag) -> str:
        return shown.customer_link(flag.trade.customer)

    @admin.display(description="Cleared at")
    def cleared(self, flag: TradeFlag) -> str:
        return shown.timestamp(flag.cleared_at)
