"""Erasures of personal data: what one person proposed on a customer's page, and a second one carries out or refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast
from uuid import UUID

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm

from accounts import clock
from accounts.admin import shown
from accounts.admin.base import ReadOnlyAdmin, may, names_in, open_to, withdraws_or
from accounts.admin.dialogs import FreshCodeForm, carried_out, dialog, id_in
from trades import erasure
from trades.admin.proposals import ProposalColumns, decided_once
from trades.models import Erasure

PAGE = "admin:trades_erasure_change"


@admin.register(Erasure)
class ErasureAdmin(ProposalColumns, ReadOnlyAdmin):
    """Nothing is edited, and what was erased doesn't come back."""

    states = {"proposed": "warning", "done": "success", "refused": ""}
    list_display = ("made_when", "erasure_link", "customer_link", "state_label", "maker", "checker", "reason")
    list_filter = ("state",)
    related = ("customer", "made_by", "checked_by")
    search_guids = ("pk", "customer_id")
    fieldsets = (
        (None, {"fields": (("guid", "state_label"), ("customer_link",), ("reason",))}),
        ("Two persons", {"fields": (("maker", "made_when"), ("checker", "decided_when"))}),
    )
    readonly_fields = names_in(fieldsets)
    actions_detail = ("carry_out", "refuse")
    has_decide_permission = may("decide_erasure")
    has_refuse_permission = may("decide_erasure", "propose_erasure")

    @admin.display(description="Erasure")
    def erasure_link(self, one: Erasure) -> str:
        return shown.link("trades_erasure", one.pk, shown.short_guid(one.pk))

    @admin.display(description="Customer")
    def customer_link(self, one: Erasure) -> str:
        return shown.link("accounts_customer", one.customer_id, one.customer)

    @action(
        description="Erase",
        icon="person_remove",
        variant=ActionVariant.DANGER,
        permissions=["decide"],
        dialog=dialog(
            "Erase this customer's personal data?",
            "Nothing brings it back. The books stay, of a customer whom nobody can name; the login is closed. Whoever"
            " proposed it can't carry it out.",
            "Erase",
            FreshCodeForm,
        ),
    )
    def carry_out(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return _decided(request, object_id, erasure.carry_out, "The personal data is erased.")

    @action(
        description="Refuse",
        icon="block",
        permissions=["refuse"],
        dialog=dialog("Refuse this erasure?", "Nothing is erased. Its maker withdraws it this way.", "Refuse"),
    )
    def refuse(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        withdraws_or(request, "decide_erasure", Erasure, id_in(object_id))
        return _decided(request, object_id, erasure.refuse, "The erasure is refused; nothing was erased.")

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        one = self.get_object(request, str(object_id))  # None for an id that names nothing
        is_open = one is not None and one.state == Erasure.State.PROPOSED
        offered = super().get_actions_detail(request, object_id) if is_open else []
        maker = one.made_by_id if one else None
        return open_to(request, maker, "decide_erasure", offered, decide="carry_out", refuse="refuse")


def _decided(request: HttpRequest, object_id: str, decides: Callable[..., Erasure], told: str) -> HttpResponse:
    """Decide; whoever answers the dialog a second time is told what they did the first time."""
    erasure_id, by = id_in(object_id), cast(UUID, request.user.pk)
    wanted = Erasure.State.DONE if decides is erasure.carry_out else Erasure.State.REFUSED
    mine = Erasure.objects.filter(pk=erasure_id, state=wanted, checked_by=by)
    return carried_out(
        request,
        lambda: decided_once(lambda: decides(erasure_id, by=by, at=clock.firm_now()), erasure.ErasureDecided, mine),
        told,
        PAGE,
        erasure_id,
    )
