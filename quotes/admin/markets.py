"""Instruments, which operators edit, and candles, which the feed writes."""

from __future__ import annotations

from typing import Any

import redis
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.forms import ModelForm
from django.http import HttpRequest
from unfold.views import ChangeList

from accounts.admin import shown
from accounts.admin.base import DeskAdmin, DeskList, NeverDeleted, ReadOnlyAdmin
from quotes import prices, symbols
from quotes.models import Candle, Instrument


class InstrumentForm(ModelForm):
    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        base, counter = given.get("base_asset"), given.get("counter_asset")
        symbol = given.get("symbol", self.instance.symbol)
        if base and counter and symbol != f"{base.code}-{counter.code}":
            raise ValidationError("The symbol must be the two assets' codes, e.g. BTC-USD.")
        for name in ("simulator_price", "min_quantity"):
            if (value := given.get(name)) is not None and value <= 0:
                self.add_error(name, "Must be greater than 0.")
        for name in ("spread_bps", "fee_bps", "simulator_step_bps"):
            if (value := given.get(name)) is not None and not 0 <= value < 10_000:
                self.add_error(name, "Must be from 0 to below 10000.")
        for name in ("price_decimals", "quantity_decimals"):
            if (value := given.get(name)) is not None and value > 18:
                self.add_error(name, "At most 18.")
        return given


class PricedList(DeskList):
    """Reads all prices once per page."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        try:
            latest = prices.latest()
        except redis.RedisError:
            return
        for instrument in self.result_list:
            instrument.price_now = latest.usable(instrument.symbol, instrument.price_age_limit_seconds)


@admin.register(Instrument)
class InstrumentAdmin(NeverDeleted, DeskAdmin):
    """Every rule of a symbol. Changes take effect everywhere within a second."""

    form = InstrumentForm
    list_display = (
        "symbol",
        "name",
        "is_active",
        "bid_shown",
        "ask_shown",
        "spread_shown",
        "leverage_cap",
        "range_shown",
        "fee_shown",
    )
    list_filter = ("is_active",)
    ordering = ("symbol",)
    fieldsets = (
        (None, {"fields": ("symbol", "name", "is_active", "image_url", "base_asset", "counter_asset")}),
        (
            "Prices",
            {
                "fields": (
                    "price_decimals",
                    "price_age_limit_seconds",
                    "spread_bps",
                    "volatility_limit_percent",
                    "quote_life_seconds",
                )
            },
        ),
        ("Trading", {"fields": ("leverage_cap", "quantity_decimals", "min_quantity", "max_quantity", "fee_bps")}),
        ("Simulator", {"fields": ("simulator_price", "simulator_step_bps")}),
    )

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return PricedList

    def get_readonly_fields(self, request: HttpRequest, obj: Instrument | None = None) -> tuple[str, ...]:
        return ("symbol", "base_asset", "counter_asset") if obj else ()

    def save_model(self, request: HttpRequest, obj: Instrument, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        symbols.forget()

    @admin.display(description="Bid")
    def bid_shown(self, instrument: Instrument) -> str:
        price = getattr(instrument, "price_now", None)
        return shown.number(price.bid, instrument.price_decimals) if price else "no fresh price"

    @admin.display(description="Ask")
    def ask_shown(self, instrument: Instrument) -> str:
        price = getattr(instrument, "price_now", None)
        return shown.number(price.ask, instrument.price_decimals) if price else shown.NOTHING

    @admin.display(description="Spread, bps")
    def spread_shown(self, instrument: Instrument) -> str:
        return shown.number(instrument.spread_bps)

    @admin.display(description="Fee, bps")
    def fee_shown(self, instrument: Instrument) -> str:
        return shown.number(instrument.fee_bps)

    @admin.display(description="Quantity")
    def range_shown(self, instrument: Instrument) -> str:
        return shown.between(instrument.min_quantity, instrument.max_quantity)


@admin.register(Candle)
class CandleAdmin(ReadOnlyAdmin):
    list_display = ("when", "symbol", "opened_shown", "highest_shown", "lowest_shown", "closed_shown", "trade_count")
    list_filter = ("instrument",)
    related = ("instrument",)
    fields = readonly_fields = (
        "instrument",
        "when",
        "opened_shown",
        "highest_shown",
        "lowest_shown",
        "closed_shown",
        "trade_count",
    )

    @admin.display(description="Symbol")
    def symbol(self, candle: Candle) -> str:
        return candle.instrument_id

    @admin.display(description="Minute")
    def when(self, candle: Candle) -> str:
        return shown.moment(candle.minute)

    @admin.display(description="Open")
    def opened_shown(self, candle: Candle) -> str:
        return shown.number(candle.open, candle.instrument.price_decimals)

    @admin.display(description="High")
    def highest_shown(self, candle: Candle) -> str:
        return shown.number(candle.high, candle.instrument.price_decimals)

    @admin.display(description="Low")
    def lowest_shown(self, candle: Candle) -> str:
        return shown.number(candle.low, candle.instrument.price_decimals)

    @admin.display(description="Close")
    def closed_shown(self, candle: Candle) -> str:
        return shown.number(candle.close, candle.instrument.price_decimals)
