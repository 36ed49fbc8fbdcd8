"""Banks' statements: uploaded with a look at what importing would do, and the entries that a person has to look at."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Sum
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminFileFieldWidget, UnfoldAdminTextInputWidget

from accounts import clock
from accounts.admin import shown
from accounts.admin.base import ReadOnlyAdmin, asked_once, may, names_in
from accounts.admin.dialogs import DialogForm, ReasonForm, actor, carried_out, dialog, id_in
from accounts.errors import Refusal
from accounts.ids import pasted_guid
from accounts.models import Asset
from trades.bank.entries import MOST_BYTES
from trades.bank.references import is_of_a_payment
from trades.models import StatementEntry, StatementFile
from trades.payments import preview, release, statements
from trades.payments.matching import REASONS, became, waits_for_a_person
from trades.settlement.instructions import statements as entries
from trades.settlement.instructions.statements import Imported

STATES = {"listed": "warning", "matched": "success", "explained": "", "send_back": "info"}
PAGE, LIST = "admin:trades_statemententry_change", "admin:trades_statementfile_changelist"
ENTRIES = "admin:trades_statemententry_changelist"
MOST_SHOWN = 200
LINKS = ("instruction_link", "payment_link")


class UploadForm(forms.Form):
    statement = forms.FileField(
        widget=UnfoldAdminFileFieldWidget, help_text="camt.053, version 2 to 14, or CSV with the columns of the manual."
    )

    def clean_statement(self) -> Any:
        given = self.cleaned_data["statement"]
        if given.size is None or given.size > MOST_BYTES:
            raise forms.ValidationError(f"A statement has at most {MOST_BYTES:,} bytes.")
        return given


class ReleaseForm(DialogForm):
    sha256 = forms.CharField(
        label="SHA-256",
        max_length=64,
        widget=UnfoldAdminTextInputWidget,
        help_text="Of the file as you got it from the bank yourself.",
    )


class MatchForm(ReasonForm):
    reference = forms.CharField(
        label="Instruction, payment or customer",
        max_length=36,
        widget=UnfoldAdminTextInputWidget,
        help_text="An instruction's id, SI…; a payment's, RF…; or the guid of the customer for whom it came in.",
    )
    field_order = ("reference", "reason")


@admin.register(StatementFile)
class StatementFileAdmin(ReadOnlyAdmin):
    list_display = ("name", "format", "entries_count", "entries", "maker", "made_when", "releaser")
    list_filter = ("format",)
    related = ("made_by", "made_by_client", "release__released_by")
    search_guids = ("pk",)
    search_texts = ("sha256", "name")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("name", "format"),
                    ("entries_count", "entries"),
                    ("hash_shown",),
                    ("maker", "made_when"),
                    ("releaser", "released_when"),
                    ("sums",),
                )
            },
        ),
    )
    readonly_fields = names_in(fieldsets)
    actions_list = ("upload",)
    actions_detail = ("release",)
    has_upload_permission = may("trades.add_statementfile")
    has_release_permission = may("trades.change_payment")

    @admin.display(description="Entries")
    def entries(self, one: StatementFile) -> str:
        return shown.list_link("trades_statemententry", {"file__id__exact": one.pk}, "its new entries")

    @admin.display(description="SHA-256")
    def hash_shown(self, one: StatementFile) -> str:
        return shown.long(one.sha256)

    @admin.display(description="Imported by")
    def maker(self, one: StatementFile) -> str:
        return shown.who(one.made_by, one.made_by_client)

    @admin.display(description="Imported at")
    def made_when(self, one: StatementFile) -> str:
        return shown.timestamp(one.made_at)

    @admin.display(description="Released by")
    def releaser(self, one: StatementFile) -> str:
        """Nobody, too, where it was imported before anybody could."""
        said = getattr(one, "release", None)
        return shown.who(said.released_by, otherwise=shown.NOTHING) if said else shown.NOTHING

    @admin.display(description="Released at")
    def released_when(self, one: StatementFile) -> str:
        said = getattr(one, "release", None)
        return shown.timestamp(said.released_at) if said and said.released_by_id else shown.NOTHING

    @admin.display(description="What its new entries come to")
    @asked_once
    def sums(self, one: StatementFile) -> str:
        """For whoever compares it with the bank's own."""
        of_each = one.entries.filter(asset__isnull=False, amount__isnull=False).order_by("asset", "direction")
        counted = of_each.values_list("asset", "direction").annotate(Count("pk"), Sum("amount"))
        assets = Asset.objects.in_bulk()
        rows = [(asset, way, count, shown.amount(total, assets[asset])) for asset, way, count, total in counted]
        return shown.table(("Asset", "Direction", "Entries", "Sum"), rows, "Nothing in it was new.")

    @action(
        description="Release",
        icon="done_all",
        variant=ActionVariant.SUCCESS,
        permissions=["release"],
        dialog=dialog(
            "Is it the bank's?",
            "Get the statement from the bank yourself, and give that file's SHA-256. The deposits that it names are"
            " completed then, however large.",
            "It is the bank's",
            ReleaseForm,
        ),
    )
    def release(self, request: HttpRequest, form: ReleaseForm, object_id: str) -> HttpResponse:
        file_id, by = id_in(object_id), actor(request)
        given = form.cleaned_data["sha256"]
        return carried_out(
            request,
            lambda: release.release(given, of=file_id, by=by, at=clock.firm_now()),
            _told_of_release,
            "admin:trades_statementfile_change",
            file_id,
        )

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        one = self.get_object(request, str(object_id))  # None for an id that names nothing
        return super().get_actions_detail(request, object_id) if one and not hasattr(one, "release") else []

    @action(description="Import a statement", icon="upload_file", variant=ActionVariant.PRIMARY, permissions=["upload"])
    def upload(self, request: HttpRequest) -> HttpResponse:
        """A form; with *Preview* what importing would do, with *Import* what it did."""
        if not self.has_upload_permission(request):
            raise PermissionDenied
        form = UploadForm(request.POST or None, request.FILES or None)
        found = None
        if request.method == "POST" and form.is_valid():
            given = form.cleaned_data["statement"]
            does = statements.import_statement if "import" in request.POST else preview.preview_statement
            try:
                found = does(given.read(), name=str(given.name), by=actor(request), at=clock.firm_now())
            except Refusal as refusal:
                messages.error(request, refusal.text)
            if found is not None and "import" in request.POST:
                messages.success(request, told(found))
                return HttpResponseRedirect(reverse(ENTRIES if found.in_state("listed") else LIST))
        context = {
            **self.admin_site.each_context(request),
            "title": "Import a statement",
            "opts": self.model._meta,
            "form": form,
            "told": told(found) if found else "",
            "table": _table(found) if found else "",
        }
        return TemplateResponse(request, "admin/statement_upload.html", context)


@admin.register(StatementEntry)
class StatementEntryAdmin(ReadOnlyAdmin):
    """Those that are listed wait for a person."""

    list_display = (
        "booked_shown",
        "direction",
        "amount_shown",
        "told_reference",
        "state_label",
        "why",
        "instruction_link",
        "payment_link",
    )
    list_filter = ("state", "reason", "direction")
    related = ("asset", "instruction", "payment", "file", "decided_by", "decided_by_client")
    search_guids = ("pk", "file")
    search_texts = ("bank_reference", "named")
    fieldsets = (
        (None, {"fields": (("direction", "amount_shown"), ("account", "other_account"), ("booked_shown", "file"))}),
        ("What the bank says", {"fields": (("told_reference", "named"), ("said",))}),
        (
            "What became of it",
            {"fields": (("state_label", "why"), (*LINKS,), ("decider", "note"))},
        ),
    )
    readonly_fields = names_in(fieldsets)
    actions_detail = ("match", "send_back", "explain")
    has_decide_permission = may("trades.change_statemententry")

    @admin.display(description="Amount")
    def amount_shown(self, one: StatementEntry) -> str:
        if one.asset is None or one.amount is None:
            return f"{one.amount_text} {one.currency}"
        return shown.amount(one.amount, one.asset)

    @admin.display(description="Booked on", ordering="booked_on")
    def booked_shown(self, one: StatementEntry) -> str:
        return shown.day(one.booked_on)

    @admin.display(description="Bank reference")
    def told_reference(self, one: StatementEntry) -> str:
        return shown.long(one.bank_reference)

    @admin.display(description="Texts")
    def said(self, one: StatementEntry) -> str:
        return " · ".join(one.names) or shown.NOTHING

    @admin.display(description="State")
    def state_label(self, one: StatementEntry) -> str:
        return shown.chip(one.state, STATES)

    @admin.display(description="Why")
    def why(self, one: StatementEntry) -> str:
        return REASONS.get(one.reason, one.reason) or shown.NOTHING

    @admin.display(description="Instruction")
    def instruction_link(self, one: StatementEntry) -> str:
        """The one that it confirms; of what is listed the one that it names."""
        if one.instruction_id is None and one.named and not is_of_a_payment(one.named):
            return shown.list_link("trades_settlementinstruction", {"q": one.named}, one.named)
        return shown.link("trades_settlementinstruction", one.instruction_id, one.instruction)

    @admin.display(description="Payment")
    def payment_link(self, one: StatementEntry) -> str:
        """The one that it completes or returns; of what is listed the one that it names."""
        if one.payment is None and is_of_a_payment(one.named):
            return shown.list_link("trades_payment", {"q": one.named}, one.named)
        return shown.link("trades_payment", one.payment_id, one.payment and one.payment.remittance_reference)

    @admin.display(description="By")
    def decider(self, one: StatementEntry) -> str:
        return shown.who(one.decided_by, one.decided_by_client, otherwise=shown.NOTHING)

    @action(
        description="Match by hand",
        icon="link",
        variant=ActionVariant.PRIMARY,
        permissions=["decide"],
        dialog=dialog(
            "What is it?",
            "Asset, direction and amount must fit all the same; what you say is kept with your name. Above the asset's"
            " limit a second person agrees to a deposit, at the payment.",
            "Match",
            MatchForm,
        ),
    )
    def match(self, request: HttpRequest, form: MatchForm, object_id: str) -> HttpResponse:
        found, given, by = id_in(object_id), form.cleaned_data, actor(request)
        to = given["reference"]
        return carried_out(
            request,
            lambda: statements.assign(found, pasted_guid(to) or to, note=given["reason"], by=by, at=clock.firm_now()),
            "The entry is matched.",
            PAGE,
            found,
        )

    @action(
        description="To be sent back",
        icon="undo",
        permissions=["decide"],
        dialog=dialog(
            "Is it to be sent back?",
            "It came in, and is nobody's here. No money moves: send it back at the bank.",
            "To be sent back",
            ReasonForm,
        ),
    )
    def send_back(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        found, note, by = id_in(object_id), form.cleaned_data["reason"], actor(request)
        return carried_out(
            request,
            lambda: statements.mark_to_send_back(found, note=note, by=by, at=clock.firm_now()),
            "The entry is marked.",
            PAGE,
            found,
        )

    @action(
        description="Explain",
        icon="lightbulb",
        permissions=["decide"],
        dialog=dialog(
            "What was it?", "It belongs to nothing here: a fee, interest. No money moves.", "Explain", ReasonForm
        ),
    )
    def explain(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        found, note, by = id_in(object_id), form.cleaned_data["reason"], actor(request)
        return carried_out(
            request,
            lambda: entries.explain(found, note=note, by=by, at=clock.firm_now()),
            "The entry is explained.",
            PAGE,
            found,
        )

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        one = self.get_object(request, str(object_id))  # None for an id that names nothing
        is_listed = one is not None and one.state == StatementEntry.State.LISTED
        return super().get_actions_detail(request, object_id) if is_listed else []


def told(found: Imported) -> str:
    if found.is_known and not found.earlier:
        return "This file was imported before: nothing changes."
    counts = (len(found.in_state("matched")), len(found.in_state("listed")), found.known)
    waiting = sum(waits_for_a_person(one) for one in found.every)
    waits = f" {waiting} wait for a second person, who releases the statement or agrees to each." if waiting else ""
    return "{} matched, {} listed, {} known before.".format(*counts) + waits


def _told_of_release(done: release.Released) -> str:
    waits = f" {len(done.waiting)} wait all the same: agree to each, or refuse it." if done.waiting else ""
    return f"It is released: {done.completed} deposits completed.{waits}"


def _table(found: Imported) -> str:
    rows = [
        (
            one.number,
            one.direction,
            f"{one.amount_text} {one.currency}",
            one.bank_reference,
            one.state,
            became(one),
        )
        for one in found.every[:MOST_SHOWN]
    ]
    headers = ("Entry", "Direction", "Amount", "The bank's reference", "Becomes", "By, or why not")
    return shown.table(headers, rows, "Nothing in it is new.")
