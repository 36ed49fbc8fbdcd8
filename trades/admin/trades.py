"""Spot trades and exits with their steps and their money."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.admin import shown
from accounts.admin.base import ReadOnlyAdmin, ReadOnlyInline
from accounts.ids import parse_guid
from trades.admin.movements import movements_of
from trades.admin.orders import SIDES
from trades.models import SettlementBatch, Trade, TradeEvent

STATES = {"storing": "info", "settling": "warning", "completed": "success", "failed": "danger"}


class TradeEventInline(ReadOnlyInline):
    model = TradeEvent
    fields = readonly_fields = ("when", "became_label", "detail")

    @admin.display(description="At")
    def when(self, event: TradeEvent) -> str:
        return shown.moment(event.at)

    @admin.display(description="Became")
    def became_label(self, event: TradeEvent) -> str:
        return shown.chip(event.became, STATES)


@admin.register(Trade)
class TradeAdmin(ReadOnlyAdmin):
    list_display = (
        "short_guid",
        "customer_name",
        "symbol",
        "trade_type",
        "side_label",
        "state_label",
        "received_shown",
        "delivered_shown",
        "fee_shown",
        "created",
    )
    list_filter = ("state", "trade_type", "side", "instrument", "failure_code")
    related = ("customer", "instrument__counter_asset", "receive_asset", "deliver_asset", "batch", "reference_trade")
    search_guids = ("pk", "quote_id", "customer_id")
    search_customer = "customer_id"
    inlines = (TradeEventInline,)
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("guid", "state_label"),
                    ("customer_name", "trade_type"),
                    ("instrument", "side_label"),
                    ("received_shown", "delivered_shown", "fee_shown"),
                    ("failure_code", "labels_shown", "expected_error"),
                )
            },
        ),
        ("Settlement", {"fields": (("batch_shown", "original", "exit_shown"), ("taken_shown", "quote_shown"))}),
        ("Money", {"fields": ("movements", "settled_money")}),
        ("Bookkeeping", {"fields": (("created", "updated"),)}),
    )
    readonly_fields = tuple(
        name for _, part in fieldsets for row in part["fields"] for name in ((row,) if isinstance(row, str) else row)
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Of a batch, only the range of ids that it remembers: no index says which trades are in it."""
        rows = super().get_queryset(request)
        batch_id = parse_guid(request.GET.get("batch__id__exact", "").replace("-", ""))
        return _within(rows, batch_id) if batch_id else rows

    @admin.display(description="Trade")
    def short_guid(self, trade: Trade) -> str:
        return shown.short_guid(trade.pk)

    @admin.display(description="Guid")
    def guid(self, trade: Trade) -> str:
        return shown.guid(trade.pk)

    @admin.display(description="Symbol")
    def symbol(self, trade: Trade) -> str:
        return trade.instrument_id

    @admin.display(description="Customer")
    def customer_name(self, trade: Trade) -> str:
        return shown.customer_link(trade.customer)

    @admin.display(description="Side")
    def side_label(self, trade: Trade) -> str:
        return shown.chip(trade.side, SIDES)

    @admin.display(description="State")
    def state_label(self, trade: Trade) -> str:
        return shown.chip(trade.state, STATES, trade.get_failure_code_display() or "")

    @admin.display(description="Receives")
    def received_shown(self, trade: Trade) -> str:
        return shown.amount(trade.receive_amount, trade.receive_asset)

    @admin.display(description="Delivers")
    def delivered_shown(self, trade: Trade) -> str:
        return shown.amount(trade.deliver_amount, trade.deliver_asset)

    @admin.display(description="Fee")
    def fee_shown(self, trade: Trade) -> str:
        return shown.amount(trade.fee, trade.instrument.counter_asset)

    @admin.display(description="Labels")
    def labels_shown(self, trade: Trade) -> str:
        return ", ".join(trade.labels or ()) or shown.NOTHING

    @admin.display(description="Batch")
    def batch_shown(self, trade: Trade) -> str:
        return shown.link("trades_settlementbatch", trade.batch_id, trade.batch)

    @admin.display(description="Exit of")
    def original(self, trade: Trade) -> str:
        return shown.link("trades_trade", trade.reference_trade_id, shown.short_guid(trade.reference_trade_id))

    @admin.display(description="Exited by")
    def exit_shown(self, trade: Trade) -> str:
        live = Trade.objects.filter(exiting_trade=trade).values_list("pk", flat=True).first()
        return shown.link("trades_trade", live, shown.short_guid(live))

    @admin.display(description="Taken from settling")
    def taken_shown(self, trade: Trade) -> str:
        return shown.amount(trade.taken_from_settling, trade.deliver_asset)

    @admin.display(description="Quote")
    def quote_shown(self, trade: Trade) -> str:
        return shown.link("quotes_quote", trade.quote_id, shown.short_guid(trade.quote_id))

    @admin.display(description="Movements")
    def movements(self, trade: Trade) -> str:
        return movements_of(trade.customer_id, trade.pk)

    @admin.display(description="Paid out with its batch")
    def settled_money(self, trade: Trade) -> str:
        return movements_of(trade.customer_id, trade.batch_id) if trade.batch_id else shown.NOTHING

    @admin.display(description="Created")
    def created(self, trade: Trade) -> str:
        return shown.moment(trade.created_at)

    @admin.display(description="Last step")
    def updated(self, trade: Trade) -> str:
        return shown.moment(trade.updated_at)


def _within(rows: QuerySet[Any], batch_id: UUID) -> QuerySet[Any]:
    batch = SettlementBatch.objects.filter(pk=batch_id).first()
    if batch is None or batch.first_trade_id is None or batch.last_trade_id is None:
        return rows.none()
    return rows.filter(pk__gte=batch.first_trade_id, pk__lte=batch.last_trade_id)
