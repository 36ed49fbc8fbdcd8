"""Legs: what moves between the firm and its providers, and the reports of those who carry it out."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget, UnfoldBooleanWidget

from accounts import clock
from accounts.admin import shown
from accounts.admin.base import ReadOnlyAdmin, ReadOnlyInline, asked_once, may, names_in
from accounts.admin.dialogs import DialogForm, ReasonForm, actor, base_units, carried_out, dialog, id_in
from accounts.admin.numbers import amount_field, as_printed
from accounts.models import Break
from accounts.money import from_base_units
from trades import selectors
from trades.admin.instructions import STATES as INSTRUCTION_STATES
from trades.admin.instructions import LineColumns
from trades.admin.movements import firms_movements_of
from trades.admin.odd_amounts import confirmation_of, is_confirmed, warning_of
from trades.corrections.propose import propose_leg_reversal
from trades.fail_reasons import FailReason
from trades.models import InstructionLeg, LegReport, SettlementLeg
from trades.settlement.legs import LONGEST_FAILURE, LONGEST_REFERENCE, fail_leg, settle_leg
from trades.settlement.legs_together import left_of
from trades.states import BatchState, LegStatus

STATES = {"pending": "warning", "partially_settled": "info", "settled": "success", "failed": "danger"}
PAGE = "admin:trades_settlementleg_change"
OFFERED = {
    LegStatus.PENDING: ("report_settled", "report_failed"),
    LegStatus.PARTIALLY_SETTLED: ("report_settled", "report_failed", "propose_reversal"),
    LegStatus.FAILED: ("report_settled",),
    LegStatus.SETTLED: ("propose_reversal",),
}


BEGUN = (BatchState.SETTLING, BatchState.PARTIALLY_SETTLED, BatchState.COMPLETED)
NO_TIME = timedelta()


def _with_why(state: SafeString, why: str) -> SafeString:
    """A state, and why as somebody has written it."""
    return format_html("{} {}", state, shown.long(why)) if why else state


class LegColumns:
    """How a leg is shown, in its list, on its page and below its batch."""

    @admin.display(description="Leg")
    def leg_link(self, leg: SettlementLeg) -> str:
        return shown.link("trades_settlementleg", leg.pk, leg.asset_id)

    @admin.display(description="Batch")
    def batch_short(self, leg: SettlementLeg) -> str:
        return shown.link("trades_settlementbatch", leg.batch_id, shown.short_guid(leg.batch_id))

    @admin.display(description="Expected")
    def expected_shown(self, leg: SettlementLeg) -> str:
        return shown.amount(leg.expected, leg.asset)

    @admin.display(description="Actual")
    def actual_shown(self, leg: SettlementLeg) -> str:
        return shown.amount(leg.actual, leg.asset)

    @admin.display(description="Difference")
    def difference_shown(self, leg: SettlementLeg) -> str:
        return shown.gain(leg.difference, leg.asset)

    @admin.display(description="Status")
    def status_label(self, leg: SettlementLeg) -> str:
        why = f"{leg.reason_code}: {leg.failure}" if leg.status == LegStatus.FAILED else ""
        return _with_why(shown.chip(leg.status, STATES), why)

    @admin.display(description="Value date", ordering="value_date")
    def value_date_shown(self, leg: SettlementLeg) -> str:
        is_open = leg.status != LegStatus.SETTLED and leg.batch.state in BEGUN
        late = clock.about_firm_now() - leg.due_by if is_open else NO_TIME
        overdue = f"overdue for {shown.for_how_long(late)}"
        chip = shown.chip(overdue, {overdue: "danger"}) if late > NO_TIME else ""
        return format_html("{} {}", shown.day(leg.value_date), chip)

    @admin.display(description="Next attempt")
    def next_attempt(self, leg: SettlementLeg) -> str:
        return shown.timestamp(leg.next_attempt_at)

    @admin.display(description="Reference")
    def told_reference(self, leg: SettlementLeg) -> str:
        return shown.long(leg.reference)


class LegInline(LegColumns, ReadOnlyInline):
    model = SettlementLeg
    fields = readonly_fields = (
        "leg_link",
        "direction",
        "expected_shown",
        "actual_shown",
        "difference_shown",
        "status_label",
        "value_date_shown",
        "next_attempt",
        "told_reference",
    )
    related = ("asset", "batch")
    ordering = ("asset_id",)


class ReportInline(ReadOnlyInline):
    """A leg's history; the reports of one are few."""

    model = LegReport
    verbose_name_plural = "history"
    fields = readonly_fields = (
        *("when", "kind", "amount_shown", "told_reference", "reason_code", "said", "who", "asked_by"),
    )
    related = ("leg__asset", "by_user", "by_client")
    ordering = ("-pk",)

    @admin.display(description="At (UTC)")
    def when(self, report: LegReport) -> str:
        return shown.timestamp(report.at)

    @admin.display(description="Amount")
    def amount_shown(self, report: LegReport) -> str:
        return shown.amount(report.amount, report.leg.asset)

    @admin.display(description="Reference")
    def told_reference(self, report: LegReport) -> str:
        return shown.long(report.reference)

    @admin.display(description="Why")
    def said(self, report: LegReport) -> str:
        return shown.long(report.text)

    @admin.display(description="By")
    def who(self, report: LegReport) -> str:
        return shown.long(shown.who(report.by_user, report.by_client))

    @admin.display(description="Request")
    def asked_by(self, report: LegReport) -> str:
        return shown.long(report.request_id)


class InstructionInline(LineColumns, ReadOnlyInline):
    """The instructions that the leg is, or was, in, and to which other leg it was carried forward there."""

    model = InstructionLeg
    fk_name = "leg"
    verbose_name_plural = "instructions"
    fields = readonly_fields = ("instruction_link", "state_label", "amount_shown", "reported_shown", "carried_to_link")
    related = ("instruction__asset",)
    ordering = ("-pk",)

    @admin.display(description="Instruction")
    def instruction_link(self, line: InstructionLeg) -> str:
        return shown.link("trades_settlementinstruction", line.instruction_id, line.instruction)

    @admin.display(description="State")
    def state_label(self, line: InstructionLeg) -> str:
        return _with_why(shown.chip(line.instruction.state, INSTRUCTION_STATES), line.instruction.note)


class SettledForm(DialogForm):
    """What moved by this reference: all that is still expected, unless somebody says otherwise."""

    form_after_template = "admin/odd_amount.html"
    actual = amount_field(widget=UnfoldAdminTextInputWidget)
    reference = forms.CharField(
        max_length=LONGEST_REFERENCE,
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text="The bank's or the provider's own. A part needs one.",
    )
    final = forms.BooleanField(
        required=False,
        label="Nothing more comes",
        widget=UnfoldBooleanWidget,
        help_text="Without it, less than expected is a part, and the leg waits for the rest.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        leg = SettlementLeg.objects.select_related("asset").filter(pk=id_in(self.object_id)).first()
        if leg is None:
            raise Http404
        self.leg, self.left, self.confirmation = leg, left_of(leg), ""
        self.fields["actual"].label = f"Actual amount, {leg.asset_id}"
        self.fields["actual"].initial = f"{from_base_units(self.left, leg.asset.decimals):f}"
        self.fields["actual"].help_text = f"{leg.direction.capitalize()}, by this reference. Zero: nothing moved."

    def clean_actual(self) -> int:
        code = self.leg.asset_id
        return base_units(code, as_printed(self.cleaned_data["actual"], code), may_be_zero=True)

    def clean(self) -> dict[str, Any]:
        """An amount that differs much from what is expected is asked about, as on the form of all legs."""
        given: dict[str, Any] = self.cleaned_data
        warning = warning_of(given["actual"], self.left, self.leg.asset) if "actual" in given else ""
        if warning:
            confirmation = confirmation_of([(self.leg.pk, given["actual"], self.left)])
            if not is_confirmed(self.data, confirmation):
                self.confirmation = confirmation
                self.add_error("actual", warning)
        return given

    def get_after_template_context(self, request: HttpRequest, object_id: Any = None) -> dict[str, Any]:
        return {"confirmation": self.confirmation}


class FailedForm(DialogForm):
    reason_code = forms.ChoiceField(
        choices=[(code, f"{code}: {meaning}") for code, meaning in FailReason.choices],
        initial=FailReason.NARRATIVE,
        label="Reason (ISO 20022)",
        widget=UnfoldAdminSelectWidget,
    )
    failure = forms.CharField(max_length=LONGEST_FAILURE, label="What went wrong", widget=UnfoldAdminTextInputWidget)


class DueFilter(admin.SimpleListFilter):
    title, parameter_name = "due", "due"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("now", "To be carried out now"), ("overdue", "Overdue: the value date is over")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        asked = {"now": selectors.is_due, "overdue": selectors.is_overdue}.get(self.value() or "")
        return queryset.filter(asked(clock.firm_now())) if asked else queryset


@admin.register(SettlementLeg)
class SettlementLegAdmin(LegColumns, ReadOnlyAdmin):
    list_display = (
        "leg_link",
        "batch_short",
        "direction",
        "expected_shown",
        "actual_shown",
        "difference_shown",
        "status_label",
        "value_date_shown",
        "told_reference",
    )
    list_filter = (DueFilter, "status", "reason_code", "direction", "asset")
    related = ("asset", "batch", "reported_by", "reported_by_client")
    search_guids = ("pk", "batch_id")
    fieldsets = (
        (None, {"fields": (("guid", "status_label"), ("batch_link", "direction"))}),
        (
            "Amounts",
            {
                "fields": (
                    ("expected_shown", "actual_shown"),
                    ("difference_shown", "break_link"),
                    ("received_shown", "delivered_shown"),
                    ("fees_shown",),
                )
            },
        ),
        (
            "Reports",
            {
                "fields": (
                    ("value_date_shown", "settled"),
                    ("attempts", "next_attempt"),
                    ("reported", "reference"),
                    ("reason", "failure"),
                )
            },
        ),
        ("Money", {"fields": ("movements",)}),
    )
    readonly_fields = names_in(fieldsets)
    inlines = (ReportInline, InstructionInline)
    actions_detail = ("report_settled", "report_failed", "propose_reversal")
    has_report_permission = may("report_leg")
    has_propose_permission = may("propose_correction")

    @admin.display(description="Guid")
    def guid(self, leg: SettlementLeg) -> str:
        return shown.guid(leg.pk)

    @admin.display(description="Batch")
    def batch_link(self, leg: SettlementLeg) -> str:
        return shown.link("trades_settlementbatch", leg.batch_id, leg.batch)

    @admin.display(description="Customers received")
    def received_shown(self, leg: SettlementLeg) -> str:
        return shown.amount(leg.received, leg.asset)

    @admin.display(description="Customers delivered")
    def delivered_shown(self, leg: SettlementLeg) -> str:
        return shown.amount(leg.delivered, leg.asset)

    @admin.display(description="Fees")
    def fees_shown(self, leg: SettlementLeg) -> str:
        return shown.amount(leg.fees, leg.asset)

    @admin.display(description="Reason")
    def reason(self, leg: SettlementLeg) -> str:
        return f"{leg.reason_code}: {leg.get_reason_code_display()}" if leg.reason_code else shown.NOTHING

    @admin.display(description="Settled at")
    def settled(self, leg: SettlementLeg) -> str:
        return shown.timestamp(leg.settled_at)

    @admin.display(description="Reported by")
    def reported(self, leg: SettlementLeg) -> str:
        return shown.who(leg.reported_by, leg.reported_by_client) if leg.attempts else shown.NOTHING

    @admin.display(description="Break")
    @asked_once
    def break_link(self, leg: SettlementLeg) -> str:
        found = Break.objects.filter(subject=leg.pk).order_by("-pk").first()
        return shown.link("accounts_break", found.pk, f"{found.state} break") if found else shown.NOTHING

    @admin.display(description="Movements")
    @asked_once
    def movements(self, leg: SettlementLeg) -> str:
        return firms_movements_of(leg.pk)

    @action(
        description="Report settled, or a part",
        icon="done_all",
        variant=ActionVariant.SUCCESS,
        permissions=["report"],
        dialog=dialog(
            "Was this leg carried out?",
            "What really moved is booked. Less than expected is a part, unless nothing more comes: then the"
            " difference is booked apart and listed as a break.",
            "Report it",
            SettledForm,
        ),
    )
    def report_settled(self, request: HttpRequest, form: SettledForm, object_id: str) -> HttpResponse:
        given, leg_id = form.cleaned_data, id_in(object_id)

        def told(leg: SettlementLeg) -> str:
            if leg.status == LegStatus.PARTIALLY_SETTLED:
                return "The part is booked; the leg waits for the rest."
            difference = int(leg.actual or 0) - int(leg.expected)
            return f"The leg is settled{', with a difference: there is a break' if difference else ''}."

        return carried_out(
            request,
            lambda: settle_leg(
                leg_id,
                actual=given["actual"],
                reference=given["reference"],
                final=given["final"],
                by=actor(request),
                at=clock.firm_now(),
            ),
            told,
            PAGE,
            leg_id,
        )

    @action(
        description="Report failed",
        icon="error",
        variant=ActionVariant.DANGER,
        permissions=["report"],
        dialog=dialog(
            "Did it fail?",
            "No money is booked. The leg is due again after a pause that doubles; the trades of its asset wait.",
            "Report it failed",
            FailedForm,
        ),
    )
    def report_failed(self, request: HttpRequest, form: FailedForm, object_id: str) -> HttpResponse:
        given, leg_id = form.cleaned_data, id_in(object_id)
        return carried_out(
            request,
            lambda: fail_leg(
                leg_id,
                failure=given["failure"],
                reason_code=given["reason_code"],
                by=actor(request),
                at=clock.firm_now(),
            ),
            lambda leg: f"Noted. It is due again at {leg.next_attempt_at:%H:%M:%S} UTC.",
            PAGE,
            leg_id,
        )

    @action(
        description="Propose reversal",
        icon="undo",
        permissions=["propose"],
        dialog=dialog(
            "Propose to take this leg back?",
            "Once a second person applies it, its movements are reversed and it waits to be reported anew.",
            "Propose",
            ReasonForm,
        ),
    )
    def propose_reversal(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        leg_id = id_in(object_id)
        return carried_out(
            request,
            lambda: propose_leg_reversal(
                leg_id, reason=form.cleaned_data["reason"], by=actor(request), at=clock.firm_now()
            ),
            "The reversal is proposed; a second person applies it.",
            "admin:trades_correction_changelist",
        )

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        leg = self.get_object(request, str(object_id))  # None for an id that names nothing
        offered = OFFERED[LegStatus(leg.status)] if leg else ()
        return [one for one in super().get_actions_detail(request, object_id) if one.action_name.endswith(offered)]
