"""Spot trades and exits with their steps and their money."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm

from accounts import clock
from accounts.admin import shown
from accounts.admin.base import ReadOnlyAdmin, ReadOnlyInline, asked_once, may, names_in
from accounts.admin.by_day import MadeFilter
from accounts.admin.dialogs import ReasonForm, actor, carried_out, dialog, id_in
from accounts.ids import parse_guid
from trades.admin.movements import MOST_SHOWN, movements_of
from trades.admin.order_columns import SIDES
from trades.admin.preview import reason_text
from trades.corrections.propose import propose_trade_reversal
from trades.corrections.selectors import reversal_of
from trades.models import LeftOut, SettlementBatch, Trade, TradeEvent, TradeFlag
from trades.settlement import flags
from trades.states import FailureCode, TradeState

STATES = {
    "storing": "info",
    "settling": "warning",
    "completed": "success",
    "failed": "danger",
    "reversed": "danger",
}
PAGE = "admin:trades_trade_change"


class TradeEventInline(ReadOnlyInline):
    model = TradeEvent
    fields = readonly_fields = ("when", "became_label", "detail")

    @admin.display(description="At")
    def when(self, event: TradeEvent) -> str:
        return shown.timestamp(event.at)

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
    list_filter = ("state", "trade_type", "side", "instrument", "failure_code", MadeFilter)
    sortable_by = ("created",)
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
                    ("failure_code", "why_shown"),
                    ("labels_shown", "expected_error"),
                )
            },
        ),
        (
            "Settlement",
            {
                "fields": (
                    ("batch_shown", "original", "exit_shown"),
                    ("taken_shown", "quote_shown", "reversed_by"),
                    ("flags_shown",),
                    ("left_out_shown",),
                )
            },
        ),
        ("Money", {"fields": ("movements", "settled_money")}),
        ("Bookkeeping", {"fields": (("created", "updated"),)}),
    )
    readonly_fields = names_in(fieldsets)

    actions_detail = ("flag", "clear_flag", "propose_reversal")
    has_propose_permission = may("propose_correction")
    has_flag_permission = may("flag_trade")
    has_clear_permission = may("flag_trade")

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

    @admin.display(description="What was needed, and what was there")
    @asked_once
    def why_shown(self, trade: Trade) -> str:
        """Of a trade that failed for want of money. Trades from before this was noted have none of it."""
        if trade.failure_code != FailureCode.NON_SUFFICIENT_FUNDS:
            return shown.NOTHING
        event = TradeEvent.objects.filter(trade=trade, became=TradeState.FAILED).first()
        if event is None or event.needed is None or event.there is None:
            return "not noted"
        needed, there = (shown.amount_text(one, trade.deliver_asset) for one in (event.needed, event.there))
        return f"needed {needed}, could spend {there}"

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
    @asked_once
    def exit_shown(self, trade: Trade) -> str:
        live = Trade.objects.filter(exiting_trade=trade).values_list("pk", flat=True).first()
        return shown.link("trades_trade", live, shown.short_guid(live))

    @admin.display(description="Taken from settling")
    def taken_shown(self, trade: Trade) -> str:
        return shown.amount(trade.taken_from_settling, trade.deliver_asset)

    @admin.display(description="Quote")
    def quote_shown(self, trade: Trade) -> str:
        return shown.link("quotes_quote", trade.quote_id, shown.short_guid(trade.quote_id))

    @admin.display(description="Reversed by")
    @asked_once
    def reversed_by(self, trade: Trade) -> str:
        correction_id = reversal_of(trade.pk) if trade.state == TradeState.COMPLETED else None
        return shown.link("trades_correction", correction_id, "a correction")

    @admin.display(description="Held back")
    @asked_once
    def flags_shown(self, trade: Trade) -> str:
        found = TradeFlag.objects.filter(trade=trade).select_related("flagged_by", "cleared_by").order_by("-pk")
        rows = [
            (
                shown.timestamp(flag.flagged_at),
                flag.reason,
                shown.who(flag.flagged_by),
                shown.timestamp(flag.cleared_at),
                shown.who(flag.cleared_by) if flag.cleared_at else shown.NOTHING,
            )
            for flag in found[:MOST_SHOWN]
        ]
        return shown.table(("Since", "Why", "By", "Until", "Let go by"), rows, "Never.")

    @admin.display(description="Left out of")
    @asked_once
    def left_out_shown(self, trade: Trade) -> str:
        found = LeftOut.objects.filter(trade=trade).order_by("-pk")
        rows = [
            (
                shown.timestamp(left.at),
                shown.link("trades_settlementbatch", left.batch_id, shown.short_guid(left.batch_id)),
                left.get_stage_display(),
                reason_text(left.reason),
                left.detail,
            )
            for left in found[:MOST_SHOWN]
        ]
        return shown.table(("At", "Batch", "When", "Why", "Said"), rows, "No batch.")

    @admin.display(description="Movements")
    @asked_once
    def movements(self, trade: Trade) -> str:
        return movements_of(trade.customer_id, trade.pk)

    @admin.display(description="Paid out with its batch")
    @asked_once
    def settled_money(self, trade: Trade) -> str:
        return movements_of(trade.customer_id, trade.batch_id) if trade.batch_id else shown.NOTHING

    @admin.display(description="Created", ordering="pk")
    def created(self, trade: Trade) -> str:
        return shown.timestamp(trade.created_at)

    @admin.display(description="Last step")
    def updated(self, trade: Trade) -> str:
        return shown.timestamp(trade.updated_at)

    @action(
        description="Hold back",
        icon="flag",
        variant=ActionVariant.DANGER,
        permissions=["flag"],
        dialog=dialog(
            "Hold this trade back?",
            "Batches leave it out, with its exit or original, until the flag is cleared.",
            "Hold back",
            ReasonForm,
        ),
    )
    def flag(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        trade_id, reason = id_in(object_id), form.cleaned_data["reason"]
        return carried_out(
            request,
            lambda: flags.flag(trade_id, reason=reason, by=actor(request), at=clock.firm_now()),
            "The trade is held back.",
            PAGE,
            trade_id,
        )

    @action(
        description="Clear the flag",
        icon="outlined_flag",
        variant=ActionVariant.SUCCESS,
        permissions=["clear"],
        dialog=dialog("Let it settle?", "The next batch takes it.", "Clear the flag"),
    )
    def clear_flag(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        trade_id = id_in(object_id)
        return carried_out(
            request,
            lambda: flags.clear(trade_id, by=actor(request), at=clock.firm_now()),
            "The flag is cleared.",
            PAGE,
            trade_id,
        )

    @action(
        description="Propose reversal",
        icon="undo",
        permissions=["propose"],
        dialog=dialog(
            "Propose to reverse this trade?",
            "Once a second person applies it, its movements go back, with those of its exit or original.",
            "Propose",
            ReasonForm,
        ),
    )
    def propose_reversal(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        trade_id, reason = id_in(object_id), form.cleaned_data["reason"]
        return carried_out(
            request,
            lambda: propose_trade_reversal(trade_id, reason=reason, by=actor(request), at=clock.firm_now()),
            "The reversal is proposed; a second person applies it.",
            PAGE,
            trade_id,
        )

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        trade = self.get_object(request, str(object_id))  # None for an id that names nothing
        offered = _offered(trade) if trade else ()
        return [one for one in super().get_actions_detail(request, object_id) if one.action_name.endswith(offered)]


def _offered(trade: Trade) -> tuple[str, ...]:
    """What the buttons are; what each really may do is decided by the service."""
    if trade.state == TradeState.COMPLETED:
        return () if reversal_of(trade.pk) else ("propose_reversal",)
    if trade.state == TradeState.FAILED:
        return ()
    is_held = TradeFlag.objects.filter(trade=trade, cleared_at__isnull=True).exists()
    return ("trade_clear_flag",) if is_held else ("trade_flag",)


def _within(rows: QuerySet[Any], batch_id: UUID) -> QuerySet[Any]:
    batch = SettlementBatch.objects.filter(pk=batch_id).first()
    if batch is None or batch.first_trade_id is None or batch.last_trade_id is None:
        return rows.none()
    return rows.filter(pk__gte=batch.first_trade_id, pk__lte=batch.last_trade_id)
