"""Controls that are to be switched off: proposed on a window's, an API client's or a limit's page, decided on here."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final, cast
from uuid import UUID

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminPasswordWidget

from accounts import clock
from accounts.admin import shown
from accounts.admin.base import (
    ReadOnlyAdmin,
    asked_once,
    is_administrator,
    may,
    names_in,
    open_to,
    withdraws_or,
)
from accounts.admin.clients import ApiClientAdmin
from accounts.admin.dialogs import FreshCodeForm, OwnKeyForm, ReasonForm, carried_out, dialog, id_in
from accounts.identity import FIRM_SCOPES
from accounts.models import ApiClient, User
from accounts.services import second_factor
from trades import controls, staff
from trades.admin.foreseen import dialog_shown, proposal_shown
from trades.admin.proposals import ProposalColumns
from trades.models import ControlChange, RiskLimit, SettlementWindow

PAGE, LIST = "admin:trades_controlchange_change", "admin:trades_controlchange_changelist"
WORDS = {
    controls.ON_AGAIN: "it works again",
    "is_automatic": "its batches are confirmed by nobody",
    "legs_are_automatic": "its legs settle as expected, at once, without a report",
}


_OF: Final[dict[ControlChange.Kind, Any]] = {
    ControlChange.Kind.WINDOW: SettlementWindow,
    ControlChange.Kind.CLIENT: ApiClient,
    ControlChange.Kind.LIMIT: RiskLimit,
    ControlChange.Kind.STAFF: User,
}


class ApplyForm(FreshCodeForm):
    """Shows who proposed it and why, and what would be added. A new password of staff is typed by who applies it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        one = self._change()
        if one is not None and one.kind == ControlChange.Kind.STAFF and staff.PASSWORD in one.adds:
            self.fields["password"] = forms.CharField(
                label="Their new password, which they change at once", widget=UnfoldAdminPasswordWidget, strip=False
            )

    def _change(self) -> ControlChange | None:
        return ControlChange.objects.select_related("made_by").filter(pk=id_in(self.object_id)).first()

    def render_before_template(self) -> str:
        one = self._change()
        if one is None or one.state != ControlChange.State.PROPOSED:
            return ""
        about = [("Of", _named(one)), ("Then", _told(one))]
        if one.kind == ControlChange.Kind.STAFF:
            about += _secrets_of(one.subject)
        return dialog_shown([proposal_shown(one, *about)])


@admin.register(ControlChange)
class ControlChangeAdmin(ProposalColumns, ReadOnlyAdmin):
    states = {"proposed": "warning", "applied": "success", "refused": ""}
    list_display = ("made_when", "change_link", "of", "state_label", "maker", "checker", "reason")
    list_filter = ("state", "kind")
    related = ("made_by", "checked_by")
    search_guids = ("pk", "subject")
    fieldsets = (
        (None, {"fields": (("guid", "state_label"), ("of", "adds_shown"), ("reason",))}),
        ("Two persons", {"fields": (("maker", "made_when"), ("checker", "decided_when"))}),
    )
    readonly_fields = names_in(fieldsets)
    actions_detail = ("apply", "refuse")
    has_decide_permission = may("decide_control")
    has_refuse_permission = may("decide_control", "change_window", "manage_clients", "change_limit", "manage_staff")

    @admin.display(description="Proposal")
    def change_link(self, one: ControlChange) -> str:
        return shown.link("trades_controlchange", one.pk, ", ".join(one.adds)[:60])

    @admin.display(description="Of")
    def of(self, one: ControlChange) -> str:
        model = _OF[ControlChange.Kind(one.kind)]._meta
        return shown.link(
            f"{model.app_label}_{model.model_name}", one.subject, f"{one.get_kind_display()}, {one.subject.hex[-10:]}"
        )

    @admin.display(description="Then")
    @asked_once
    def adds_shown(self, one: ControlChange) -> str:
        return _told(one)

    @action(
        description="Apply",
        icon="verified",
        variant=ActionVariant.SUCCESS,
        permissions=["decide"],
        dialog=dialog(
            "Switch this control off?",
            "From then on no person stands there, or more may be open. Whoever proposed it can't apply it.",
            "Apply",
            ApplyForm,
        ),
    )
    def apply(self, request: HttpRequest, form: FreshCodeForm, object_id: str) -> HttpResponse:
        change_id, by = id_in(object_id), cast(UUID, request.user.pk)
        password = form.cleaned_data.get("password", "")
        return carried_out(
            request,
            lambda: controls.apply(change_id, by=by, at=clock.firm_now(), password=password),
            "The control is switched off.",
            PAGE,
            change_id,
        )

    @action(
        description="Refuse",
        icon="block",
        variant=ActionVariant.DANGER,
        permissions=["refuse"],
        dialog=dialog("Refuse it?", "Nothing changes. Its maker withdraws it this way.", "Refuse"),
    )
    def refuse(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        change_id, by = id_in(object_id), cast(UUID, request.user.pk)
        withdraws_or(request, "decide_control", ControlChange, change_id)
        return carried_out(
            request,
            lambda: controls.refuse(change_id, by=by, at=clock.firm_now()),
            "It is refused; nothing changed.",
            PAGE,
            change_id,
        )

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        one = self.get_object(request, str(object_id))  # None for an id that names nothing
        is_open = one is not None and one.state == ControlChange.State.PROPOSED
        offered = super().get_actions_detail(request, object_id) if is_open else []
        if one is not None and one.kind == ControlChange.Kind.STAFF and not is_administrator(request):
            offered = []
        maker = one.made_by_id if one else None
        return open_to(request, maker, "decide_control", offered, decide="apply", refuse="refuse")


class ProposeForm(OwnKeyForm, ReasonForm):
    adds = forms.MultipleChoiceField(label="What", widget=UnfoldAdminCheckboxSelectMultipleWidget)
    field_order = ("adds", "reason")


class WindowForm(ProposeForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        window = SettlementWindow.objects.filter(pk=id_in(self.object_id)).first()
        self.fields["adds"].choices = [
            (name, words) for name, words in WORDS.items() if window and not getattr(window, name)
        ]


class ScopesForm(ProposeForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        client = ApiClient.objects.filter(pk=id_in(self.object_id)).first()
        missing = controls.needs_two(FIRM_SCOPES) - set(client.scopes) if client else set()
        again = [(controls.ON_AGAIN, WORDS[controls.ON_AGAIN])] if client and not client.is_active else []
        self.fields["adds"].choices = [*again, *((scope, scope) for scope in sorted(missing))]


def proposed(request: HttpRequest, kind: str, object_id: str, form: ProposeForm) -> HttpResponse:
    """Propose what the dialog says of a window or a client, and go to what waits."""
    subject, given = id_in(object_id), form.cleaned_data
    return carried_out(
        request,
        lambda: propose_it(request, kind, subject, given["adds"], given),
        "It is proposed; a second person applies it.",
        LIST,
    )


def propose_it(
    request: HttpRequest, kind: str, subject: UUID, adds: Collection[str], given: Mapping[str, Any]
) -> ControlChange:
    """What a dialog of OwnKeyForm and ReasonForm was answered with. Raises what `controls.propose` does."""
    by, at = cast(UUID, request.user.pk), clock.firm_now()
    return controls.propose(kind, subject, adds, reason=given["reason"], by=by, at=at, once=given["once"])


admin.site.unregister(ApiClient)


@admin.register(ApiClient)
class TwoPersonsClientAdmin(ApiClientAdmin):
    """Scopes that let a program do something are added by two persons."""

    actions_detail: Any = ("propose_scopes",)
    has_propose_permission = may("manage_clients")

    @action(
        description="Propose scopes",
        icon="key",
        permissions=["propose"],
        dialog=dialog(
            "Propose that it may do more?",
            "A second person applies it; until then it can't.",
            "Propose",
            ScopesForm,
        ),
    )
    def propose_scopes(self, request: HttpRequest, form: ScopesForm, object_id: str) -> HttpResponse:
        return proposed(request, ControlChange.Kind.CLIENT, object_id, form)


def _named(one: ControlChange) -> str:
    return str(_OF[ControlChange.Kind(one.kind)].objects.filter(pk=one.subject).first() or one.subject.hex)


def _secrets_of(user_id: UUID) -> list[tuple[str, Any]]:
    """Who could be that user now: whether they have a second factor, and who typed their password when."""
    user = User.objects.filter(pk=user_id).first()
    if user is None:
        return []
    is_enrolled = second_factor.is_enrolled(user)
    rows = [("Second factor", "enrolled" if is_enrolled else "none: whoever has the password adds one")]
    rows += [("Password set", shown.timestamp(at)) for at in staff.passwords_set(user_id)[:1]]
    typed = staff.typed_by_another(user_id)
    if typed is not None:
        another = User.objects.filter(pk=typed[1]).first() if typed[1] else None
        rows.append(("Typed by another", format_html("{}, {}", shown.who(another), shown.timestamp(typed[0]))))
    return rows


def _told(one: ControlChange) -> str:
    if one.kind == ControlChange.Kind.LIMIT:
        was, _, becomes = one.adds[0].partition(" to ")
        return f"from {int(was):,} to {'no limit' if becomes == 'none' else f'{int(becomes):,}'}"
    if one.kind == ControlChange.Kind.STAFF:
        return ", ".join(map(staff.told, one.adds))
    return ", ".join(WORDS.get(name, name) for name in one.adds)
