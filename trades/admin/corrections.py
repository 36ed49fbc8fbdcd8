"""Corrections: what one person proposed, and a second one applies or rejects."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html, format_html_join
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from accounts import clock
from accounts.admin import shown
from accounts.admin.base import ReadOnlyAdmin, asked_once, may, names_in, open_to, withdraws_or
from accounts.admin.dialogs import FreshCodeForm, ReasonAndReferenceForm, actor, base_units, carried_out, dialog, id_in
from accounts.admin.numbers import amount_field
from accounts.errors import Refusal
from accounts.identity import Actor
from accounts.selectors import assets, customer_named
from trades.admin.foreseen import dialog_shown, proposal_shown, would_move
from trades.admin.movements import movements_of_correction
from trades.admin.proposals import ProposalColumns, decided_once, undecided
from trades.corrections import decide
from trades.corrections.batch_reversal import carry_on_once
from trades.corrections.errors import AlreadyDecided
from trades.corrections.propose import LONGEST_REASON, propose_adjustment
from trades.models import Correction, SettlementBatch
from trades.states import CARRIED_OUT, CorrectionState

PAGE, LIST = "admin:trades_correction_change", "admin:trades_correction_changelist"
ABOUT = {
    Correction.Kind.REVERSE_TRADE: "trades_trade",
    Correction.Kind.REVERSE_BATCH: "trades_settlementbatch",
    Correction.Kind.REVERSE_LEG: "trades_settlementleg",
    Correction.Kind.BREAK_PAID: "accounts_break",
    Correction.Kind.BREAK_WRITTEN_OFF: "accounts_break",
    Correction.Kind.PAYMENT_RETURNED: "trades_payment",
}


APPLY_SECONDS = 3.0  # for a click; the workers finish what is left
MOST_NAMED = 20

COMES_IN = (Correction.Kind.DEPOSIT, Correction.Kind.CAPITAL_IN)
GOES_OUT = (Correction.Kind.WITHDRAWAL, Correction.Kind.PROFIT_OUT, Correction.Kind.FEES_OUT)


class ApplyForm(FreshCodeForm):
    """Shows what applying would do: the same code, rolled back. A batch's reversal is too much for that."""

    def render_before_template(self) -> str:
        one = Correction.objects.select_related("asset", "customer", "made_by", "made_by_client")
        correction = one.filter(pk=id_in(self.object_id)).first()
        if correction is None or correction.state != CorrectionState.PROPOSED:
            return ""
        about = [("What", correction.get_kind_display())]
        if correction.customer:
            about.append(("Customer", str(correction.customer)))
        if correction.kind != Correction.Kind.REVERSE_BATCH:
            moves = would_move(self.request, correction, decide.apply)
        else:
            batch = SettlementBatch.objects.filter(pk__in=[correction.subject]).first()
            counted = f"{batch.trades_count:,} trades of {batch.customers_count:,} customers" if batch else "a batch"
            moves = format_html("<p>{} would be taken back, in slices, and its legs at once.</p>", counted)
        return dialog_shown([proposal_shown(correction, *about), moves])


class AdjustmentForm(ReasonAndReferenceForm, FreshCodeForm):
    """How much of what, to or from a customer, and why."""

    asset = forms.ChoiceField(widget=UnfoldAdminSelectWidget)
    amount = amount_field(widget=UnfoldAdminTextInputWidget, help_text="In units of the asset, e.g. 25.00")
    direction = forms.ChoiceField(
        choices=[(value, label.capitalize()) for value, label in Correction.Direction.choices],
        widget=UnfoldAdminSelectWidget,
    )
    reason = forms.CharField(max_length=LONGEST_REASON, widget=UnfoldAdminTextInputWidget)
    field_order: Any = ("direction", "amount", "asset", "reason", "reference")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["asset"].choices = [(asset.code, asset.code) for asset in assets()]
        self.fields["asset"].initial = "USD"

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        if "amount" in given and "asset" in given:
            try:
                given["amount"] = base_units(given["asset"], given["amount"])
            except ValidationError as wrong:
                self.add_error("amount", wrong)
        return given


class AnybodysAdjustmentForm(AdjustmentForm):
    customer = forms.CharField(max_length=254, widget=UnfoldAdminTextInputWidget, help_text="Guid or e-mail address.")
    field_order: Any = ("customer", *AdjustmentForm.field_order)

    def clean_customer(self) -> UUID:
        try:
            return customer_named(self.cleaned_data["customer"].strip()).pk
        except Refusal as refusal:
            raise ValidationError(refusal.text) from None


ASK_ADJUSTMENT = (
    "Propose an adjustment?",
    "It moves money between the customer's available balance and the firm. Within the asset's limit it is applied at"
    " once; above it a second person applies it.",
    "Propose",
)


def adjust(request: HttpRequest, customer_id: UUID, given: dict[str, Any], to: str, *args: object) -> HttpResponse:
    """Propose what the form says, and tell whether that was all."""
    return carried_out(
        request,
        lambda: propose_adjustment(
            customer_id,
            given["asset"],
            given["amount"],
            given["direction"],
            reason=given["reason"],
            reference=given["reference"],
            by=actor(request),
            at=clock.firm_now(),
            once=given["once"],
        ),
        lambda made: (
            "The adjustment is applied: it is within the limit."
            if made.state == CorrectionState.APPLIED
            else "The adjustment is proposed; a second person applies it."
        ),
        to,
        *args,
    )


@admin.register(Correction)
class CorrectionAdmin(ProposalColumns, ReadOnlyAdmin):
    """Nothing is edited: an applied correction is further movements, which name it."""

    states = {"proposed": "warning", "applying": "info", "applied": "success", "rejected": ""}
    list_display = ("made_when", "kind_link", "about", "amount_shown", "state_label", "maker", "checker", "reason")
    list_filter = ("state", "kind")
    related = ("customer", "asset", "made_by", "made_by_client", "checked_by", "checked_by_client")
    search_guids = ("pk", "subject", "customer_id")
    search_customer = "customer_id"
    fieldsets = (
        (None, {"fields": (("guid", "state_label"), ("kind", "about"), ("amount_shown", "reference"), ("reason",))}),
        ("Two persons", {"fields": (("maker", "made_when"), ("checker", "decided_when"))}),
        ("A batch's reversal", {"fields": (("progress", "waiting"),)}),
        ("Money", {"fields": ("movements",)}),
    )
    readonly_fields = names_in(fieldsets)
    actions_list = ("propose_adjustment",)
    actions_detail = ("apply", "reject")
    has_propose_permission = may("propose_correction")
    has_decide_permission = may("apply_correction")
    has_reject_permission = may("apply_correction", "propose_correction")

    @admin.display(description="Kind")
    def kind_link(self, correction: Correction) -> str:
        return shown.link("trades_correction", correction.pk, correction.get_kind_display())

    @admin.display(description="About")
    def about(self, correction: Correction) -> str:
        if correction.subject is None and correction.customer is None:
            return "the firm"
        if correction.subject is None:
            return shown.customer_link(correction.customer)
        model = ABOUT[Correction.Kind(correction.kind)]
        return shown.link(model, correction.subject, shown.short_guid(correction.subject))

    @admin.display(description="Amount")
    def amount_shown(self, correction: Correction) -> str:
        if correction.amount is None or correction.asset is None:
            return shown.number(None)
        sign = -1 if correction.direction == Correction.Direction.DEBIT or correction.kind in GOES_OUT else 1
        is_signed = correction.direction or correction.kind in COMES_IN or correction.kind in GOES_OUT
        return (shown.gain if is_signed else shown.amount)(sign * correction.amount, correction.asset)

    @admin.display(description="Maker")
    def maker(self, correction: Correction) -> str:
        return shown.who(correction.made_by, correction.made_by_client)

    @admin.display(description="Checker")
    def checker(self, correction: Correction) -> str:
        if correction.state == CorrectionState.APPLIED and not correction.needs_checker:
            return "within the limit"
        return shown.who(correction.checked_by, correction.checked_by_client, undecided(correction))

    @admin.display(description="Trades taken back")
    def progress(self, correction: Correction) -> str:
        if not correction.trades_count:
            return shown.NOTHING
        percent = correction.trades_done * 100 // correction.trades_count
        return shown.bar(percent, f"{correction.trades_done:,} of {correction.trades_count:,}")

    @admin.display(description="Customers who can't pay back yet")
    def waiting(self, correction: Correction) -> str:
        links = [
            shown.link("accounts_customer", one, shown.short_guid(one)) for one in correction.waits_for[:MOST_NAMED]
        ]
        more = len(correction.waits_for) - len(links)
        named = format_html_join(", ", "{}", ((link,) for link in links))
        return format_html("{} and {} more", named, more) if more > 0 else named or shown.NOTHING

    @admin.display(description="Movements")
    @asked_once
    def movements(self, correction: Correction) -> str:
        return movements_of_correction(correction)

    @action(
        description="Propose adjustment",
        icon="add_card",
        variant=ActionVariant.PRIMARY,
        permissions=["propose"],
        dialog=dialog(*ASK_ADJUSTMENT, AnybodysAdjustmentForm),
    )
    def propose_adjustment(self, request: HttpRequest, form: AnybodysAdjustmentForm) -> HttpResponse:
        return adjust(request, form.cleaned_data["customer"], form.cleaned_data, LIST)

    @action(
        description="Apply",
        icon="verified",
        variant=ActionVariant.SUCCESS,
        permissions=["decide"],
        dialog=dialog(
            "Apply this correction?",
            "Its movements are made now, all of them or none; a large batch goes on by itself. Whoever proposed it"
            " can't apply it.",
            "Apply",
            ApplyForm,
        ),
    )
    def apply(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return _decided(request, object_id, _applied, _told)

    @action(
        description="Reject",
        icon="block",
        variant=ActionVariant.DANGER,
        permissions=["reject"],
        dialog=dialog("Reject this correction?", "Nothing moves. Its maker withdraws it this way.", "Reject"),
    )
    def reject(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        withdraws_or(request, "apply_correction", Correction, id_in(object_id))
        return _decided(request, object_id, decide.reject, lambda made: "The correction is rejected; nothing moved.")

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        correction = self.get_object(request, str(object_id))  # None for an id that names nothing
        is_open = correction is not None and correction.state == CorrectionState.PROPOSED
        offered = super().get_actions_detail(request, object_id) if is_open else []
        maker = correction.made_by_id if correction else None
        return open_to(request, maker, "apply_correction", offered, decide="apply", refuse="reject")


def _applied(correction_id: UUID, *, by: Actor, at: datetime) -> Correction:
    """Apply it; of a batch's reversal as many slices as a click may last for, at least one."""
    until = time.monotonic() + APPLY_SECONDS
    if decide.apply(correction_id, by=by, at=at).state == CorrectionState.APPLYING:
        while not carry_on_once(correction_id, at=clock.firm_now()).is_done and time.monotonic() < until:
            pass
    return Correction.objects.get(pk=correction_id)


def _told(made: Correction) -> str:
    if made.state == CorrectionState.APPLIED:
        return f"Applied: {made.movements_count:,} movements."
    done = f"{made.trades_done:,} of {made.trades_count:,} trades are taken back"
    if made.waits_for:
        return f"{done}; {len(made.waits_for):,} customers can't pay back yet and are tried again."
    return f"{done}; the workers do the rest."


def _decided(
    request: HttpRequest, object_id: str, decides: Callable[..., Correction], told: Callable[[Correction], str]
) -> HttpResponse:
    """Decide; whoever answers the dialog a second time is told what they did the first time."""
    correction_id = id_in(object_id)
    wanted = [CorrectionState.REJECTED] if decides is decide.reject else CARRIED_OUT
    mine = Correction.objects.filter(pk=correction_id, state__in=wanted, checked_by=request.user.pk)
    return carried_out(
        request,
        lambda: decided_once(
            lambda: decides(correction_id, by=actor(request), at=clock.firm_now()), AlreadyDecided, mine
        ),
        told,
        PAGE,
        correction_id,
    )
