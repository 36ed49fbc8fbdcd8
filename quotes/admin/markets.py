"""Instruments, which operators edit, and candles, which the feed writes."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast
from uuid import UUID

import redis
from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import ValidationError
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.views import ChangeList
from unfold.widgets import UnfoldAdminSelectWidget

from accounts import clock
from accounts.admin import noting, shown
from accounts.admin.base import BoundedAdmin, BoundedList, NeverDeleted, ReadOnlyAdmin, asked_once, may
from accounts.admin.dialogs import DialogForm, ReasonForm, actor, carried_out, dialog
from accounts.money import printed
from quotes import prices, symbols
from quotes.admin.faults import WHY_NONE
from quotes.admin.held import held_shown
from quotes.conversion import turned_by
from quotes.errors import NoRefusedPrice
from quotes.hours import NEVER_CLOSES, MarketHours, Switch
from quotes.judging import Fault, is_too_wide
from quotes.models import Candle, FeedLease, Instrument, MarketSwitch, PriceHold
from quotes.models.instrument import MOVING
from quotes.prices import Price
from quotes.selectors import holds_behind, who
from quotes.services import accept_price
from quotes.switching import in_words, switch_market
from quotes.terms import HOURS, out_of_bounds

PAGE = "admin:quotes_instrument_change"
MARKETS = {"open": "success", "pre_open": "info", "close_only": "warning", "halted": "danger"}


class InstrumentForm(ModelForm):
    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        base, counter = given.get("base_asset"), given.get("counter_asset")
        symbol = given.get("symbol", self.instance.symbol)
        if base and counter and symbol != f"{base.code}-{counter.code}":
            raise ValidationError("The symbol must be the two assets' codes, e.g. BTC-USD.")
        if self.instance._state.adding:
            known = Instrument.objects.values_list("symbol", flat=True)
            if turned := turned_by(symbol, known, settings.ACCOUNT_CURRENCY):
                raise ValidationError(
                    f"{symbol} would convert {turned} another way, and with it all positions counted in {turned}. Only"
                    " the owner of the database's tables can add it."
                )
        for name, sentence in out_of_bounds(given).items():
            self.add_error(name, sentence)
        return given


class PricedInstrumentList(BoundedList):
    """Reads all prices, and whether each market trades, once per page."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        tell_prices(self.result_list)


def tell_prices(instruments: Any) -> None:
    """To each instrument whether its market trades, and its price."""
    at, hours = clock.about_firm_now(), symbols.market_hours()
    for instrument in instruments:
        instrument.market_text = _market(hours.get(instrument.symbol, NEVER_CLOSES), at)
    try:
        latest, refused = prices.latest(), prices.refused()
    except redis.RedisError:
        return
    holds = holds_behind(latest.by_symbol.values())
    for instrument in instruments:
        instrument.held_text = held_shown(latest.by_symbol.get(instrument.symbol), holds)
        instrument.price_now = latest.usable(instrument.symbol, instrument.price_age_limit_seconds)
        instrument.price_fault = latest.faults.get(instrument.symbol)
        instrument.price_refused = refused.get(instrument.symbol)


class SwitchForm(ReasonForm):
    """What the market is to do, and why."""

    field_order = ("switch", "reason")
    switch = forms.ChoiceField(
        choices=[
            (Switch.HALTED.value, "halt: nothing executes"),
            (Switch.CLOSE_ONLY.value, "close only: nothing opens"),
            (Switch.NONE.value, "follow its hours again"),
        ],
        widget=UnfoldAdminSelectWidget,
    )


class AcceptForm(DialogForm):
    """Shows both prices, and carries the refused one along: nobody accepts another than they saw."""

    seen = forms.CharField(widget=forms.HiddenInput, required=False, max_length=100)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.refused = _refused(_symbol_in(self.object_id))
        if self.refused:
            self.fields["seen"].initial = f"{self.refused.bid:f}|{self.refused.ask:f}|0"

    def render_before_template(self) -> str:
        symbol = _symbol_in(self.object_id)
        stands = prices.latest().by_symbol.get(symbol)
        holds = holds_behind([stands] if stands else [])
        rows = [
            (
                what,
                shown.number(price.bid),
                shown.number(price.ask),
                shown.timestamp(price.at),
                held_shown(price, holds),
            )
            for what, price in {"stands": stands, "refused": self.refused}.items()
            if price
        ]
        return shown.table(("", "Bid", "Ask", "As of, UTC", ""), rows, NoRefusedPrice.sentence)

    def clean_seen(self) -> Price | None:
        return prices.parsed({"seen": self.cleaned_data["seen"]}).get("seen")


@admin.register(Instrument)
class InstrumentAdmin(NeverDeleted, BoundedAdmin):
    """Every rule of a symbol. Changes take effect everywhere within a second.

    What moves a price or money is only shown once the row is there: trades/admin/instrument_changes.py changes it.
    """

    form = InstrumentForm
    list_display = (
        "symbol",
        "name",
        "is_active",
        "market_shown",
        "bid_shown",
        "ask_shown",
        "held_listed",
        "refused_listed",
        "spread_shown",
        "leverage_cap",
        "range_shown",
        "fee_shown",
    )
    list_filter = ("is_active",)
    ordering = ("symbol",)
    fieldsets = (
        (None, {"fields": ("symbol", "name", "is_active", "image_url", "base_asset", "counter_asset", "changes")}),
        (
            "Hours",
            {
                "fields": ("trading_hours", "market_now"),
                "description": "Outside its hours a market executes nothing and takes no price; what waits goes on at"
                " the first price after the opening.",
            },
        ),
        (
            "Prices",
            {
                "fields": (
                    "price_decimals",
                    "price_age_limit_seconds",
                    "jump_limit_percent",
                    "max_spread_percent",
                    "held_price",
                    "refused_price",
                    "spread_bps",
                    "markup_bps",
                    "least_sources",
                    "outlier_percent",
                    "volatility_limit_percent",
                    "quote_life_seconds",
                )
            },
        ),
        (
            "Trading",
            {
                "fields": (
                    "leverage_cap",
                    "retail_leverage_cap",
                    "leverage_tiers",
                    "hedged_margin",
                    "least_distance_bps",
                    "quantity_decimals",
                    "min_quantity",
                    "max_quantity",
                    "fee_bps",
                )
            },
        ),
        (
            "Overnight swap",
            {
                "fields": ("swap_long_bps", "swap_short_bps", "swap_triple_weekday"),
                "description": "What holding a position over the cut-off of a day brings or costs, once a night.",
            },
        ),
        ("Simulator", {"fields": ("simulator_price", "simulator_step_bps")}),
    )
    actions_detail = ("accept_refused", "switch")
    deed = "change_instrument"
    has_accept_permission = may("hold_price")
    has_switch_permission = may("halt_market")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return PricedInstrumentList

    def before_export(self, rows: list[Any]) -> None:
        tell_prices(rows)

    def get_readonly_fields(self, request: HttpRequest, obj: Instrument | None = None) -> tuple[str, ...]:
        shown_only = ("held_price", "refused_price", "changes", "market_now")
        terms = [name for name in MOVING if name != HOURS]
        return (*shown_only, *(("symbol", "base_asset", "counter_asset", "trading_hours", *terms) if obj else ()))

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        offered: list[Any] = super().get_actions_detail(request, object_id)
        if _refused(_symbol_in(object_id)):
            return offered
        return [one for one in offered if "accept" not in one.action_name]

    @action(
        description="Accept the refused price",
        icon="rule",
        variant=ActionVariant.DANGER,
        permissions=["accept"],
        dialog=dialog(
            "Accept the refused price?",
            "It is further from the one that stands than the jump limit. Accept it only if the market really is there:"
            " from then on orders execute, stop losses fire and margins are judged at it.",
            "Accept it",
            AcceptForm,
        ),
    )
    def accept_refused(self, request: HttpRequest, form: AcceptForm, object_id: str) -> HttpResponse:
        symbol, staff_id = _symbol_in(object_id), cast(UUID, request.user.pk)

        def accepted() -> Price:
            seen = form.cleaned_data["seen"]
            if seen is None:
                raise NoRefusedPrice
            price = accept_price(symbols.instrument(symbol), seen=seen, by=staff_id)
            noting.told(request, price=f"{printed(price.bid)} / {printed(price.ask)}")
            return price

        return carried_out(request, accepted, "Accepted: the feed's next prices are compared with it.", PAGE, object_id)

    @action(
        description="Halt or resume",
        icon="front_hand",
        variant=ActionVariant.DANGER,
        permissions=["switch"],
        dialog=dialog(
            "Switch this market?",
            "It takes effect within a second. Halted, nothing executes: orders are refused, stops and pending orders"
            " wait, and a stop-out leaves its positions. For closing only, nothing opens. Resumed, what waited goes on"
            " at the first price after that.",
            "Switch",
            SwitchForm,
        ),
    )
    def switch(self, request: HttpRequest, form: SwitchForm, object_id: str) -> HttpResponse:
        symbol, given = _symbol_in(object_id), form.cleaned_data

        def switched() -> MarketSwitch:
            to, reason = Switch(given["switch"]), given["reason"]
            return switch_market(symbol, to, by=actor(request), reason=reason, at=clock.firm_now())

        return carried_out(request, switched, "Switched: it counts everywhere within a second.", PAGE, object_id)

    def save_model(self, request: HttpRequest, obj: Instrument, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        symbols.forget()

    @admin.display(description="Market, UTC")
    def market_shown(self, instrument: Instrument) -> str:
        return getattr(instrument, "market_text", shown.NOTHING)

    @admin.display(description="Now, UTC")
    @asked_once
    def market_now(self, instrument: Instrument) -> str:
        if instrument._state.adding:
            return shown.NOTHING
        return _market(symbols.hours_of(instrument.symbol), clock.firm_now())

    @admin.display(description="Bid")
    def bid_shown(self, instrument: Instrument) -> str:
        price = getattr(instrument, "price_now", None)
        if price:
            return shown.number(price.bid, instrument.price_decimals)
        fault: Fault | None = getattr(instrument, "price_fault", None)
        return f"no price: {WHY_NONE[fault]}" if fault else "no fresh price"

    @admin.display(description="Ask")
    def ask_shown(self, instrument: Instrument) -> str:
        price = getattr(instrument, "price_now", None)
        return shown.number(price.ask, instrument.price_decimals) if price else shown.NOTHING

    @admin.display(description="Held")
    def held_listed(self, instrument: Instrument) -> str:
        return getattr(instrument, "held_text", "") or shown.NOTHING

    @admin.display(description="Terms that move prices or money")
    def changes(self, instrument: Instrument) -> str:
        if instrument._state.adding:
            return "Are set here once; afterwards a change is proposed by one person and applied by another."
        told = shown.list_link("quotes_instrumentchange", {"instrument__symbol__exact": instrument.symbol}, "changes")
        return format_html("Aren't edited here: propose one under {}, which state what they would fire.", told)

    @admin.display(description="Held price")
    @asked_once
    def held_price(self, instrument: Instrument) -> str:
        try:
            price = prices.latest().by_symbol.get(instrument.symbol)
        except redis.RedisError:
            return shown.NOTHING
        if price is None or not price.is_held:
            return shown.NOTHING
        return format_html(
            "{} / {} {}", printed(price.bid), printed(price.ask), held_shown(price, holds_behind([price]))
        )

    @admin.display(description="Refused")
    def refused_listed(self, instrument: Instrument) -> str:
        return _refused_text(instrument, getattr(instrument, "price_refused", None))

    @admin.display(description="Refused price")
    @asked_once
    def refused_price(self, instrument: Instrument) -> str:
        return _refused_text(instrument, _refused(instrument.symbol))

    @admin.display(description="Spread, bps")
    def spread_shown(self, instrument: Instrument) -> str:
        return shown.number(instrument.spread_bps)

    @admin.display(description="Fee, bps")
    def fee_shown(self, instrument: Instrument) -> str:
        return shown.number(instrument.fee_bps)

    @admin.display(description="Quantity")
    def range_shown(self, instrument: Instrument) -> str:
        return shown.between(instrument.min_quantity, instrument.max_quantity)


@admin.register(PriceHold)
class PriceHoldAdmin(ReadOnlyAdmin):
    """What operators held prices at, the latest first. `manage.py set_price` writes it."""

    list_display = ("when", "symbol", "number", "held_at", "by_whom", "reason")
    list_filter = ("instrument",)
    ordering = ("-id",)
    related = ("by", "by_client")
    fields = readonly_fields = ("when", "symbol", "number", "held_at", "by_whom", "reason")

    @admin.display(description="At")
    def when(self, hold: PriceHold) -> str:
        return shown.timestamp(hold.at)

    @admin.display(description="Symbol")
    def symbol(self, hold: PriceHold) -> str:
        return hold.instrument_id

    @admin.display(description="Price")
    def held_at(self, hold: PriceHold) -> str:
        if hold.bid is None or hold.ask is None:
            return "released"
        return f"{printed(hold.bid)} / {printed(hold.ask)}"

    @admin.display(description="By")
    def by_whom(self, hold: PriceHold) -> str:
        return who(hold)


@admin.register(FeedLease)
class FeedLeaseAdmin(ReadOnlyAdmin):
    """The feed that publishes."""

    list_display = ("holder", "epoch", "taken", "renewed")
    fields = readonly_fields = ("holder", "epoch", "taken", "renewed")

    @admin.display(description="Speaks since")
    def taken(self, lease: FeedLease) -> str:
        return shown.timestamp(lease.taken_at)

    @admin.display(description="Renewed")
    def renewed(self, lease: FeedLease) -> str:
        return shown.age(lease.renewed_at, clock.now())


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
        return shown.timestamp(candle.minute)

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


def _market(hours: MarketHours, at: datetime) -> str:
    phase = hours.state_at(at).phase.value
    return shown.chip(phase, MARKETS, in_words(hours, at).removeprefix(phase.replace("_", " ")).strip(", "))


def _symbol_in(object_id: object) -> str:
    """The symbol in a page's path."""
    return unquote(str(object_id))


def _refused(symbol: str) -> Price | None:
    """The refused price of a symbol; none, too, while Redis is away."""
    try:
        return prices.refused().get(symbol)
    except redis.RedisError:
        return None


def _refused_text(instrument: Instrument, price: Price | None) -> str:
    if price is None:
        return shown.NOTHING
    why = WHY_NONE[Fault.SPREAD if is_too_wide(price.bid, price.ask, instrument.max_spread_percent) else Fault.JUMP]
    return shown.chip("refused", {"refused": "danger"}, f"{printed(price.bid)} / {printed(price.ask)}, {why}")
