"""Risk limits: set and lowered by one person at once, proposed to be raised, which a second one applies (Controls)."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from unfold.decorators import action
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from accounts.admin import shown
from accounts.admin.base import ReadOnlyAdmin, asked_once, may, names_in
from accounts.admin.dialogs import OwnKeyForm, ReasonForm, carried_out, dialog, id_in
from accounts.admin.numbers import PlainIntegerField
from trades import risk_limits
from trades.admin.controls import LIST as CONTROLS
from trades.admin.controls import propose_it
from trades.admin.order_events import account_currency
from trades.models import ControlChange, RiskLimit
from trades.reads.risk_limits import Use, all_of_them

LIST, PAGE = "admin:trades_risklimit_changelist", "admin:trades_risklimit_change"
HEADERS = ("Limit", "Of", "At the most", "Used", "%", "Most by")


def _amount(help_text: str = "In whole units of the account currency.", **how: Any) -> PlainIntegerField:
    return PlainIntegerField(
        min_value=0,
        max_value=risk_limits.HIGHEST,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text=help_text,
        **how,
    )


class PutForm(ReasonForm):
    kind = forms.ChoiceField(label="Limit", choices=RiskLimit.Kind.choices, widget=UnfoldAdminSelectWidget)
    of = forms.CharField(
        required=False,
        max_length=254,
        widget=UnfoldAdminTextInputWidget,
        help_text="A symbol, or a customer's guid or e-mail address; empty: of each.",
    )
    amount = _amount()
    field_order = ("kind", "of", "amount", "reason")


class LowerForm(ReasonForm):
    amount = _amount()
    field_order = ("amount", "reason")


class RaiseForm(OwnKeyForm, ReasonForm):
    amount = _amount("In whole units of the account currency; empty: no limit any more.", required=False)
    field_order = ("amount", "reason")


@admin.register(RiskLimit)
class RiskLimitAdmin(ReadOnlyAdmin):
    list_display = ("limit_link", "of", "amount_shown")
    list_filter = ("kind",)
    related = ("customer__user",)
    ordering = ("kind", "pk")
    search_guids = ("pk", "customer_id")
    search_texts = ("instrument_id",)
    fieldsets = ((None, {"fields": (("limit_link", "of"), ("amount_shown", "used_shown"))}),)
    readonly_fields = names_in(fieldsets)
    actions_list = ("put_limit",)
    actions_detail = ("lower_limit", "propose_raise")
    has_limit_permission = may("change_limit")

    @admin.display(description="Limit")
    def limit_link(self, one: RiskLimit) -> str:
        return shown.link("trades_risklimit", one.pk, one.get_kind_display())

    @admin.display(description="Of")
    def of(self, one: RiskLimit) -> str:
        return of_what(one)

    @admin.display(description="At the most")
    def amount_shown(self, one: RiskLimit) -> str:
        return shown.number(one.amount) if one.amount is not None else "no limit any more"

    @admin.display(description="Used")
    @asked_once
    def used_shown(self, one: RiskLimit) -> str:
        uses = [use for use in all_of_them() if use.limit.pk == one.pk]
        return percent_of(uses[0]) if uses else shown.NOTHING

    @action(
        description="Set a limit",
        icon="add",
        permissions=["limit"],
        dialog=dialog(
            "Set or lower a limit?",
            "It counts from the next order on; what is open stays open. To raise one takes two persons.",
            "Set it",
            PutForm,
        ),
    )
    def put_limit(self, request: HttpRequest, form: PutForm) -> HttpResponse:
        given = form.cleaned_data
        return carried_out(
            request,
            lambda: risk_limits.put(given["kind"], given["amount"], of=given["of"]),
            "The limit is set.",
            LIST,
        )

    @action(
        description="Lower",
        icon="south",
        permissions=["limit"],
        dialog=dialog(
            "Lower this limit?", "It counts from the next order on; what is open stays open.", "Lower it", LowerForm
        ),
    )
    def lower_limit(self, request: HttpRequest, form: LowerForm, object_id: str) -> HttpResponse:
        limit_id, amount = id_in(object_id), form.cleaned_data["amount"]
        return carried_out(
            request, lambda: risk_limits.lower(limit_id, amount), "The limit is lowered.", PAGE, limit_id
        )

    @action(
        description="Propose to raise",
        icon="north",
        permissions=["limit"],
        dialog=dialog(
            "Propose that more may be open?",
            "A second person applies it; until then nothing changes.",
            "Propose",
            RaiseForm,
        ),
    )
    def propose_raise(self, request: HttpRequest, form: RaiseForm, object_id: str) -> HttpResponse:
        limit_id, given = id_in(object_id), form.cleaned_data
        return carried_out(
            request,
            lambda: propose_it(
                request, ControlChange.Kind.LIMIT, limit_id, [risk_limits.raising(limit_id, given["amount"])], given
            ),
            "It is proposed; a second person applies it.",
            CONTROLS,
        )


def of_what(one: RiskLimit) -> str:
    """The customer or the symbol that a limit is of."""
    if one.customer is not None:
        return shown.customer_link(one.customer)
    return one.instrument_id or ("the firm" if one.kind.startswith("firm") else "each")


def percent_of(use: Use) -> str:
    """How much of a limit is used, red from 80 % on."""
    if use.percent is None:
        return shown.NOTHING
    text = f"{use.percent:,} %"
    return shown.chip(text, {text: "danger" if use.is_near else "success"})


def limits_shown() -> str:
    """Every limit with what is used of it, as a table."""
    currency = account_currency()
    rows = [
        (
            shown.link("trades_risklimit", use.limit.pk, use.limit.get_kind_display()),
            of_what(use.limit),
            shown.amount(use.amount, currency),
            shown.NOTHING if use.used is None else shown.amount(use.used, currency),
            percent_of(use),
            _by(use),
        )
        for use in all_of_them()
    ]
    return shown.table(HEADERS, rows, "No limit is set.")


def _by(use: Use) -> str:
    if use.by is None or use.limit.customer_id or use.limit.instrument_id:
        return shown.NOTHING
    if isinstance(use.by, str):
        return use.by
    return shown.link("trades_marginaccount", use.by, shown.short_guid(use.by))
