"""Breaks: what doesn't fit gets an owner, and ends with an explanation or a correction."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm

from accounts import clock
from accounts.admin import shown
from accounts.admin.base import ReadOnlyAdmin, asked_once, may, names_in
from accounts.admin.dialogs import ReasonAndReferenceForm, ReasonForm, actor, carried_out, dialog, id_in
from accounts.models import Break
from accounts.services import breaks
from trades.corrections.propose import propose_break_resolution
from trades.models import Correction

STATES = {"open": "warning", "resolved": "success"}
PAGE = "admin:accounts_break_change"
OFFERED = {
    Break.Kind.LEG_DIFFERENCE: ("take", "propose_paid", "propose_written_off"),
    Break.Kind.RECONCILIATION: ("take", "explain"),
}


@admin.register(Break)
class BreakAdmin(ReadOnlyAdmin):
    """Open ones first, the oldest at the top. Above zero there is more outside than there should be."""

    list_display = ("short_guid", "kind_label", "asset", "amount_shown", "state_label", "age", "owner_name", "note")
    list_filter = ("state", "kind", "asset")
    related = ("asset", "owner")
    ordering = ("state", "opened_at", "pk")
    search_guids = ("pk", "subject")
    fieldsets = (
        (
            None,
            {"fields": (("guid", "state_label"), ("kind_label", "about"), ("amount_shown",), ("age", "owner_name"))},
        ),
        ("What is known", {"fields": (("note",), ("resolution",), ("corrections",), ("opened", "resolved"))}),
    )
    readonly_fields = names_in(fieldsets)
    actions_detail = ("take", "explain", "propose_paid", "propose_written_off")
    has_propose_permission = may("propose_correction")
    has_look_after_permission = may("look_after_break")

    @admin.display(description="Break")
    def short_guid(self, found: Break) -> str:
        return shown.short_guid(found.pk)

    @admin.display(description="Guid")
    def guid(self, found: Break) -> str:
        return shown.guid(found.pk)

    @admin.display(description="Kind")
    def kind_label(self, found: Break) -> str:
        return found.get_kind_display()

    @admin.display(description="Amount")
    def amount_shown(self, found: Break) -> str:
        return shown.gain(found.amount, found.asset)

    @admin.display(description="State")
    def state_label(self, found: Break) -> str:
        return shown.chip(found.state, STATES)

    @admin.display(description="Age")
    def age(self, found: Break) -> str:
        return shown.for_how_long((found.resolved_at or clock.about_firm_now()) - found.opened_at)

    @admin.display(description="Owner")
    def owner_name(self, found: Break) -> str:
        return shown.who(found.owner, otherwise="nobody")

    @admin.display(description="Leg")
    def about(self, found: Break) -> str:
        return shown.link("trades_settlementleg", found.subject, shown.short_guid(found.subject))

    @admin.display(description="Corrections")
    @asked_once
    def corrections(self, found: Break) -> str:
        query = {"q": found.pk.hex}
        is_there = Correction.objects.filter(subject=found.pk).exists()
        return shown.list_link("trades_correction", query, "what was proposed") if is_there else shown.NOTHING

    @admin.display(description="Opened")
    def opened(self, found: Break) -> str:
        return shown.timestamp(found.opened_at)

    @admin.display(description="Resolved")
    def resolved(self, found: Break) -> str:
        return shown.timestamp(found.resolved_at)

    @action(
        description="Take it",
        icon="person_raised_hand",
        variant=ActionVariant.PRIMARY,
        permissions=["look_after"],
        dialog=dialog("Look after this break?", "It is yours from now on, until it is resolved.", "Take it"),
    )
    def take(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        break_id = id_in(object_id)
        return carried_out(
            request,
            lambda: breaks.own(break_id, request.user.pk, at=clock.firm_now()),
            "The break is yours.",
            PAGE,
            break_id,
        )

    @action(
        description="Explain",
        icon="lightbulb",
        variant=ActionVariant.SUCCESS,
        permissions=["look_after"],
        dialog=dialog(
            "What was it?", "The break is resolved by saying what it was; no money moves.", "Resolve", ReasonForm
        ),
    )
    def explain(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        break_id, reason = id_in(object_id), form.cleaned_data["reason"]
        return carried_out(
            request,
            lambda: breaks.explain(break_id, reason=reason, by=actor(request), at=clock.firm_now()),
            "The break is resolved.",
            PAGE,
            break_id,
        )

    @action(
        description="Propose: it was paid",
        icon="payments",
        permissions=["propose"],
        dialog=dialog(
            "Did the rest come after all?",
            "Once a second person applies it, the difference is booked as moved, and the break is resolved.",
            "Propose",
            ReasonAndReferenceForm,
        ),
    )
    def propose_paid(self, request: HttpRequest, form: ReasonAndReferenceForm, object_id: str) -> HttpResponse:
        return _proposed(request, object_id, Correction.Kind.BREAK_PAID, form)

    @action(
        description="Propose: write it off",
        icon="money_off",
        permissions=["propose"],
        dialog=dialog(
            "Write it off?",
            "Once a second person applies it, the difference becomes the firm's loss (or gain), and the break is"
            " resolved.",
            "Propose",
            ReasonAndReferenceForm,
        ),
    )
    def propose_written_off(self, request: HttpRequest, form: ReasonAndReferenceForm, object_id: str) -> HttpResponse:
        return _proposed(request, object_id, Correction.Kind.BREAK_WRITTEN_OFF, form)

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        found = self.get_object(request, str(object_id))  # None for an id that names nothing
        offered = OFFERED[Break.Kind(found.kind)] if found and found.state == Break.State.OPEN else ()
        return [one for one in super().get_actions_detail(request, object_id) if one.action_name.endswith(offered)]


def _proposed(request: HttpRequest, object_id: str, kind: str, form: ReasonAndReferenceForm) -> HttpResponse:
    break_id, given = id_in(object_id), form.cleaned_data
    return carried_out(
        request,
        lambda: propose_break_resolution(
            break_id,
            kind,
            reason=given["reason"],
            reference=given["reference"],
            by=actor(request),
            at=clock.firm_now(),
            once=given["once"],
        ),
        "It is proposed; a second person applies it.",
        PAGE,
        break_id,
    )
