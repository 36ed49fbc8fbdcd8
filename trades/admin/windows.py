"""Settlement windows: when batches are cut, with what that means for the coming days."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.html import format_html
from unfold.decorators import action
from unfold.widgets import UnfoldAdminSelectWidget

from accounts import clock
from accounts.admin import shown
from accounts.admin.base import BoundedAdmin, NeverDeleted
from accounts.models import Asset
from trades.admin.preview import preview_page
from trades.errors import BadSchedule
from trades.models import SettlementWindow
from trades.settlement.windows import next_cuts

CUTS_SHOWN = 10


class WindowForm(forms.ModelForm):
    asset_kind = forms.ChoiceField(choices=Asset.Type.choices, widget=UnfoldAdminSelectWidget)

    class Meta:
        model = SettlementWindow
        fields = (
            "name",
            "asset_kind",
            "cron",
            "time_zone",
            "calendar",
            "is_active",
            "is_automatic",
            "legs_are_automatic",
        )

    def clean(self) -> dict[str, Any]:
        """A schedule that can't be read, or never comes, is refused here and not found out at the cut."""
        given: dict[str, Any] = super().clean() or {}
        if not self.errors:
            schedule = {name: given[name] for name in ("name", "cron", "time_zone", "calendar")}
            try:
                coming = next_cuts(SettlementWindow(**schedule), clock.about_now(), 1)
            except BadSchedule as refusal:
                raise forms.ValidationError(refusal.text) from None
            if not coming:
                raise forms.ValidationError("This schedule has no cut within a year.")
        return given


@admin.register(SettlementWindow)
class SettlementWindowAdmin(NeverDeleted, BoundedAdmin):
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
    readonly_fields = ("last_cut", "batches", "preview")
    fieldsets = (
        (
            None,
            {
                "fields": ("name", "asset_kind", "is_active", "is_automatic", "legs_are_automatic"),
                "description": "The kind of asset is fixed once a window is made. To settle another kind, add a window"
                " and switch this one off.",
            },
        ),
        ("Schedule", {"fields": ("cron", "time_zone", "calendar", "last_cut", "batches", "preview")}),
    )
    add_fieldsets = (
        (None, {"fields": ("name", "asset_kind", "is_active", "is_automatic", "legs_are_automatic")}),
        ("Schedule", {"fields": ("cron", "time_zone", "calendar")}),
    )
    actions_detail = ("preview_cut",)

    def get_readonly_fields(self, request: HttpRequest, obj: SettlementWindow | None = None) -> tuple[str, ...]:
        """The kind of a window is fixed once it is made; a trigger says so too."""
        return (*self.readonly_fields, "asset_kind") if obj else tuple(self.readonly_fields)

    @action(description="What would be cut?", icon="visibility", permissions=["view"])
    def preview_cut(self, request: HttpRequest, object_id: str) -> HttpResponse:
        window = self.get_object(request, object_id)
        if window is None:
            raise Http404
        return preview_page(self, request, [(f"{window.name}: {window.asset_kind}", [window.asset_kind])])

    @admin.display(description="Schedule")
    def schedule(self, window: SettlementWindow) -> str:
        where = f"{window.time_zone}, {window.calendar or 'any day'}"
        return format_html('<span class="admin-id">{}</span><br>{}', window.cron, where)

    @admin.display(description="Last cut (UTC)")
    def last_cut(self, window: SettlementWindow) -> str:
        return shown.timestamp(window.last_cut_at)

    @admin.display(description="Batches")
    def batches(self, window: SettlementWindow) -> str:
        return shown.list_link("trades_settlementbatch", {"window__id__exact": window.pk}, "its batches")

    @admin.display(description="Next cut (UTC)")
    def next_cut(self, window: SettlementWindow) -> str:
        try:
            coming = next_cuts(window, clock.about_now(), 1) if window.is_active else []
        except BadSchedule:
            return "can't be read"
        return shown.timestamp(coming[0]) if coming else shown.NOTHING

    @admin.display(description="Next cuts")
    def preview(self, window: SettlementWindow) -> str:
        try:
            coming = next_cuts(window, clock.about_now(), CUTS_SHOWN)
        except BadSchedule as refusal:
            return refusal.text
        zone = ZoneInfo(window.time_zone)
        rows = [(f"{cut.astimezone(zone):%A, %Y-%m-%d %H:%M}", shown.timestamp(cut)) for cut in coming]
        return shown.table((window.time_zone, "UTC"), rows, "None within a year.")
