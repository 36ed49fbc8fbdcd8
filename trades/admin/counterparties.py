"""Counterparties: whom the firm settles with. Where money goes is proposed and approved on a page of its own."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextInputWidget, UnfoldBooleanWidget

from accounts import clock
from accounts.admin import shown
from accounts.admin.base import ReadOnlyAdmin, may, names_in
from accounts.admin.dialogs import DialogForm, carried_out, dialog, id_in
from accounts.bank_details import LONGEST_NAME
from trades.models import Counterparty
from trades.settlement.instructions import standing

PAGE, LIST = "admin:trades_counterparty_change", "admin:trades_counterparty_changelist"


class CounterpartyForm(DialogForm):
    name = forms.CharField(max_length=LONGEST_NAME, widget=UnfoldAdminTextInputWidget)
    lei = forms.CharField(label="LEI", max_length=20, required=False, widget=UnfoldAdminTextInputWidget)
    is_own = forms.BooleanField(label="It is the firm itself", required=False, widget=UnfoldBooleanWidget)


@admin.register(Counterparty)
class CounterpartyAdmin(ReadOnlyAdmin):
    list_display = ("name", "lei_told", "is_own", "is_active", "destinations", "made_when")
    list_filter = ("is_active",)
    ordering = ("name",)
    related = ("made_by",)
    search_guids = ("pk",)
    search_texts = ("name", "lei")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("guid", "name"),
                    ("lei_told", "is_own"),
                    ("is_active", "destinations"),
                    ("maker", "made_when"),
                )
            },
        ),
    )
    readonly_fields = names_in(fieldsets)
    actions_list = ("add_one",)
    actions_detail = ("switch_off", "switch_on")
    has_add_one_permission = may("add_counterparty")
    has_switch_permission = may("add_counterparty")

    @admin.display(description="Guid")
    def guid(self, one: Counterparty) -> str:
        return shown.guid(one.pk)

    @admin.display(description="LEI", ordering="lei")
    def lei_told(self, one: Counterparty) -> str:
        return one.lei or shown.NOTHING

    @admin.display(description="Standing instructions")
    def destinations(self, one: Counterparty) -> str:
        query = {"counterparty__id__exact": one.pk}
        return shown.list_link("trades_standinginstruction", query, "where it gets what")

    @admin.display(description="Made by")
    def maker(self, one: Counterparty) -> str:
        return shown.who(one.made_by)

    @admin.display(description="Made at")
    def made_when(self, one: Counterparty) -> str:
        return shown.timestamp(one.made_at)

    @action(
        description="Add a counterparty",
        icon="add",
        variant=ActionVariant.PRIMARY,
        permissions=["add_one"],
        dialog=dialog(
            "Add a counterparty?",
            "Nothing goes to it before two persons have said where. Name and LEI stay as they are made.",
            "Add",
            CounterpartyForm,
        ),
    )
    def add_one(self, request: HttpRequest, form: CounterpartyForm) -> HttpResponse:
        given = form.cleaned_data
        return carried_out(
            request,
            lambda: standing.add_counterparty(
                given["name"],
                lei=given["lei"],
                is_own=given["is_own"],
                by=cast(UUID, request.user.pk),
                at=clock.firm_now(),
            ),
            "The counterparty is added.",
            LIST,
        )

    @action(
        description="Switch off",
        icon="block",
        variant=ActionVariant.DANGER,
        permissions=["switch"],
        dialog=dialog("Switch it off?", "No new instruction is made for it. Those that were made stay.", "Switch off"),
    )
    def switch_off(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return _switched(request, object_id, on=False, told="The counterparty is off.")

    @action(
        description="Switch on",
        icon="check",
        permissions=["switch"],
        dialog=dialog("Switch it on?", "Instructions are made for it again, to where two persons agreed.", "Switch on"),
    )
    def switch_on(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return _switched(request, object_id, on=True, told="The counterparty is on.")

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        one = self.get_object(request, str(object_id))  # None for an id that names nothing
        offered = () if one is None else ("switch_off",) if one.is_active else ("switch_on",)
        return [each for each in super().get_actions_detail(request, object_id) if each.action_name.endswith(offered)]


def _switched(request: HttpRequest, object_id: str, *, on: bool, told: str) -> HttpResponse:
    counterparty_id = id_in(object_id)
    return carried_out(
        request, lambda: standing.switch_counterparty(counterparty_id, on=on), told, PAGE, counterparty_id
    )
