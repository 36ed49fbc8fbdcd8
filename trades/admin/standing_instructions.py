"""Standing instructions: where counterparties get their assets. One proposes, another one approves, nobody edits."""

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
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminSplitDateTimeWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from accounts import clock
from accounts.admin import shown
from accounts.admin.base import ReadOnlyAdmin, may, names_in, open_to, withdraws_or
from accounts.admin.dialogs import FreshCodeForm, OwnKeyForm, carried_out, dialog, id_in
from accounts.models import Asset
from trades.admin.proposals import ProposalColumns, decided_once
from trades.models import Counterparty, StandingInstruction
from trades.settlement.instructions import standing
from trades.settlement.instructions.addresses import NETWORKS
from trades.settlement.instructions.errors import StandingInstructionDecided
from trades.states import StandingState

PAGE, LIST = "admin:trades_standinginstruction_change", "admin:trades_standinginstruction_changelist"
DESTINATION = ("holder", "iban", "bic", "bank_name", "network", "address", "memo")


class StandingForm(OwnKeyForm):
    """For a fiat asset a bank account, for a crypto asset a wallet."""

    counterparty = forms.ModelChoiceField(Counterparty.objects.order_by("name"), widget=UnfoldAdminSelectWidget)
    asset = forms.ModelChoiceField(Asset.objects.order_by("code"), widget=UnfoldAdminSelectWidget)
    holder = forms.CharField(max_length=70, required=False, widget=UnfoldAdminTextInputWidget)
    iban = forms.CharField(label="IBAN", max_length=60, required=False, widget=UnfoldAdminTextInputWidget)
    bic = forms.CharField(label="BIC", max_length=20, required=False, widget=UnfoldAdminTextInputWidget)
    bank_name = forms.CharField(label="Bank", max_length=70, required=False, widget=UnfoldAdminTextInputWidget)
    network = forms.ChoiceField(
        choices=[("", "–"), *((name, name) for name in NETWORKS)], required=False, widget=UnfoldAdminSelectWidget
    )
    address = forms.CharField(max_length=100, required=False, widget=UnfoldAdminTextInputWidget)
    memo = forms.CharField(label="Memo or tag", max_length=64, required=False, widget=UnfoldAdminTextInputWidget)
    is_default = forms.BooleanField(
        label="This counterparty settles the asset from then on", required=False, widget=UnfoldBooleanWidget
    )
    not_before = forms.SplitDateTimeField(
        label="Not before (UTC)", required=False, widget=UnfoldAdminSplitDateTimeWidget
    )
    reason = forms.CharField(max_length=standing.LONGEST_REASON, widget=UnfoldAdminTextInputWidget)


@admin.register(StandingInstruction)
class StandingInstructionAdmin(ProposalColumns, ReadOnlyAdmin):
    states = {"proposed": "warning", "approved": "success", "refused": ""}
    list_display = (
        "made_when",
        "counterparty",
        "asset",
        "where_to",
        "is_default",
        "state_label",
        "in_force_when",
    )
    list_filter = ("state", "asset", "counterparty")
    related = ("counterparty", "asset", "made_by", "checked_by")
    search_guids = ("pk",)
    search_texts = ("iban", "address")
    fieldsets = (
        (None, {"fields": (("guid", "state_label"), ("counterparty", "asset"), ("is_default", "reason"))}),
        ("Bank account", {"fields": (("holder", "iban_shown"), ("bic_shown", "bank_name"))}),
        ("Wallet", {"fields": (("network", "address"), ("memo",))}),
        ("In force", {"fields": (("not_before_when", "in_force_when"),)}),
        ("Two persons", {"fields": (("maker", "made_when"), ("checker", "decided_when"))}),
    )
    readonly_fields = names_in(fieldsets)
    actions_list = ("propose",)
    actions_detail = ("approve", "refuse")
    has_propose_permission = may("propose_standing_instruction")
    has_decide_permission = may("decide_standing_instruction")
    has_refuse_permission = may("decide_standing_instruction", "propose_standing_instruction")

    @admin.display(description="Goes to")
    def where_to(self, one: StandingInstruction) -> str:
        return shown.link("trades_standinginstruction", one.pk, shown.long(one.iban or one.address))

    @admin.display(description="IBAN")
    def iban_shown(self, one: StandingInstruction) -> str:
        return one.iban or shown.NOTHING

    @admin.display(description="BIC")
    def bic_shown(self, one: StandingInstruction) -> str:
        return one.bic or shown.NOTHING

    @admin.display(description="Not before")
    def not_before_when(self, one: StandingInstruction) -> str:
        return shown.timestamp(one.not_before)

    @admin.display(description="In force from")
    def in_force_when(self, one: StandingInstruction) -> str:
        return shown.timestamp(one.in_force_from)

    @action(
        description="Propose a standing instruction",
        icon="account_balance",
        variant=ActionVariant.PRIMARY,
        permissions=["propose"],
        dialog=dialog(
            "Propose where a counterparty gets an asset?",
            "A bank account for a fiat asset, a wallet for a crypto asset. It counts once a second person has approved"
            " it, and replaces the one before; instructions that were made keep theirs.",
            "Propose",
            StandingForm,
        ),
    )
    def propose(self, request: HttpRequest, form: StandingForm) -> HttpResponse:
        given = form.cleaned_data
        return carried_out(
            request,
            lambda: standing.propose(
                given["counterparty"].pk,
                given["asset"].pk,
                {name: given[name] for name in DESTINATION},
                reason=given["reason"],
                is_default=given["is_default"],
                not_before=given["not_before"],
                by=_who(request),
                at=clock.firm_now(),
                once=given["once"],
            ),
            "It is proposed; a second person approves it.",
            LIST,
        )

    @action(
        description="Approve",
        icon="verified",
        variant=ActionVariant.SUCCESS,
        permissions=["decide"],
        dialog=dialog(
            "Approve this standing instruction?",
            "Compare it with what the counterparty wrote, by another way than the one it came by. Money goes there from"
            " then on. Whoever proposed it can't approve it.",
            "Approve",
            FreshCodeForm,
        ),
    )
    def approve(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return _decided(request, object_id, standing.approve, "The standing instruction is approved.")

    @action(
        description="Refuse",
        icon="block",
        variant=ActionVariant.DANGER,
        permissions=["refuse"],
        dialog=dialog("Refuse it?", "Nothing changes. Its maker withdraws it this way.", "Refuse"),
    )
    def refuse(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        withdraws_or(request, "decide_standing_instruction", StandingInstruction, id_in(object_id))
        return _decided(request, object_id, standing.refuse, "It is refused; nothing changed.")

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        one = self.get_object(request, str(object_id))  # None for an id that names nothing
        is_open = one is not None and one.state == StandingState.PROPOSED
        offered = super().get_actions_detail(request, object_id) if is_open else []
        maker = one.made_by_id if one else None
        return open_to(request, maker, "decide_standing_instruction", offered, decide="approve", refuse="refuse")


def _decided(
    request: HttpRequest, object_id: str, decides: Callable[..., StandingInstruction], told: str
) -> HttpResponse:
    """Decide; whoever answers the dialog a second time is told what they did the first time."""
    standing_id, by = id_in(object_id), _who(request)
    wanted = StandingState.APPROVED if decides is standing.approve else StandingState.REFUSED
    mine = StandingInstruction.objects.filter(pk=standing_id, state=wanted, checked_by=by)
    return carried_out(
        request,
        lambda: decided_once(
            lambda: decides(standing_id, by=by, at=clock.firm_now()), StandingInstructionDecided, mine
        ),
        told,
        PAGE,
        standing_id,
    )


def _who(request: HttpRequest) -> UUID:
    return cast(UUID, request.user.pk)
