"""Settlement windows: when batches are cut, with what that means for the coming days."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import admin
from django.utils import timezone
from unfold.widgets import UnfoldAdminSelectWidget

from accounts.admin import shown
from accounts.admin.base import DeskAdmin, NeverDeleted
from accounts.models import Asset
from trades.errors import BadSchedule
from trades.models import SettlementWindow
from trades.settlement.windows import next_cuts

CUTS_SHOWN = 8


class WindowForm(forms.ModelForm):
    asset_kind = forms.ChoiceField(choices=Asset.Type.choices, widget=UnfoldAdminSelectWidget)

    class Meta:
        model = SettlementWindow
        fields = ("name", "asset_kind", "cron", "time_zone", "calendar", "is_active", "is_automatic")

    def clean(self) -> dict[str, Any]:
        """A schedule that can't be read, or never comes, is refused here and not found out at the cut."""
        given: dict[str, Any] = super().clean() or {}
        if not self.errors:
            schedule = {name: given[name] for name in ("name", "cron", "time_zone", "calendar")}
            try:
                coming = next_cuts(SettlementWindow(**schedule), timezone.now(), 1)
            except BadSchedule as refusal:
                raise forms.ValidationError(refusal.text) from None
            if not coming:
                raise forms.ValidationError("This schedule has no cut within a year.")
        return given


@admin.register(SettlementWindow)
class SettlementWindowAdmin(NeverDeleted, DeskAdmin):
    form = WindowForm
    list_display = ("name", "asset_kind", "cron", "time_zone", "calendar", "is_active", "is_automatic", "next_cut")
    list_filter = ("is_active", "asset_kind")
    ordering = ("name",)
    readonly_fields = ("preview",)
    fieldsets = (
        (None, {"fields": ("name", "asset_kind", "is_active", "is_automatic")}),
        ("Schedule", {"fields": ("cron", "time_zone", "calendar", "preview")}),
    )
    add_fieldsets = (
        (None, {"fields": ("name", "asset_kind", "is_active", "is_automatic")}),
        ("Schedule", {"fields": ("cron", "time_zone", "calendar")}),
    )

    @admin.display(description="Next cut (UTC)")
    def next_cut(self, window: SettlementWindow) -> str:
        try:
            coming = next_cuts(window, timezone.now(), 1) if window.is_active else []
        except BadSchedule:
            return "can't be read"
        return shown.moment(coming[0]) if coming else shown.NOTHING

    @admin.display(description="Next cuts")
    def preview(self, window: SettlementWindow) -> str:
        try:
            coming = next_cuts(window, timezone.now(), CUTS_SHOWN)
        except BadSchedule as refusal:
            return refusal.text
        zone = ZoneInfo(window.time_zone)
        rows = [(f"{cut.astimezone(zone):%A, %Y-%m-%d %H:%M}", shown.moment(cut)) for cut in coming]
        return shown.table((window.time_zone, "UTC"), rows, "None within a year.")
