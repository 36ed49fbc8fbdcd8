"""Trading hours, which are made once and never changed, and what operators have said of markets."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.forms import ModelForm
from django.http import HttpRequest

from accounts import clock
from accounts.admin import shown
from accounts.admin.base import BoundedAdmin, NeverDeleted, ReadOnlyAdmin
from quotes.hours import MarketHours
from quotes.models import MarketSwitch, TradingHours
from quotes.switching import in_words

_TERMS = ("time_zone", "sessions", "calendar", "closed_days", "pre_open_minutes")


class HoursForm(ModelForm):
    """The model's own `clean` says what can't be read."""

    class Meta:
        model = TradingHours
        fields = ("name", *_TERMS)


@admin.register(TradingHours)
class TradingHoursAdmin(NeverDeleted, BoundedAdmin):
    """A market gets other hours by a change of its instrument, which two persons decide."""

    deed = "change_instrument"
    form = HoursForm
    list_display = ("name", "sessions", "time_zone", "calendar", "closed_days", "pre_open_minutes", "now_shown")
    ordering = ("name",)
    fields = readonly_fields = ("name", *_TERMS, "now_shown")

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: object = None) -> Any:
        return self.readonly_fields if obj else ("now_shown",)

    @admin.display(description="Now, UTC")
    def now_shown(self, row: TradingHours) -> str:
        if row._state.adding:
            return shown.NOTHING
        return in_words(MarketHours(row.as_hours()), clock.about_firm_now())


@admin.register(MarketSwitch)
class MarketSwitchAdmin(ReadOnlyAdmin):
    """Who halted which market, or let it be closed only, and who let it follow its hours again: the latest first."""

    list_display = ("when", "symbol", "number", "switch", "by_whom", "reason")
    list_filter = ("instrument", "switch")
    ordering = ("-id",)
    related = ("by",)
    fields = readonly_fields = ("when", "symbol", "number", "switch", "by_whom", "reason")

    @admin.display(description="At")
    def when(self, one: MarketSwitch) -> str:
        return shown.timestamp(one.at)

    @admin.display(description="Symbol")
    def symbol(self, one: MarketSwitch) -> str:
        return one.instrument_id

    @admin.display(description="By")
    def by_whom(self, one: MarketSwitch) -> str:
        return shown.who(one.by, otherwise="the command line")
