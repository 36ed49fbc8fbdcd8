"""Settlement instructions and the files in which they were handed out."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.html import format_html
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm
from unfold.widgets import (
    UnfoldAdminDateWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from accounts import clock
from accounts.admin import shown
from accounts.admin.base import ReadOnlyAdmin, ReadOnlyInline, may, names_in
from accounts.admin.dialogs import DialogForm, ReasonForm, actor, carried_out, dialog, id_in
from accounts.kept import Kept
from accounts.models import Asset
from trades.models import InstructionLeg, Payment, PaymentFile, SettlementInstruction
from trades.settlement.instructions import files, moves
from trades.settlement.instructions.ending import is_at_the_bank
from trades.states import InstructionState

STATES = {"made": "warning", "sent": "info", "confirmed": "success", "failed": "danger", "cancelled": ""}
MAY_BE_PAID = {"may still be paid": "danger"}
PAGE = "admin:trades_settlementinstruction_change"
FILES = "admin:trades_paymentfile_changelist"
OFFERED = {InstructionState.MADE: ("send", "fail", "cancel"), InstructionState.SENT: ("fail",)}

_assets = Kept(lambda: Asset.objects.in_bulk())


class FileForm(DialogForm):
    day = forms.DateField(label="Value date", widget=UnfoldAdminDateWidget)
    format = forms.ChoiceField(choices=PaymentFile.Format.choices, widget=UnfoldAdminSelectWidget)


class CancelForm(ReasonForm):
    reason = forms.CharField(max_length=moves.LONGEST_NOTE, widget=UnfoldAdminTextInputWidget)


class FailForm(CancelForm):
    """Of what the bank has it asks whether that may still be paid."""

    stopped = forms.BooleanField(
        label="The bank has refused or stopped it",
        widget=UnfoldBooleanWidget,
        help_text="It was sent and may still be paid: another one for the same money would be paid, too.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        one = SettlementInstruction.objects.filter(pk=id_in(self.object_id)).first()
        if one is None:
            raise Http404
        if not (one.may_be_paid or is_at_the_bank(one)):
            del self.fields["stopped"]


class LineColumns:
    """How a leg's line in an instruction is shown, below either of the two."""

    @admin.display(description="Amount")
    def amount_shown(self, line: InstructionLeg) -> str:
        return shown.amount(line.amount, line.instruction.asset)

    @admin.display(description="Told to the leg")
    def reported_shown(self, line: InstructionLeg) -> str:
        return shown.amount(line.reported, line.instruction.asset)

    @admin.display(description="Carried forward to")
    def carried_to_link(self, line: InstructionLeg) -> str:
        return shown.link("trades_settlementleg", line.carried_to_id, shown.short_guid(line.carried_to_id))


class LegInline(LineColumns, ReadOnlyInline):
    model = InstructionLeg
    fields = readonly_fields = ("leg_link", "direction", "amount_shown", "reported_shown", "carried_to_link", "is_live")
    related = ("leg", "instruction__asset")

    @admin.display(description="Leg")
    def leg_link(self, line: InstructionLeg) -> str:
        return shown.link("trades_settlementleg", line.leg_id, shown.short_guid(line.leg_id))


@admin.register(SettlementInstruction)
class SettlementInstructionAdmin(ReadOnlyAdmin):
    list_display = (
        "reference",
        "value_date_shown",
        "counterparty",
        "direction",
        "amount_shown",
        "confirmed_shown",
        "state_label",
    )
    list_filter = ("state", "may_be_paid", "direction", "asset", "counterparty")
    related = ("asset", "counterparty", "standing", "made_by", "made_by_client")
    search_guids = ("pk", "batch")
    search_texts = ("reference",)
    inlines = (LegInline,)
    fieldsets = (
        (
            None,
            {"fields": (("reference", "state_label"), ("counterparty", "goes_to"), ("direction", "value_date_shown"))},
        ),
        ("Amounts", {"fields": (("amount_shown", "confirmed_shown"),)}),
        ("Where it stands", {"fields": (("batch_link", "file_link"), ("note",), ("maker", "made_when"))}),
    )
    readonly_fields = names_in(fieldsets)
    actions_list = ("make_file",)
    actions_detail = ("send", "fail", "cancel")
    has_send_permission = may("handle_instruction")
    has_make_file_permission = may("make_payment_file")

    @admin.display(description="Value date", ordering="value_date")
    def value_date_shown(self, one: SettlementInstruction) -> str:
        return shown.day(one.value_date)

    @admin.display(description="Amount")
    def amount_shown(self, one: SettlementInstruction) -> str:
        return shown.amount(one.amount, one.asset)

    @admin.display(description="Confirmed")
    def confirmed_shown(self, one: SettlementInstruction) -> str:
        return shown.amount(one.confirmed_amount, one.asset)

    @admin.display(description="State")
    def state_label(self, one: SettlementInstruction) -> str:
        may_be_paid = shown.chip("may still be paid", MAY_BE_PAID) if one.may_be_paid else ""
        return format_html("{} {}", shown.chip(one.state, STATES), may_be_paid)

    @admin.display(description="Goes to")
    def goes_to(self, one: SettlementInstruction) -> str:
        return shown.link("trades_standinginstruction", one.standing_id, one.standing)

    @admin.display(description="Batch")
    def batch_link(self, one: SettlementInstruction) -> str:
        return shown.link("trades_settlementbatch", one.batch_id, shown.short_guid(one.batch_id))

    @admin.display(description="Payment file")
    def file_link(self, one: SettlementInstruction) -> str:
        return shown.link("trades_paymentfile", one.payment_file_id, "the file")

    @admin.display(description="Made by")
    def maker(self, one: SettlementInstruction) -> str:
        return shown.who(one.made_by, one.made_by_client)

    @admin.display(description="Made at")
    def made_when(self, one: SettlementInstruction) -> str:
        return shown.timestamp(one.made_at)

    @action(
        description="Make a payment file",
        icon="description",
        variant=ActionVariant.PRIMARY,
        permissions=["make_file"],
        dialog=dialog(
            "Make a payment file?",
            "It holds what is outgoing on that value date and in no file yet; from then on that is sent. A pain.001 has"
            " bank payments alone, a CSV wallets, too.",
            "Make it",
            FileForm,
        ),
    )
    def make_file(self, request: HttpRequest, form: FileForm) -> HttpResponse:
        given = form.cleaned_data
        return carried_out(
            request,
            lambda: files.make_file(given["format"], day=given["day"], by=actor(request), at=clock.firm_now()),
            lambda made: f"The file {made.message_id} is made: {made.instructions_count} instructions.",
            FILES,
        )

    @action(
        description="It was sent",
        icon="send",
        permissions=["send"],
        dialog=dialog("Was it sent?", "Given to the bank by another way than a file. No file will hold it.", "Sent"),
    )
    def send(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        found = id_in(object_id)
        return carried_out(request, lambda: moves.send(found, at=clock.firm_now()), "It is sent.", PAGE, found)

    @action(
        description="It failed",
        icon="error",
        variant=ActionVariant.DANGER,
        permissions=["send"],
        dialog=dialog(
            "Did it fail?",
            "It won't be carried out any more. Its legs failed with it, and wait for another instruction.",
            "Failed",
            FailForm,
        ),
    )
    def fail(self, request: HttpRequest, form: FailForm, object_id: str) -> HttpResponse:
        found, given, by = id_in(object_id), form.cleaned_data, actor(request)
        return carried_out(
            request,
            lambda: moves.fail(
                found, note=given["reason"], by=by, at=clock.firm_now(), is_stopped=given.get("stopped", False)
            ),
            "It failed, and won't be paid.",
            PAGE,
            found,
        )

    @action(
        description="Cancel",
        icon="block",
        variant=ActionVariant.DANGER,
        permissions=["send"],
        dialog=dialog(
            "Cancel it?", "It wasn't sent yet. Its legs wait for another instruction.", "Cancel it", CancelForm
        ),
    )
    def cancel(self, request: HttpRequest, form: CancelForm, object_id: str) -> HttpResponse:
        found, note = id_in(object_id), form.cleaned_data["reason"]
        return carried_out(
            request, lambda: moves.cancel(found, note=note, at=clock.firm_now()), "It is cancelled.", PAGE, found
        )

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        one = self.get_object(request, str(object_id))  # None for an id that names nothing
        offered = ("fail",) if one and one.may_be_paid else OFFERED.get(InstructionState(one.state), ()) if one else ()
        return [each for each in super().get_actions_detail(request, object_id) if each.action_name.endswith(offered)]


@admin.register(PaymentFile)
class PaymentFileAdmin(ReadOnlyAdmin):
    list_display = ("message_id", "format", "repeat", "instructions_count", "sums", "made_when")
    list_filter = ("format",)
    related = ("made_by",)
    search_guids = ("pk",)
    search_texts = ("message_id", "sha256")
    fieldsets = (
        (None, {"fields": (("message_id", "format"), ("instructions_count", "repeat"), ("sums", "hash_shown"))}),
        ("Made", {"fields": (("maker", "made_when"), ("held",))}),
    )
    readonly_fields = names_in(fieldsets)
    actions_detail = ("download",)
    exclude = ("content",)
    has_download_permission = may("make_payment_file")

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("content")

    @admin.display(description="Repeat", boolean=True)
    def repeat(self, made: PaymentFile) -> bool:
        return made.repeat_of_id is not None

    @admin.display(description="Control sums")
    def sums(self, made: PaymentFile) -> str:
        assets = _assets.get(1.0)  # not for each row
        return ", ".join(shown.amount_text(int(sum_), assets[code]) for code, sum_ in made.control_sums.items())

    @admin.display(description="SHA-256")
    def hash_shown(self, made: PaymentFile) -> str:
        return shown.long(made.sha256)

    @admin.display(description="Holds")
    def held(self, made: PaymentFile) -> str:
        first = made.repeat_of_id or made.pk
        query = {"payment_file__id__exact": first}
        if Payment.objects.filter(payment_file=first).exists():
            return shown.list_link("trades_payment", query, "its payouts")
        return shown.list_link("trades_settlementinstruction", query, "its instructions")

    @admin.display(description="Made by")
    def maker(self, made: PaymentFile) -> str:
        return shown.who(made.made_by)

    @admin.display(description="Made at")
    def made_when(self, made: PaymentFile) -> str:
        return shown.timestamp(made.made_at)

    @action(description="Download", icon="download", permissions=["download"])
    def download(self, request: HttpRequest, object_id: str) -> HttpResponse:
        made = PaymentFile.objects.filter(pk=id_in(object_id)).first()
        if made is None:
            raise Http404
        kind = "application/xml" if made.format == PaymentFile.Format.PAIN001 else "text/csv; charset=utf-8"
        headers = {"Content-Disposition": f'attachment; filename="{files.name_of(made)}"'}
        return HttpResponse(bytes(made.content), content_type=kind, headers=headers)
