"""Changes of instruments: what one person proposed, with what it would fire, and a second one applies or refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast
from uuid import UUID

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html_join
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from accounts import clock
from accounts.admin import shown
from accounts.admin.base import ReadOnlyAdmin, may, names_in, open_to, withdraws_or
from accounts.admin.dialogs import FreshCodeForm, OwnKeyForm, carried_out, dialog, id_in
from accounts.errors import Refusal
from quotes import symbols, terms
from quotes.models import InstrumentChange
from quotes.models.instrument import MOVING
from trades.admin.foreseen import dialog_shown, proposal_shown
from trades.admin.proposals import ProposalColumns, decided_once
from trades.instruments import change
from trades.instruments.errors import ChangeDecided
from trades.instruments.selectors import changes_shown
from trades.instruments.statement import ChangeStatement, told

PAGE, LIST = "admin:quotes_instrumentchange_change", "admin:quotes_instrumentchange_changelist"


class ProposeForm(OwnKeyForm):
    """Which terms of which instrument become what, and why. A term that is left empty stays as it is."""

    instrument = forms.ChoiceField(widget=UnfoldAdminSelectWidget)
    reason = forms.CharField(max_length=change.LONGEST_REASON, widget=UnfoldAdminTextInputWidget)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["instrument"].choices = [(symbol, symbol) for symbol in sorted(symbols.instruments())]
        for name in MOVING:
            label = name.replace("_", " ").capitalize()
            self.fields[name] = forms.CharField(
                required=False, strip=False, max_length=64, label=label, widget=UnfoldAdminTextInputWidget
            )

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        given["wanted"] = {name: given[name] for name in MOVING if given.get(name)}
        try:
            terms.parsed(given["wanted"])
        except Refusal as refusal:
            raise ValidationError(refusal.text) from None
        if not given["wanted"]:
            raise ValidationError("Say at least one term's new value.")
        return given


class ApplyForm(FreshCodeForm):
    """Shows what changes, who proposed it and why, and what it would fire now."""

    def render_before_template(self) -> str:
        one = InstrumentChange.objects.select_related("made_by").filter(pk=id_in(self.object_id)).first()
        if one is None or one.state != InstrumentChange.State.PROPOSED:
            return ""
        try:
            fires = told(change.would_fire(one.instrument_id, one.new)[0])
        except Refusal as refusal:
            fires = [f"It would be refused: {refusal.text}"]
        lines = format_html_join("", "<p>{}</p>", ((line,) for line in fires))
        return dialog_shown([proposal_shown(one, (one.instrument_id, changes_shown(one))), lines])


@admin.register(InstrumentChange)
class InstrumentChangeAdmin(ProposalColumns, ReadOnlyAdmin):
    """Nothing is edited: a change is taken back by another one."""

    states = {"proposed": "warning", "applied": "success", "refused": ""}
    list_display = (
        "made_when",
        "change_link",
        "instrument",
        "fires_shown",
        "state_label",
        "maker",
        "checker",
        "reason",
    )
    list_filter = ("state", "instrument")
    related = ("instrument", "made_by", "checked_by")
    search_guids = ("pk",)
    fieldsets = (
        (None, {"fields": (("guid", "state_label"), ("instrument", "what_changes"), ("reason",))}),
        ("What it would fire, as it was proposed", {"fields": ("stated_shown",)}),
        ("What it would fire, as it was applied", {"fields": ("applied_shown",)}),
        ("Two persons", {"fields": (("maker", "made_when"), ("checker", "decided_when"))}),
    )
    readonly_fields = names_in(fieldsets)
    actions_list = ("propose",)
    actions_detail = ("apply", "refuse")
    has_propose_permission = may("change_instrument")
    has_decide_permission = may("apply_instrument_change")
    has_refuse_permission = may("apply_instrument_change", "change_instrument")

    @admin.display(description="Change")
    def change_link(self, one: InstrumentChange) -> str:
        return shown.link("quotes_instrumentchange", one.pk, changes_shown(one))

    @admin.display(description="Change")
    def what_changes(self, one: InstrumentChange) -> str:
        rows = [(name, terms.shown(one.old.get(name)), terms.shown(value)) for name, value in sorted(one.new.items())]
        return shown.table(("Term", "From", "To"), rows, shown.NOTHING)

    @admin.display(description="Fires")
    def fires_shown(self, one: InstrumentChange) -> str:
        return shown.chip("fires", {"fires": "danger"}) if one.fires else "nothing"

    @admin.display(description="Statement")
    def stated_shown(self, one: InstrumentChange) -> str:
        return _statement(one.stated)

    @admin.display(description="Statement")
    def applied_shown(self, one: InstrumentChange) -> str:
        return shown.NOTHING if one.stated_when_applied is None else _statement(one.stated_when_applied)

    def alone(self, one: InstrumentChange) -> str:
        return "within the band" if one.state == InstrumentChange.State.APPLIED and not one.needs_checker else ""

    @action(
        description="Propose a change",
        icon="tune",
        variant=ActionVariant.PRIMARY,
        permissions=["propose"],
        dialog=dialog(
            "Propose a change of an instrument?",
            "What it would fire is stated on its page. Within the narrow band, and where nothing fires, it is applied"
            " at once; else a second person applies it.",
            "Propose",
            ProposeForm,
        ),
    )
    def propose(self, request: HttpRequest, form: ProposeForm) -> HttpResponse:
        given = form.cleaned_data
        return carried_out(
            request,
            lambda: change.propose(
                given["instrument"],
                given["wanted"],
                reason=given["reason"],
                by=_who(request),
                at=clock.firm_now(),
                once=given["once"],
            ),
            _told,
            LIST,
        )

    @action(
        description="Apply",
        icon="verified",
        variant=ActionVariant.SUCCESS,
        permissions=["decide"],
        dialog=dialog(
            "Apply this change?",
            "What it fires is found out once more: more than was stated, and it is refused. The instrument changes"
            " everywhere within two seconds, and stops fire from then on. Whoever proposed it can't apply it.",
            "Apply",
            ApplyForm,
        ),
    )
    def apply(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return _decided(request, object_id, change.apply, "The change is applied.")

    @action(
        description="Refuse",
        icon="block",
        variant=ActionVariant.DANGER,
        permissions=["refuse"],
        dialog=dialog("Refuse this change?", "Nothing changes. Its maker withdraws it this way.", "Refuse"),
    )
    def refuse(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        withdraws_or(request, "apply_instrument_change", InstrumentChange, id_in(object_id))
        return _decided(request, object_id, change.refuse, "The change is refused; nothing changed.")

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        one = self.get_object(request, str(object_id))  # None for an id that names nothing
        is_open = one is not None and one.state == InstrumentChange.State.PROPOSED
        offered = super().get_actions_detail(request, object_id) if is_open else []
        maker = one.made_by_id if one else None
        return open_to(request, maker, "apply_instrument_change", offered, decide="apply", refuse="refuse")


def _told(made: InstrumentChange) -> str:
    if made.state == InstrumentChange.State.APPLIED and not made.needs_checker:
        return "The change is applied: it is within the band, and nothing fires."
    return "The change is proposed; a second person applies it. What it would fire stands on its page."


def _decided(request: HttpRequest, object_id: str, decides: Callable[..., InstrumentChange], told: str) -> HttpResponse:
    """Decide; whoever answers the dialog a second time is told what they did the first time."""
    change_id, by = id_in(object_id), _who(request)
    wanted = InstrumentChange.State.APPLIED if decides is change.apply else InstrumentChange.State.REFUSED
    mine = InstrumentChange.objects.filter(pk=change_id, state=wanted, checked_by=by)
    return carried_out(
        request,
        lambda: decided_once(lambda: decides(change_id, by=by, at=clock.firm_now()), ChangeDecided, mine),
        told,
        PAGE,
        change_id,
    )


def _who(request: HttpRequest) -> UUID:
    return cast(UUID, request.user.pk)


def _statement(kept: dict[str, Any]) -> str:
    return format_html_join("", "<p>{}</p>", ((line,) for line in told(ChangeStatement.read(kept))))
