"""Client classes: what one person proposed on a customer's page, and a second one applies or refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast
from uuid import UUID

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from accounts import clock
from accounts.admin import shown
from accounts.admin.base import ReadOnlyAdmin, may, names_in, open_to, withdraws_or
from accounts.admin.dialogs import FreshCodeForm, OwnKeyForm, carried_out, dialog, id_in
from accounts.states import ClientClass
from trades import client_classes
from trades.admin.proposals import ProposalColumns, decided_once
from trades.models import ClientClassChange

PAGE = "admin:trades_clientclasschange_change"


class ClassForm(OwnKeyForm):
    client_class = forms.ChoiceField(choices=ClientClass.choices, widget=UnfoldAdminSelectWidget)
    reason = forms.CharField(max_length=client_classes.LONGEST_REASON, widget=UnfoldAdminTextInputWidget)


@admin.register(ClientClassChange)
class ClientClassChangeAdmin(ProposalColumns, ReadOnlyAdmin):
    """Nothing is edited: a class is taken back by another change."""

    states = {"proposed": "warning", "applied": "success", "refused": ""}
    list_display = ("made_when", "change_link", "customer_link", "state_label", "maker", "checker", "reason")
    list_filter = ("state", "becomes")
    related = ("customer", "made_by", "checked_by")
    search_guids = ("pk", "customer_id")
    fieldsets = (
        (None, {"fields": (("guid", "state_label"), ("customer_link", "what_changes"), ("reason",))}),
        ("Two persons", {"fields": (("maker", "made_when"), ("checker", "decided_when"))}),
    )
    readonly_fields = names_in(fieldsets)
    actions_detail = ("apply", "refuse")
    has_decide_permission = may("decide_client_class")
    has_refuse_permission = may("decide_client_class", "propose_client_class")

    @admin.display(description="Change")
    def change_link(self, one: ClientClassChange) -> str:
        return shown.link("trades_clientclasschange", one.pk, self.what_changes(one))

    @admin.display(description="Class")
    def what_changes(self, one: ClientClassChange) -> str:
        return f"{one.was} to {one.becomes}"

    @admin.display(description="Customer")
    def customer_link(self, one: ClientClassChange) -> str:
        return shown.link("accounts_customer", one.customer_id, one.customer)

    @action(
        description="Apply",
        icon="verified",
        variant=ActionVariant.SUCCESS,
        permissions=["decide"],
        dialog=dialog(
            "Apply this client class?",
            "It counts for orders that open from now on. Whoever proposed it can't apply it.",
            "Apply",
            FreshCodeForm,
        ),
    )
    def apply(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return _decided(request, object_id, client_classes.apply, "The customer is of this class now.")

    @action(
        description="Refuse",
        icon="block",
        variant=ActionVariant.DANGER,
        permissions=["refuse"],
        dialog=dialog("Refuse this client class?", "Nothing changes. Its maker withdraws it this way.", "Refuse"),
    )
    def refuse(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        withdraws_or(request, "decide_client_class", ClientClassChange, id_in(object_id))
        return _decided(request, object_id, client_classes.refuse, "The change is refused; nothing changed.")

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        one = self.get_object(request, str(object_id))  # None for an id that names nothing
        is_open = one is not None and one.state == ClientClassChange.State.PROPOSED
        offered = super().get_actions_detail(request, object_id) if is_open else []
        maker = one.made_by_id if one else None
        return open_to(request, maker, "decide_client_class", offered, decide="apply", refuse="refuse")


def _decided(
    request: HttpRequest, object_id: str, decides: Callable[..., ClientClassChange], told: str
) -> HttpResponse:
    """Decide; whoever answers the dialog a second time is told what they did the first time."""
    change_id, by = id_in(object_id), cast(UUID, request.user.pk)
    state = ClientClassChange.State
    wanted = state.APPLIED if decides is client_classes.apply else state.REFUSED
    mine = ClientClassChange.objects.filter(pk=change_id, state=wanted, checked_by=by)
    return carried_out(
        request,
        lambda: decided_once(
            lambda: decides(change_id, by=by, at=clock.firm_now()), client_classes.ClassChangeDecided, mine
        ),
        told,
        PAGE,
        change_id,
    )
