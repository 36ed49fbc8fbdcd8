"""Settlement windows: when batches are cut, with what that means for the coming days."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.html import format_html
from unfold.decorators import action
from unfold.widgets import UnfoldAdminSelectWidget

from accounts import clock
from accounts.admin import shown
from accounts.admin.base import BoundedAdmin, NeverDeleted, may
from accounts.admin.dialogs import dialog
from accounts.models import Asset
from trades.admin.controls import WindowForm as AutomaticForm
from trades.admin.controls import proposed
from trades.admin.preview import preview_page
from trades.controls import OF_WINDOWS
from trades.errors import BadSchedule
from trades.models import ControlChange, SettlementWindow
from trades.settlement.windows import due_cut, next_cuts

CUTS_SHOWN = 10
TWO_PERSONS = "That takes two persons: save the window without it, then propose it on its page."
_SCHEDULE = ("cron", "time_zone", "calendar")
_SETTINGS = (
    "name",
    "asset_kind",
    "is_active",
    "is_automatic",
    "legs_are_automatic",
    "netting",
    "carries_forward",
    "completes_in_order",
    "value_days",
)


class WindowForm(forms.ModelForm):
    asset_kind = forms.ChoiceField(choices=Asset.Type.choices, widget=UnfoldAdminSelectWidget)

    class Meta:
        model = SettlementWindow
        fields = (*_SETTINGS, *_SCHEDULE)

    def clean(self) -> dict[str, Any]:
        """A schedule that can't be read, or never comes, is refused here and not found out at the cut."""
        given: dict[str, Any] = super().clean() or {}
        for name in OF_WINDOWS:
            is_so = not self.instance._state.adding and self.initial.get(name)
            if given.get(name) and not is_so:
                self.add_error(name, TWO_PERSONS)
        if not self.errors:
            schedule = {name: given[name] for name in ("name", "cron", "time_zone", "calendar")}
            try:
                coming = next_cuts(SettlementWindow(**schedule), clock.about_firm_now(), 1)
            except BadSchedule as refusal:
                raise forms.ValidationError(refusal.text) from None
            if not coming:
                raise forms.ValidationError("This schedule has no cut within a year.")
        return given


@admin.register(SettlementWindow)
class SettlementWindowAdmin(NeverDeleted, BoundedAdmin):
    deed = "change_window"
    form = WindowForm
    list_display = (
        "name",
        "asset_kind",
        "schedule",
        "is_active",
        "is_automatic",
        "legs_are_automatic",
        "last_cut",
        "next_cut",
    )
    list_filter = ("is_active", "asset_kind")
    ordering = ("name",)
    readonly_fields = ("last_cut", "counts_since", "batches", "preview")
    fieldsets = (
        (
            None,
            {
                "fields": _SETTINGS,
                "description": "The kind of asset is fixed once a window is made. To settle another kind, add a window"
                " and switch this one off.",
            },
        ),
        (
            "Schedule",
            {
                "fields": (*_SCHEDULE, "last_cut", "counts_since", "batches", "preview"),
                "description": "A schedule that is changed or switched on counts from then: no cut time of before is"
                " made up for.",
            },
        ),
    )
    add_fieldsets = ((None, {"fields": _SETTINGS}), ("Schedule", {"fields": _SCHEDULE}))
    actions_detail = ("preview_cut", "propose_automatic")
    has_propose_permission = may("change_window")

    def get_readonly_fields(self, request: HttpRequest, obj: SettlementWindow | None = None) -> tuple[str, ...]:
        """The kind of a window is fixed once it is made; a trigger says so too."""
        return (*self.readonly_fields, "asset_kind") if obj else tuple(self.readonly_fields)

    def save_model(self, request: HttpRequest, obj: SettlementWindow, form: Any, change: bool) -> None:
        """Says what the edit means: from when the schedule counts, and which cut that was due is not made."""
        dropped = _due(SettlementWindow.objects.get(pk=obj.pk)) if change else None
        super().save_model(request, obj, form, change)
        obj.refresh_from_db()
        if dropped is not None and dropped <= obj.schedule_since:
            messages.warning(
                request,
                f"The cut of {dropped:%Y-%m-%d %H:%M:%S} UTC was due and is not made any more: its trades wait for the"
                " next one.",
            )
        messages.info(request, _coming(obj))

    @action(description="What would be cut?", icon="visibility", permissions=["view"])
    def preview_cut(self, request: HttpRequest, object_id: str) -> HttpResponse:
        window = self.get_object(request, object_id)
        if window is None:
            raise Http404
        return preview_page(self, request, [(f"{window.name}: {window.asset_kind}", [window.asset_kind])])

    @action(
        description="Propose automatic",
        icon="toggle_on",
        permissions=["propose"],
        dialog=dialog(
            "Propose that it goes by itself?",
            "A second person applies it; until then nothing changes. To stop it again is one person's, at once.",
            "Propose",
            AutomaticForm,
        ),
    )
    def propose_automatic(self, request: HttpRequest, form: AutomaticForm, object_id: str) -> HttpResponse:
        return proposed(request, ControlChange.Kind.WINDOW, object_id, form)

    @admin.display(description="Schedule")
    def schedule(self, window: SettlementWindow) -> str:
        where = f"{window.time_zone}, {window.calendar or 'any day'}"
        return format_html('<span class="admin-id">{}</span><br>{}', window.cron, where)

    @admin.display(description="Last cut (UTC)")
    def last_cut(self, window: SettlementWindow) -> str:
        return shown.timestamp(window.last_cut_at)

    @admin.display(description="Counts since (UTC)")
    def counts_since(self, window: SettlementWindow) -> str:
        return shown.timestamp(window.schedule_since)

    @admin.display(description="Batches")
    def batches(self, window: SettlementWindow) -> str:
        return shown.list_link("trades_settlementbatch", {"window__id__exact": window.pk}, "its batches")

    @admin.display(description="Next cut (UTC)")
    def next_cut(self, window: SettlementWindow) -> str:
        try:
            coming = next_cuts(window, clock.about_firm_now(), 1) if window.is_active else []
        except BadSchedule:
            return "can't be read"
        return shown.timestamp(coming[0]) if coming else shown.NOTHING

    @admin.display(description="Next cuts")
    def preview(self, window: SettlementWindow) -> str:
        try:
            coming = next_cuts(window, clock.about_firm_now(), CUTS_SHOWN)
        except BadSchedule as refusal:
            return refusal.text
        zone = ZoneInfo(window.time_zone)
        rows = [(f"{cut.astimezone(zone):%A, %Y-%m-%d %H:%M}", shown.timestamp(cut)) for cut in coming]
        columns = 1 if window.time_zone == "UTC" else 2
        return shown.table((window.time_zone, "UTC")[:columns], [row[:columns] for row in rows], "None within a year.")


def _due(window: SettlementWindow) -> datetime | None:
    try:
        return due_cut(window, clock.firm_now()) if window.is_active else None
    except BadSchedule:
        return None


def _coming(window: SettlementWindow) -> str:
    """A window's next three cuts, for a message."""
    if not window.is_active:
        return "The window is off: it cuts nothing."
    times = ", ".join(f"{cut:%Y-%m-%d %H:%M:%S}" for cut in next_cuts(window, clock.firm_now(), 3))
    return f"Its next cuts (UTC): {times}."
