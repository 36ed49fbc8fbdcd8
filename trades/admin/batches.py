"""Settlement batches: their legs, the way to their trades, and the steps a person takes."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm

from accounts import clock
from accounts.admin import shown
from accounts.admin.base import ReadOnlyAdmin, asked_once, may, names_in
from accounts.admin.dialogs import FreshCodeForm, ReasonForm, actor, carried_out, dialog, id_in
from trades.admin.charts import settlement_day_page
from trades.admin.legs import LegInline
from trades.admin.preview import CutForm, preview_page, reason_text
from trades.admin.report_legs import report_legs_page
from trades.corrections.propose import propose_batch_reversal
from trades.corrections.selectors import reversal_of_batch
from trades.models import LeftOut, SettlementBatch, SettlementLeg
from trades.settlement.approval import cancel, confirm
from trades.settlement.cut import EVERY_KIND, cut_now
from trades.settlement.settle import Progress, settle_chunk
from trades.states import BATCHES_UNDER_WAY, BatchState, CorrectionState, LegStatus

STATES = {
    "cut": "warning",
    "confirmed": "info",
    "settling": "info",
    "partially_settled": "warning",
    "completed": "success",
    "cancelled": "",
}
# Which buttons a batch shows; what each really may do is decided by the service, under the batch's lock.
OFFERED = {
    BatchState.CUT: ("confirm_batch", "cancel_batch"),
    BatchState.CONFIRMED: ("settle_batch", "cancel_batch"),
    BatchState.SETTLING: ("settle_batch", "report_legs"),
    BatchState.PARTIALLY_SETTLED: ("settle_batch", "report_legs"),
    BatchState.COMPLETED: ("propose_reversal",),
}
PAGE, LIST = "admin:trades_settlementbatch_change", "admin:trades_settlementbatch_changelist"
SETTLE_SECONDS = 3.0  # for a click; the workers finish what is left


class ConfirmForm(FreshCodeForm):
    """Shows what would be settled, and who cut it."""

    def render_before_template(self) -> str:
        found = SettlementBatch.objects.select_related("made_by", "made_by_client", "window")
        batch = found.filter(pk=id_in(self.object_id)).first()
        if batch is None:
            return ""
        cut_by = shown.who(batch.made_by, batch.made_by_client, "the clock" if batch.window_id else "the system")
        facts = [
            ("Cut by", cut_by),
            ("At", shown.timestamp(batch.cut_at)),
            ("Trades", f"{batch.trades_count:,} of {batch.customers_count:,} customers"),
            ("Left out", f"{batch.left_out_count:,}"),
            ("Legs", legs_text(batch)),
        ]
        legs = SettlementLeg.objects.filter(batch=batch).select_related("asset").order_by("asset_id")
        rows = [
            (
                leg.asset_id,
                shown.amount(leg.received, leg.asset),
                shown.amount(leg.delivered, leg.asset),
                f"{leg.direction} {shown.amount_text(int(leg.expected), leg.asset)}",
            )
            for leg in legs
        ]
        return format_html(
            '<div class="admin-foreseen">{}{}</div>',
            shown.table(("", ""), facts, ""),
            shown.table(("Asset", "Customers receive", "Customers deliver", "The firm"), rows, "No money would move."),
        )


@admin.register(SettlementBatch)
class SettlementBatchAdmin(ReadOnlyAdmin):
    """A batch may hold a million trades: they are a filtered list behind a link, never part of this page."""

    list_display = (
        "short_guid",
        "cut",
        "window_name",
        "state_label",
        "progress",
        "made",
        "confirmed",
    )
    list_filter = ("state", "window")
    related = (
        "window",
        "made_by",
        "made_by_client",
        "confirmed_by",
        "confirmed_by_client",
        "cancelled_by",
        "cancelled_by_client",
    )
    search_guids = ("pk",)
    inlines = (LegInline,)
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("guid", "state_label"),
                    ("window_name", "cut"),
                    ("kinds", "legs_label"),
                    ("progress", "waits_for"),
                    ("trades_link", "customers"),
                )
            },
        ),
        ("Left out", {"fields": ("left_out",)}),
        (
            "Two persons",
            {
                "fields": (
                    ("made", "created"),
                    ("confirmed", "confirmed_when"),
                    ("cancelled", "updated"),
                    ("fingerprint",),
                )
            },
        ),
    )
    readonly_fields = names_in(fieldsets)
    actions_list = ("preview_cut", "cut_everything", "settlement_of_a_day")
    actions_detail = ("confirm_batch", "settle_batch", "report_legs", "cancel_batch", "propose_reversal")
    has_propose_permission = may("propose_correction")
    has_cut_permission = may("cut_batch")
    has_confirm_permission = may("confirm_batch")
    has_cancel_permission = may("cancel_batch")
    has_settle_permission = may("settle_batch")
    has_report_permission = may("report_leg")

    @admin.display(description="Batch")
    def short_guid(self, batch: SettlementBatch) -> str:
        return shown.short_guid(batch.pk)

    @admin.display(description="Guid")
    def guid(self, batch: SettlementBatch) -> str:
        return shown.guid(batch.pk)

    @admin.display(description="Cut at")
    def cut(self, batch: SettlementBatch) -> str:
        return shown.timestamp(batch.cut_at)

    @admin.display(description="Window")
    def window_name(self, batch: SettlementBatch) -> str:
        return shown.link("trades_settlementwindow", batch.window_id, batch.window) if batch.window else "by hand"

    @admin.display(description="Kinds")
    def kinds(self, batch: SettlementBatch) -> str:
        return batch.asset_kinds.replace(",", ", ")

    @admin.display(description="State")
    def state_label(self, batch: SettlementBatch) -> str:
        return shown.chip(batch.state, STATES, getattr(batch, "note", ""))

    @admin.display(description="Completed")
    def progress(self, batch: SettlementBatch) -> str:
        return shown.bar(batch.percent, f"{batch.completed_count:,} of {batch.trades_count:,}")

    @admin.display(description="Customers")
    def customers(self, batch: SettlementBatch) -> str:
        return shown.number(batch.customers_count)

    @admin.display(description="Waits for the legs of")
    @asked_once
    def waits_for(self, batch: SettlementBatch) -> str:
        if batch.state not in BATCHES_UNDER_WAY:
            return shown.NOTHING
        open_ones = SettlementLeg.objects.filter(batch=batch).exclude(status=LegStatus.SETTLED).order_by("asset_id")
        return ", ".join(open_ones.values_list("asset_id", flat=True)) or shown.NOTHING

    @admin.display(description="Trades")
    def trades_link(self, batch: SettlementBatch) -> str:
        return shown.list_link("trades_trade", {"batch__id__exact": batch.pk}, "its trades")

    @admin.display(description="Legs")
    def legs_label(self, batch: SettlementBatch) -> str:
        return legs_text(batch)

    @admin.display(description="Trades left out")
    @asked_once
    def left_out(self, batch: SettlementBatch) -> str:
        """By reason and stage, and the way to each of them: a cut may pass over very many."""
        counted = LeftOut.objects.filter(batch=batch).values_list("stage", "reason").annotate(count=Count("pk"))
        rows = [
            (
                LeftOut.Stage(stage).label,
                reason_text(reason),
                shown.list_link(
                    "trades_leftout",
                    {"batch__id__exact": batch.pk, "stage__exact": stage, "reason__exact": reason},
                    f"{count:,}",
                ),
            )
            for stage, reason, count in counted.order_by("stage", "reason")
        ]
        return shown.table(("When", "Why", "Trades"), rows, "Nobody.")

    @admin.display(description="Made by")
    def made(self, batch: SettlementBatch) -> str:
        return shown.who(batch.made_by, batch.made_by_client, "the clock" if batch.window_id else "the system")

    @admin.display(description="Confirmed by")
    def confirmed(self, batch: SettlementBatch) -> str:
        if batch.confirmed_at is None:
            return shown.NOTHING
        return shown.who(batch.confirmed_by, batch.confirmed_by_client)

    @admin.display(description="Given up by")
    def cancelled(self, batch: SettlementBatch) -> str:
        if batch.state != BatchState.CANCELLED:
            return shown.NOTHING
        return shown.who(batch.cancelled_by, batch.cancelled_by_client)

    @admin.display(description="Confirmed at")
    def confirmed_when(self, batch: SettlementBatch) -> str:
        return shown.timestamp(batch.confirmed_at)

    @admin.display(description="Fingerprint of its members' terms (SHA-256)")
    def fingerprint(self, batch: SettlementBatch) -> str:
        return format_html('<span class="admin-id">{}</span>', batch.members_sha256)

    @admin.display(description="Made at")
    def created(self, batch: SettlementBatch) -> str:
        return shown.timestamp(batch.created_at)

    @admin.display(description="Changed")
    def updated(self, batch: SettlementBatch) -> str:
        return shown.timestamp(batch.updated_at)

    @action(description="Settlement of a day", icon="bar_chart", permissions=["view"])
    def settlement_of_a_day(self, request: HttpRequest) -> HttpResponse:
        return settlement_day_page(request, self.admin_site.each_context(request), self.model._meta)

    @action(description="What would be cut?", icon="visibility", permissions=["view"])
    def preview_cut(self, request: HttpRequest) -> HttpResponse:
        return preview_page(self, request, [("Every kind of asset", EVERY_KIND)])

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
            CutForm,
        ),
    )
    def cut_everything(self, request: HttpRequest, form: CutForm) -> HttpResponse:
        are_automatic, in_order = not form.cleaned_data["report_legs"], form.cleaned_data["in_order"]
        return carried_out(
            request,
            lambda: cut_now(
                at=clock.firm_now(), by=actor(request), legs_are_automatic=are_automatic, completes_in_order=in_order
            ),
            lambda batch: f"{batch.trades_count:,} trades were cut into batch {batch.pk.hex[-10:]}.",
            LIST,
        )

    @action(
        description="Confirm",
        icon="verified",
        variant=ActionVariant.SUCCESS,
        permissions=["confirm"],
        dialog=dialog("Confirm this batch?", "From now on it may be settled.", "Confirm", ConfirmForm),
    )
    def confirm_batch(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        batch_id = id_in(object_id)
        return carried_out(
            request,
            lambda: confirm(batch_id, by=actor(request), at=clock.firm_now()),
            "The batch is confirmed; the workers settle it within seconds.",
            PAGE,
            batch_id,
        )

    @action(
        description="Settle now",
        icon="done_all",
        variant=ActionVariant.PRIMARY,
        permissions=["settle"],
        dialog=dialog(
            "Settle this batch now?",
            "As far as its legs allow, its trades complete and what was received becomes available.",
            "Settle",
        ),
    )
    def settle_batch(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        batch_id = id_in(object_id)
        return carried_out(request, lambda: _settled_for(batch_id), _told, PAGE, batch_id)

    @action(description="Report its legs", icon="checklist", permissions=["report"])
    def report_legs(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return report_legs_page(self, request, id_in(object_id))

    @action(
        description="Cancel",
        icon="block",
        variant=ActionVariant.DANGER,
        permissions=["cancel"],
        dialog=dialog(
            "Give this batch up?",
            "Possible only before any money moved. Its trades wait for the next cut and can be exited again.",
            "Give it up",
        ),
    )
    def cancel_batch(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        batch_id = id_in(object_id)
        return carried_out(
            request,
            lambda: cancel(batch_id, by=actor(request), at=clock.firm_now()),
            "The batch is cancelled.",
            PAGE,
            batch_id,
        )

    @action(
        description="Propose reversal",
        icon="undo",
        permissions=["propose"],
        dialog=dialog(
            "Propose to reverse this whole batch?",
            "Once a second person applies it, every trade of it that isn't reversed yet is taken back, and its legs,"
            " all or nothing. Who has spent what they received stops it.",
            "Propose",
            ReasonForm,
        ),
    )
    def propose_reversal(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        batch_id = id_in(object_id)
        return carried_out(
            request,
            lambda: propose_batch_reversal(
                batch_id, reason=form.cleaned_data["reason"], by=actor(request), at=clock.firm_now()
            ),
            "The reversal is proposed; a second person applies it.",
            "admin:trades_correction_changelist",
        )

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        batch = super().get_object(request, object_id, from_field)
        if batch is not None and batch.state == BatchState.COMPLETED and (reversal := reversal_of_batch(batch.pk)):
            is_done = reversal.state == CorrectionState.APPLIED
            batch.note = "and reversed as a whole" if is_done else "and being reversed"
        return batch

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        batch = self.get_object(request, str(object_id))  # None for an id that names nothing
        offered = OFFERED.get(BatchState(batch.state), ()) if batch and not hasattr(batch, "note") else ()
        if batch and batch.legs_are_automatic:
            offered = tuple(name for name in offered if name != "report_legs")
        if batch and batch.made_by_id == request.user.pk:
            offered = tuple(name for name in offered if name not in ("confirm_batch", "cancel_batch"))
        return [one for one in super().get_actions_detail(request, object_id) if one.action_name.endswith(offered)]


def legs_text(batch: SettlementBatch) -> str:
    """Who says that a batch's legs have settled."""
    if batch.legs_are_automatic:
        return "settle as expected, at once"
    goes = "up to what has come, in order of time" if batch.completes_in_order else "once all has come"
    return f"are reported by hand; trades complete {goes}"


def _settled_for(batch_id: UUID) -> Progress:
    """Settle chunk after chunk while a click may last; at least one."""
    until = time.monotonic() + SETTLE_SECONDS
    while True:
        progress = settle_chunk(batch_id, at=clock.firm_now())
        if progress.is_done or time.monotonic() > until:
            return progress


def _told(progress: Progress) -> str:
    done = f"{progress.completed:,} of {progress.total:,} trades are completed"
    if progress.waits_for:
        return f"{done}; the others wait for the legs of {', '.join(progress.waits_for)}."
    return f"{done}." if progress.is_done else f"{done}; the workers do the rest."
