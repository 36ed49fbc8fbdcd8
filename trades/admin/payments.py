"""Payments with their steps and their money."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.html import format_html
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget, UnfoldBooleanWidget

from accounts import clock
from accounts.admin import shown
from accounts.admin.base import ReadOnlyAdmin, ReadOnlyInline, asked_once, may, names_in
from accounts.admin.by_day import MadeFilter
from accounts.admin.dialogs import DialogForm, FreshCodeForm, ReasonAndReferenceForm, actor, carried_out, dialog, id_in
from accounts.admin.numbers import amount_field
from accounts.identity import Actor
from accounts.services import base_units
from accounts.services.funding import LONGEST_REFERENCE
from trades.admin.foreseen import dialog_shown, would_move
from trades.admin.movements import movements_of
from trades.corrections.payment_return import moved, return_of
from trades.corrections.propose import propose_payment_return
from trades.errors import PaymentNotFound
from trades.models import Correction, Payment, PaymentEvent, PaymentFile
from trades.payments import files, manual, payouts, second_person
from trades.states import PAYMENTS_UNDER_WAY, CorrectionState, PaymentState

STATES = {
    "storing": "info",
    "pending": "info",
    "settling": "warning",
    "completed": "success",
    "failed": "danger",
    "returned": "warning",
}


PAGE = "admin:trades_payment_change"
FILES = "admin:trades_paymentfile_changelist"


class FileForm(DialogForm):
    format = forms.ChoiceField(choices=PaymentFile.Format.choices, widget=UnfoldAdminSelectWidget)


class RefuseForm(DialogForm):
    """Of what a bank was told it asks whether that may still be paid."""

    stopped = forms.BooleanField(
        label="The bank has refused or stopped it",
        widget=UnfoldBooleanWidget,
        help_text="It was sent and may still be paid: what is given back then would be paid twice.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        payment = Payment.objects.filter(pk=id_in(self.object_id)).first()
        if payment is None:
            raise Http404
        if payment.payment_file_id is None:
            del self.fields["stopped"]


class AgreeForm(FreshCodeForm):
    """Shows whose payment it is, who agreed first, and what agreeing would move: the same code, rolled back."""

    def render_before_template(self) -> str:
        found = Payment.objects.select_related("customer", "asset", "made_by", "stopped_by")
        payment = found.filter(pk=id_in(self.object_id)).first()
        if payment is None or payment.state not in PAYMENTS_UNDER_WAY:
            return ""
        facts = [
            ("First", shown.who(payment.stopped_by or payment.made_by, otherwise=shown.NOTHING)),
            ("Customer", str(payment.customer)),
            ("What", payment.side),
        ]
        moves = would_move(self.request, payment, second_person.agree)
        return dialog_shown([format_html("{}", shown.table(("", ""), facts, "")), moves])


class ReferenceForm(FreshCodeForm):
    reference = forms.CharField(
        max_length=LONGEST_REFERENCE,
        widget=UnfoldAdminTextInputWidget,
        help_text="The bank's or the provider's own name of the movement. It is used once.",
    )


class ReturnForm(ReasonAndReferenceForm, FreshCodeForm):
    """What came back, under which reference, and why."""

    amount = amount_field(
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text="In units of the asset, e.g. 25.00. Empty: all that had moved.",
    )
    reference = forms.CharField(
        max_length=LONGEST_REFERENCE,
        widget=UnfoldAdminTextInputWidget,
        help_text="The bank's or the provider's own name of what came back. It is used once.",
    )
    field_order: Any = ("reference", "amount", "reason")


class PaymentEventInline(ReadOnlyInline):
    model = PaymentEvent
    fields = readonly_fields = ("when", "became_label", "detail", "who")
    related = ("by", "by_client")

    @admin.display(description="At")
    def when(self, event: PaymentEvent) -> str:
        return shown.timestamp(event.at)

    @admin.display(description="Became")
    def became_label(self, event: PaymentEvent) -> str:
        return shown.chip(event.became, STATES)

    @admin.display(description="By")
    def who(self, event: PaymentEvent) -> str:
        return shown.who(event.by, event.by_client)


@admin.register(Payment)
class PaymentAdmin(ReadOnlyAdmin):
    list_display = (
        "short_guid",
        "customer_name",
        "type",
        "side",
        "state_label",
        "delivered_shown",
        "received_shown",
        "fee_shown",
        "rail",
        "reference",
        "remittance_reference",
        "created",
    )
    list_filter = ("state", "type", "side", "rail", "asset", "failure_code", MadeFilter)
    sortable_by = ("created",)
    related = ("customer", "destination", "asset", "made_by", "checked_by", "external_bank_account", "payment_file")
    search_guids = ("pk", "quote_id", "customer_id", "destination_id")
    search_texts = ("reference", "remittance_reference", "external_id")
    search_customer = "customer_id"
    inlines = (PaymentEventInline,)
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("guid", "state_label"),
                    ("customer_name", "type", "side"),
                    "destination_name",
                    ("delivered_shown", "received_shown", "fee_shown"),
                    ("rail", "reference", "failure_code"),
                    ("remittance_reference", "bank_account_link", "holder", "file_link"),
                    ("said_by", "agreed_by", "needs_checker"),
                    ("stopped_says", "stop_agreed"),
                    ("labels_shown", "external_id", "expected_error"),
                )
            },
        ),
        ("Money", {"fields": ("movements",)}),
        ("Bookkeeping", {"fields": (("created", "updated", "quote_shown"),)}),
    )
    readonly_fields = names_in(fieldsets)

    actions_list = ("make_file",)
    actions_detail = ("confirm", "approve", "agree", "refuse", "came_back")
    has_decide_permission = may("handle_payment")
    has_agree_permission = may("agree_to_payment")
    has_make_file_permission = may("make_payment_file")

    @admin.display(description="Payment")
    def short_guid(self, payment: Payment) -> str:
        return shown.short_guid(payment.pk)

    @admin.display(description="Guid")
    def guid(self, payment: Payment) -> str:
        return shown.guid(payment.pk)

    @admin.display(description="Customer")
    def customer_name(self, payment: Payment) -> str:
        return shown.customer_link(payment.customer)

    @admin.display(description="To")
    def destination_name(self, payment: Payment) -> str:
        return shown.customer_link(payment.destination) if payment.destination else shown.NOTHING

    @admin.display(description="State")
    def state_label(self, payment: Payment) -> str:
        return shown.chip(payment.state, STATES, payment.get_failure_code_display() or "")

    @admin.display(description="Delivers")
    def delivered_shown(self, payment: Payment) -> str:
        return shown.amount(payment.deliver_amount, payment.asset)

    @admin.display(description="Receives")
    def received_shown(self, payment: Payment) -> str:
        return shown.amount(payment.receive_amount, payment.asset)

    @admin.display(description="Fee")
    def fee_shown(self, payment: Payment) -> str:
        return shown.amount(payment.fee, payment.asset)

    @admin.display(description="Bank account")
    def bank_account_link(self, payment: Payment) -> str:
        account = payment.external_bank_account
        return shown.link("accounts_externalbankaccount", payment.external_bank_account_id, account)

    @admin.display(description="Held by")
    def holder(self, payment: Payment) -> str:
        """Beside the customer's name, for whoever approves."""
        account = payment.external_bank_account
        return account.holder if account and account.holder else shown.NOTHING

    @admin.display(description="Payment file")
    def file_link(self, payment: Payment) -> str:
        return shown.link("trades_paymentfile", payment.payment_file_id, "the file")

    @admin.display(description="Moved, or may go, says")
    def said_by(self, payment: Payment) -> str:
        return shown.who(payment.made_by, otherwise=shown.NOTHING)

    @admin.display(description="Agreed")
    def agreed_by(self, payment: Payment) -> str:
        return shown.who(payment.checked_by, otherwise=shown.NOTHING)

    @admin.display(description="Stopped at the bank, says")
    def stopped_says(self, payment: Payment) -> str:
        return shown.who(payment.stopped_by, otherwise=shown.NOTHING)

    @admin.display(description="Stopped, agreed")
    def stop_agreed(self, payment: Payment) -> str:
        return shown.who(payment.stop_checked_by, otherwise=shown.NOTHING)

    @admin.display(description="Labels")
    def labels_shown(self, payment: Payment) -> str:
        return ", ".join(payment.labels or ()) or shown.NOTHING

    @admin.display(description="Movements")
    @asked_once
    def movements(self, payment: Payment) -> str:
        return movements_of(payment.customer_id, payment.pk, payment.destination_id)

    @admin.display(description="Quote")
    def quote_shown(self, payment: Payment) -> str:
        return shown.link("quotes_quote", payment.quote_id, shown.short_guid(payment.quote_id))

    @admin.display(description="Created", ordering="pk")
    def created(self, payment: Payment) -> str:
        return shown.timestamp(payment.created_at)

    @admin.display(description="Last step")
    def updated(self, payment: Payment) -> str:
        return shown.timestamp(payment.updated_at)

    @action(
        description="Confirm",
        icon="check",
        variant=ActionVariant.SUCCESS,
        permissions=["decide"],
        dialog=dialog(
            "Has the money moved?",
            "Within the asset's limit the payment completes at once; above it somebody else agrees first.",
            "It has moved",
            ReferenceForm,
        ),
    )
    def confirm(self, request: HttpRequest, form: ReferenceForm, object_id: str) -> HttpResponse:
        payment_id, reference = id_in(object_id), form.cleaned_data["reference"]
        return carried_out(
            request,
            lambda: manual.confirm(payment_id, reference=reference, by=actor(request), at=clock.firm_now()),
            _told,
            PAGE,
            payment_id,
        )

    @action(
        description="Make a payment file",
        icon="description",
        variant=ActionVariant.PRIMARY,
        permissions=["make_file"],
        dialog=dialog(
            "Make a payment file?",
            "It holds the approved payouts that wait; from then on they are sent, and may be paid.",
            "Make it",
            FileForm,
        ),
    )
    def make_file(self, request: HttpRequest, form: FileForm) -> HttpResponse:
        form_ = form.cleaned_data["format"]
        return carried_out(
            request, lambda: files.make_file(form_, by=actor(request), at=clock.firm_now()), _told_of_file, FILES
        )

    @action(
        description="Approve",
        icon="check",
        variant=ActionVariant.SUCCESS,
        permissions=["decide"],
        dialog=dialog(
            "May it be paid out?",
            "Compare the bank account's holder with the customer. Within the asset's limit it goes into the next"
            " payment file; above it somebody else agrees first.",
            "Approve",
            FreshCodeForm,
        ),
    )
    def approve(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        payment_id = id_in(object_id)
        return carried_out(
            request,
            lambda: payouts.approve(payment_id, by=actor(request), at=clock.firm_now()),
            _told,
            PAGE,
            payment_id,
        )

    @action(
        description="Agree",
        icon="done_all",
        variant=ActionVariant.SUCCESS,
        permissions=["agree"],
        dialog=dialog(
            "Do you agree?",
            "That the money has moved, as they say: the payment completes. Or that a payout may be paid: it goes into"
            " the next payment file. Or that the bank has stopped it: what was held is given back.",
            "I agree",
            AgreeForm,
        ),
    )
    def agree(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        payment_id = id_in(object_id)
        return carried_out(
            request,
            lambda: second_person.agree(payment_id, by=actor(request), at=clock.firm_now()),
            _told,
            PAGE,
            payment_id,
        )

    @action(
        description="Refuse",
        icon="block",
        variant=ActionVariant.DANGER,
        permissions=["decide"],
        dialog=dialog("Refuse this payment?", "It fails, and what was held is given back.", "Refuse", RefuseForm),
    )
    def refuse(self, request: HttpRequest, form: RefuseForm, object_id: str) -> HttpResponse:
        payment_id, is_stopped = id_in(object_id), form.cleaned_data.get("stopped", False)
        return carried_out(
            request,
            lambda: manual.refuse(payment_id, by=actor(request), at=clock.firm_now(), is_stopped=is_stopped),
            _told,
            PAGE,
            payment_id,
        )

    @action(
        description="Came back",
        icon="undo",
        variant=ActionVariant.WARNING,
        permissions=["decide"],
        dialog=dialog(
            "Has the money come back?",
            "A deposit that the bank took away again, or a payout that came back. Within the asset's limit it is booked"
            " at once; above it, and where the customer can't pay it, a second person applies it under Corrections.",
            "It came back",
            ReturnForm,
        ),
    )
    def came_back(self, request: HttpRequest, form: ReturnForm, object_id: str) -> HttpResponse:
        payment_id, given = id_in(object_id), form.cleaned_data
        return carried_out(
            request,
            lambda: _returned(payment_id, given, actor(request)),
            lambda made: (
                "It is booked."
                if made.state == CorrectionState.APPLIED
                else "It is proposed; a second person applies it under Corrections."
            ),
            PAGE,
            payment_id,
        )

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        payment = self.get_object(request, str(object_id))  # None for an id that names nothing
        offered = _offered(payment) if payment else ()
        if payment and request.user.pk == (payment.stopped_by_id or payment.made_by_id):
            offered = tuple(name for name in offered if name != "payment_agree")
        return [one for one in super().get_actions_detail(request, object_id) if one.action_name.endswith(offered)]


def _told_of_file(made: files.Made) -> str:
    told = f"The file {made.file.message_id} is made: {made.file.instructions_count} payouts."
    held_up = ", ".join(payment.remittance_reference for payment in made.passed_over)
    return f"{told} Not in it, though approved: {held_up}." if held_up else told


def _told(payment: Payment) -> str:
    if payment.goes_by_file and payment.state == PaymentState.PENDING:
        return "It is approved." if payment.is_approved else "It is noted; a second person agrees before it is paid."
    if payment.goes_by_file and payment.state == PaymentState.SETTLING:
        return "It is noted; a second person agrees that the bank has stopped it before what was held is given back."
    if payment.state == PaymentState.SETTLING:
        return "It is noted; a second person agrees before it completes."
    return f"The payment is {payment.state}."


def _returned(payment_id: UUID, given: dict[str, Any], by: Actor) -> Correction:
    payment = Payment.objects.filter(pk=payment_id).first()
    if payment is None:
        raise PaymentNotFound
    amount = base_units(payment.asset_id, given["amount"]) if given["amount"] else moved(payment)
    return propose_payment_return(
        payment_id,
        amount,
        reference=given["reference"],
        reason=given["reason"],
        by=by,
        at=clock.firm_now(),
        once=given["once"],
    )


def _offered(payment: Payment) -> tuple[str, ...]:
    """What the buttons are; what each really may do is decided by the service."""
    if payment.state == PaymentState.COMPLETED and not payment.is_book:
        return () if return_of(payment.pk) else ("payment_came_back",)
    if payment.rail not in (Payment.Rail.MANUAL, Payment.Rail.BANK_FILE):
        return ()
    if payment.goes_by_file:
        return _offered_of_payout(payment)
    if payment.rail == Payment.Rail.BANK_FILE and payment.state != PaymentState.SETTLING:
        return ("payment_refuse",) if payment.state in PAYMENTS_UNDER_WAY else ()
    return {
        PaymentState.STORING.value: ("payment_confirm", "payment_refuse"),
        PaymentState.PENDING.value: ("payment_confirm", "payment_refuse"),
        PaymentState.SETTLING.value: ("payment_agree", "payment_refuse"),
    }.get(payment.state, ())


def _offered_of_payout(payment: Payment) -> tuple[str, ...]:
    if payment.state != PaymentState.PENDING:
        does = "payment_agree" if payment.stopped_by_id else "payment_refuse"
        return (does,) if payment.state in PAYMENTS_UNDER_WAY else ()
    return ("payment_agree" if payment.made_by_id else "payment_approve", "payment_refuse")
