"""Legs: what moves between the firm and its providers, and the reports of those who carry it out."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts import clock
from accounts.admin import shown
from accounts.admin.base import ReadOnlyAdmin, ReadOnlyInline, asked_once, may, names_in
from accounts.admin.dialogs import ReasonForm, actor, base_units, carried_out, dialog, id_in
from accounts.admin.numbers import amount_field
from accounts.models import Break
from accounts.money import from_base_units
from trades import selectors
from trades.admin.movements import firms_movements_of
from trades.corrections.propose import propose_leg_reversal
from trades.models import SettlementLeg
from trades.settlement.legs import LONGEST_FAILURE, LONGEST_REFERENCE, fail_leg, settle_leg
from trades.states import LegStatus

STATES = {"pending": "warning", "settled": "success", "failed": "danger"}
PAGE = "admin:trades_settlementleg_change"
OFFERED = {
    LegStatus.PENDING: ("report_settled", "report_failed"),
    LegStatus.FAILED: ("report_settled",),
    LegStatus.SETTLED: ("propose_reversal",),
}


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
        return shown.chip(leg.status, STATES, leg.failure if leg.status == LegStatus.FAILED else "")

    @admin.display(description="Next attempt")
    def next_attempt(self, leg: SettlementLeg) -> str:
        return shown.timestamp(leg.next_attempt_at)


class LegInline(LegColumns, ReadOnlyInline):
    model = SettlementLeg
    fields = readonly_fields = (
        "leg_link",
        "direction",
        "expected_shown",
        "actual_shown",
        "difference_shown",
        "status_label",
        "attempts",
        "next_attempt",
        "reference",
    )
    related = ("asset",)
    ordering = ("asset_id",)


class SettledForm(BaseDialogForm):
    """What really moved: the expected amount, unless somebody says otherwise."""

    actual = amount_field(widget=UnfoldAdminTextInputWidget)
    reference = forms.CharField(
        max_length=LONGEST_REFERENCE,
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text="The bank's or the provider's own.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        leg = SettlementLeg.objects.select_related("asset").filter(pk=id_in(self.object_id)).first()
        if leg is None:
            raise Http404
        self.asset = leg.asset
        self.fields["actual"].label = f"Actual amount, {leg.asset_id}"
        self.fields["actual"].initial = f"{from_base_units(leg.expected, leg.asset.decimals):f}"
        self.fields["actual"].help_text = f"{leg.direction.capitalize()}, as a whole. Zero: nothing moved."

    def clean_actual(self) -> int:
        return base_units(self.asset.code, self.cleaned_data["actual"], may_be_zero=True)


class FailedForm(BaseDialogForm):
    failure = forms.CharField(max_length=LONGEST_FAILURE, label="What went wrong", widget=UnfoldAdminTextInputWidget)


class DueFilter(admin.SimpleListFilter):
    title, parameter_name = "due", "due"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("now", "To be carried out now")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(selectors.is_due(clock.now())) if self.value() == "now" else queryset


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
        "attempts",
        "next_attempt",
        "reference",
    )
    list_filter = (DueFilter, "status", "direction", "asset")
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
                    ("received_shown", "delivered_shown", "fees_shown"),
                )
            },
        ),
        (
            "Reports",
            {
                "fields": (
                    ("attempts", "next_attempt"),
                    ("reported", "settled"),
                    ("reference", "failure"),
                )
            },
        ),
        ("Money", {"fields": ("movements",)}),
    )
    readonly_fields = names_in(fieldsets)
    actions_detail = ("report_settled", "report_failed", "propose_reversal")
    has_report_permission = may("trades.change_settlementleg")
    has_propose_permission = may("trades.add_correction")

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
        description="Report settled",
        icon="done_all",
        variant=ActionVariant.SUCCESS,
        permissions=["report"],
        dialog=dialog(
            "Was this leg carried out?",
            "What really moved is booked. A difference to what was expected is booked apart and listed as a break.",
            "Report it settled",
            SettledForm,
        ),
    )
    def report_settled(self, request: HttpRequest, form: SettledForm, object_id: str) -> HttpResponse:
        given, leg_id = form.cleaned_data, id_in(object_id)

        def told(leg: SettlementLeg) -> str:
            difference = given["actual"] - int(leg.expected)
            return f"The leg is settled{', with a difference: there is a break' if difference else ''}."

        return carried_out(
            request,
            lambda: settle_leg(
                leg_id, actual=given["actual"], reference=given["reference"], by=actor(request), at=clock.now()
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
        leg_id = id_in(object_id)
        return carried_out(
            request,
            lambda: fail_leg(leg_id, failure=form.cleaned_data["failure"], by=actor(request), at=clock.now()),
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
            lambda: propose_leg_reversal(leg_id, reason=form.cleaned_data["reason"], by=actor(request), at=clock.now()),
            "The reversal is proposed; a second person applies it.",
            "admin:trades_correction_changelist",
        )

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        leg = self.get_object(request, str(object_id))  # None for an id that names nothing
        offered = OFFERED[LegStatus(leg.status)] if leg else ()
        return [one for one in super().get_actions_detail(request, object_id) if one.action_name.endswith(offered)]
