"""Everything that happened to orders and margin accounts, to read on from wherever one is."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.views import ChangeList

from accounts import clock
from accounts.admin import shown
from accounts.admin.base import ReadOnlyAdmin
from accounts.admin.by_day import MadeFilter, made_within
from accounts.ids import pasted_guid
from accounts.models import Customer
from trades.admin.keyset import KeysetList
from trades.admin.order_events import KINDS, codes_of, read_exactly, told
from trades.models import Order, OrderEvent


class KindFilter(admin.SimpleListFilter):
    """Only says what is wanted: the list applies it, no further than a page may look."""

    title, parameter_name = "kind", "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(kind.value, kind.value.replace("_", " ")) for kind in OrderEvent.Kind]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset


class DayFilter(admin.SimpleListFilter):
    """UTC days, by the time in the ids."""

    title, parameter_name = "day", "day"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("today", "Today"), ("yesterday", "Yesterday"), ("week", "Last 7 days")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        today = clock.about_firm_now().date()
        first, days = {
            "today": (today, 1),
            "yesterday": (today - timedelta(days=1), 1),
            "week": (today - timedelta(days=6), 7),
        }.get(self.value() or "", (None, 0))
        return queryset if first is None else of_days(queryset, first, days)


class EventList(KeysetList):
    unindexed = ("kind",)

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        tell_codes(self.result_list)


def tell_codes(events: Any) -> None:
    """To each event its order's orderId."""
    codes = codes_of(events)
    for event in events:
        event.order_code = codes.get(event.order_id)


@admin.register(OrderEvent)
class OrderEventAdmin(ReadOnlyAdmin):
    """Search by orderId, customer, e-mail address or day (2026-01-31), or by several of them at once."""

    list_display = ("when", "kind_label", "order_link", "customer_name", "detail_told")
    list_filter = (KindFilter, DayFilter, MadeFilter)
    related = ("customer",)
    search_guids = ("customer_id",)
    search_help_text = "orderId, customer, e-mail, day"
    fields = readonly_fields = ("when", "kind_label", "order_link", "customer_name", "detail_told", "command", "guid")

    def get_queryset(self, request: HttpRequest) -> QuerySet[OrderEvent]:
        return read_exactly(super().get_queryset(request))

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return EventList

    def before_export(self, rows: list[Any]) -> None:
        tell_codes(rows)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> OrderEvent | None:
        event: OrderEvent | None = super().get_object(request, object_id, from_field)
        if event is not None:
            event.order_code = codes_of([event]).get(event.order_id)  # type: ignore[attr-defined, arg-type]
        return event

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        for word in search_term.split():
            queryset = _with(queryset, word)
        return queryset, False

    @admin.display(description="At")
    def when(self, event: OrderEvent) -> str:
        return shown.timestamp(event.at)

    @admin.display(description="What")
    def kind_label(self, event: OrderEvent) -> str:
        return shown.chip(event.kind, KINDS)

    @admin.display(description="Order")
    def order_link(self, event: OrderEvent) -> str:
        return shown.link("trades_order", event.order_id, event.order_code)  # type: ignore[attr-defined]

    @admin.display(description="Customer")
    def customer_name(self, event: OrderEvent) -> str:
        return shown.customer_link(event.customer)

    @admin.display(description="Detail")
    def detail_told(self, event: OrderEvent) -> str:
        return told(event)

    @admin.display(description="Command")
    def command(self, event: OrderEvent) -> str:
        return shown.guid(event.command_id) if event.command_id else "none: a price or the clock did it"

    @admin.display(description="Guid")
    def guid(self, event: OrderEvent) -> str:
        return shown.guid(event.pk)


def of_days(events: QuerySet[Any], first: date, days: int = 1) -> QuerySet[Any]:
    """Those of `days` UTC days of the firm's time from `first` on: a range of the primary key."""
    return made_within(events, first, first + timedelta(days=days - 1), clock.real_of)


def _with(events: QuerySet[Any], word: str) -> QuerySet[Any]:
    """The events that one word of a search means, by an index; none for a word that means nothing."""
    try:
        return of_days(events, date.fromisoformat(word))
    except (ValueError, OverflowError):
        pass
    if "@" in word:
        customer = Customer.objects.filter(user__email=word.lower()).first()
        return events.filter(customer_id=customer.pk) if customer else events.none()
    guid = pasted_guid(word)
    if guid is not None and Customer.objects.filter(pk=guid).exists():
        return events.filter(customer_id=guid)
    order = _order(guid, word)
    return events.none() if order is None else events.filter(customer_id=order[0], pk__gte=order[1], order_id=order[1])


def _order(guid: UUID | None, code: str) -> tuple[UUID, UUID] | None:
    """Customer and id of the order that is meant."""
    if "\x00" in code:
        return None
    orders = Order.objects.filter(pk=guid) if guid else Order.objects.filter(code=code)
    return orders.values_list("customer_id", "pk").first()
