"""Settlement batches: their legs, the way to their trades, and the steps a person takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm

from accounts.admin import shown
from accounts.admin.base import ReadOnlyAdmin, ReadOnlyInline, leave_dialog
from accounts.errors import Refusal
from accounts.identity import Actor
from trades.models import SettlementBatch, SettlementLeg
from trades.settlement.approval import cancel, confirm
from trades.settlement.cut import cut_now
from trades.settlement.settle import Progress, settle_chunk
from trades.states import BatchState

STATES = {
    "cut": "warning",
    "confirmed": "info",
    "settling": "info",
    "partially_settled": "warning",
    "completed": "success",
    "cancelled": "",
}
LEG_STATES = {"pending": "warning", "settled": "success", "failed": "danger"}
# Which buttons a batch shows; what each really may do is decided by the service, under the batch's lock.
OFFERED = {
    BatchState.CUT: ("confirm_batch", "cancel_batch"),
    BatchState.CONFIRMED: ("settle_batch", "cancel_batch"),
    BatchState.SETTLING: ("settle_batch",),
    BatchState.PARTIALLY_SETTLED: ("settle_batch",),
}
PATIENCE_SECONDS = 3.0  # for a click; the workers finish what is left


def dialog(title: str, description: str, submit: str) -> dict[str, Any]:
    """What is asked before anything happens; answering is a POST."""
    return {"title": title, "description": description, "form_class": BaseDialogForm, "form_submit_text": submit}


class LegInline(ReadOnlyInline):
    model = SettlementLeg
    fields = readonly_fields = ("asset", "direction", "expected_shown", "actual_shown", "status_label", "attempts")
    related = ("asset",)
    ordering = ("asset_id",)

    @admin.display(description="Expected")
    def expected_shown(self, leg: SettlementLeg) -> str:
        return shown.amount(leg.expected, leg.asset)

    @admin.display(description="Actual")
    def actual_shown(self, leg: SettlementLeg) -> str:
        return shown.amount(leg.actual, leg.asset)

    @admin.display(description="Status")
    def status_label(self, leg: SettlementLeg) -> str:
        return shown.chip(leg.status, LEG_STATES)


@admin.register(SettlementBatch)
class SettlementBatchAdmin(ReadOnlyAdmin):
    """A batch may hold a million trades: they are a filtered list behind a link, never part of this page."""

    list_display = ("short_guid", "cut", "window_name", "kinds", "state_label", "progress", "made", "confirmed")
    list_filter = ("state", "window")
    related = ("window", "made_by", "confirmed_by")
    search_guids = ("pk",)
    inlines = (LegInline,)
    fields = (
        ("guid", "state_label"),
        ("window_name", "kinds", "cut"),
        ("progress", "trades_link"),
        ("made", "confirmed"),
        ("created", "updated"),
    )
    readonly_fields = (
        "guid",
        "state_label",
        "window_name",
        "kinds",
        "cut",
        "progress",
        "trades_link",
        "made",
        "confirmed",
        "created",
        "updated",
    )
    actions_list = ("cut_everything",)
    actions_detail = ("confirm_batch", "settle_batch", "cancel_batch")

    @admin.display(description="Batch")
    def short_guid(self, batch: SettlementBatch) -> str:
        return shown.short_guid(batch.pk)

    @admin.display(description="Guid")
    def guid(self, batch: SettlementBatch) -> str:
        return shown.guid(batch.pk)

    @admin.display(description="Cut at")
    def cut(self, batch: SettlementBatch) -> str:
        return shown.moment(batch.cut_at)

    @admin.display(description="Window")
    def window_name(self, batch: SettlementBatch) -> str:
        return shown.link("trades_settlementwindow", batch.window_id, batch.window) if batch.window else "by hand"

    @admin.display(description="Kinds")
    def kinds(self, batch: SettlementBatch) -> str:
        return batch.asset_kinds.replace(",", ", ")

    @admin.display(description="State")
    def state_label(self, batch: SettlementBatch) -> str:
        return shown.chip(batch.state, STATES)

    @admin.display(description="Completed")
    def progress(self, batch: SettlementBatch) -> str:
        return f"{batch.completed_count:,} of {batch.trades_count:,}"

    @admin.display(description="Trades")
    def trades_link(self, batch: SettlementBatch) -> str:
        return shown.list_link("trades_trade", {"batch__id__exact": batch.pk}, "its trades")

    @admin.display(description="Made by")
    def made(self, batch: SettlementBatch) -> str:
        return str(batch.made_by or shown.NOTHING)

    @admin.display(description="Confirmed by")
    def confirmed(self, batch: SettlementBatch) -> str:
        return str(batch.confirmed_by or shown.NOTHING)

    @admin.display(description="Created")
    def created(self, batch: SettlementBatch) -> str:
        return shown.moment(batch.created_at)

    @admin.display(description="Changed")
    def updated(self, batch: SettlementBatch) -> str:
        return shown.moment(batch.updated_at)

    @action(
        description="Cut now",
        icon="content_cut",
        variant=ActionVariant.PRIMARY,
        permissions=["cut"],
        dialog=dialog(
            "Cut a batch now?",
            "Every trade that is settling, with its exits, is frozen into one batch. You can't confirm a batch that"
            " you cut: a second person does.",
            "Cut",
        ),
    )
    def cut_everything(self, request: HttpRequest, form: BaseDialogForm) -> HttpResponse:
        try:
            batch = cut_now(at=timezone.now(), by=_actor(request))
        except Refusal as refusal:
            messages.error(request, refusal.text)
            return leave_dialog(request, "admin:trades_settlementbatch_changelist")
        messages.success(request, f"{batch.trades_count:,} trades were cut into this batch.")
        return _page_of(request, batch.pk)

    @action(
        description="Confirm",
        icon="verified",
        variant=ActionVariant.SUCCESS,
        permissions=["run"],
        dialog=dialog("Confirm this batch?", "From now on it may be settled.", "Confirm"),
    )
    def confirm_batch(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return _step(
            request,
            object_id,
            lambda batch_id, at: confirm(batch_id, by=_actor(request), at=at),
            "The batch is confirmed; the workers settle it within seconds.",
        )

    @action(
        description="Settle now",
        icon="done_all",
        variant=ActionVariant.PRIMARY,
        permissions=["run"],
        dialog=dialog(
            "Settle this batch now?",
            "Its trades complete and what was received becomes available. That can't be taken back.",
            "Settle",
        ),
    )
    def settle_batch(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        try:
            progress = _settled_for(UUID(object_id))
        except Refusal as refusal:
            messages.error(request, refusal.text)
            return _page_of(request, UUID(object_id))
        done = f"{progress.completed:,} of {progress.total:,} trades are completed"
        messages.success(request, f"{done}." if progress.is_done else f"{done}; the workers do the rest.")
        return _page_of(request, UUID(object_id))

    @action(
        description="Cancel",
        icon="block",
        variant=ActionVariant.DANGER,
        permissions=["run"],
        dialog=dialog(
            "Give this batch up?",
            "Possible only before any money moved. Its trades wait for the next cut and can be exited again.",
            "Give it up",
        ),
    )
    def cancel_batch(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return _step(request, object_id, lambda batch_id, at: cancel(batch_id, at=at), "The batch is cancelled.")

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        batch = self.get_object(request, str(object_id))  # None for an id that names nothing
        offered = OFFERED.get(BatchState(batch.state), ()) if batch else ()
        return [one for one in super().get_actions_detail(request, object_id) if one.action_name.endswith(offered)]

    def has_cut_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return request.user.has_perm("trades.add_settlementbatch")

    def has_run_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return request.user.has_perm("trades.change_settlementbatch")


def _settled_for(batch_id: UUID) -> Progress:
    """Settle chunk after chunk while a click may last; at least one."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        progress = settle_chunk(batch_id, at=timezone.now())
        if progress.is_done or time.monotonic() > until:
            return progress


def _step(request: HttpRequest, object_id: str, take: Callable[[UUID, datetime], object], done: str) -> HttpResponse:
    batch_id = UUID(object_id)
    try:
        take(batch_id, timezone.now())
    except Refusal as refusal:
        messages.error(request, refusal.text)
    else:
        messages.success(request, done)
    return _page_of(request, batch_id)


def _actor(request: HttpRequest) -> Actor:
    return Actor(request.user.pk)


def _page_of(request: HttpRequest, batch_id: UUID) -> HttpResponse:
    return leave_dialog(request, "admin:trades_settlementbatch_change", batch_id)
