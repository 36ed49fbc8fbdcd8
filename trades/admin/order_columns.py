"""How the admin shows an order, whatever its state: what its list, its page and the open positions have alike."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.admin import shown
from accounts.admin.base import ReadOnlyAdmin, ReadOnlyInline, asked_once
from accounts.db.pipeline import pipeline
from accounts.models import Asset
from trades.admin.execution import execution_table
from trades.admin.movements import movements_of
from trades.admin.order_events import account_currency, events_of
from trades.engine.price_extremes import peaks
from trades.models import Deal, Order
from trades.states import OrderStatus

SIDES = {"buy": "success", "sell": "danger"}
STATUSES = {"OPEN": "info", "PENDING": "warning", "CLOSED": "", "CANCELLED": ""}
MOST_PARTS = 50


class DealInline(ReadOnlyInline):
    model = Deal
    fields = readonly_fields = ("when", "kind", "price_shown", "quantity_shown", "profit_shown", "rate_shown", "reason")
    related = ("order__instrument",)

    @admin.display(description="At")
    def when(self, deal: Deal) -> str:
        return shown.timestamp(deal.at)

    @admin.display(description="Price")
    def price_shown(self, deal: Deal) -> str:
        return shown.number(deal.price, deal.order.instrument.price_decimals)

    @admin.display(description="Quantity")
    def quantity_shown(self, deal: Deal) -> str:
        return shown.number(deal.quantity)

    @admin.display(description="Profit")
    def profit_shown(self, deal: Deal) -> str:
        return shown.gain(deal.profit, account_currency())

    @admin.display(description="Conversion rate")
    def rate_shown(self, deal: Deal) -> str:
        """At which prices its money was converted to the account currency, and as of when; nothing where it wasn't."""
        if deal.rate_multiplier is None or deal.rate_divisor is None:
            return shown.NOTHING
        rate = shown.number((deal.rate_multiplier / deal.rate_divisor).normalize())
        return format_html("{} ({}, {})", rate, deal.rate_path, shown.timestamp(deal.rate_at))


class OrderColumns(ReadOnlyAdmin):
    """Only the engine writes orders: here they are read."""

    related = ("customer", "instrument")
    search_texts = ("code",)
    search_guids = ("pk", "customer_id")
    search_customer = "customer_id"
    inlines = (DealInline,)

    @admin.display(description="Order")
    def code_label(self, order: Order) -> str:
        """A closed part is told from whole orders at a glance."""
        return format_html("{} {}", order.code, shown.chip("part", {})) if order.parent_id else order.code

    @admin.display(description="Symbol")
    def symbol(self, order: Order) -> str:
        return order.instrument_id

    @admin.display(description="Customer")
    def customer_name(self, order: Order) -> str:
        return shown.customer_link(order.customer)

    @admin.display(description="Side")
    def side_label(self, order: Order) -> str:
        return shown.chip(order.side, SIDES)

    @admin.display(description="Status")
    def status_label(self, order: Order) -> str:
        return shown.chip(order.status, STATUSES, order.close_reason.replace("_", " "))

    @admin.display(description="Quantity")
    def quantity_shown(self, order: Order) -> str:
        return shown.number(order.quantity)

    @admin.display(description="Leverage")
    def leverage_shown(self, order: Order) -> str:
        return f"{order.leverage} ×"

    @admin.display(description="Margin")
    def margin_shown(self, order: Order) -> str:
        return shown.amount(order.margin, currency_of(order))

    @admin.display(description="Requested price")
    def price_shown(self, order: Order) -> str:
        return price_text(order, order.price)

    @admin.display(description="Open price")
    def open_price_shown(self, order: Order) -> str:
        return price_text(order, order.open_price)

    @admin.display(description="Opens at")
    def entry_shown(self, order: Order) -> SafeString:
        """Where it opened; of one that never did, where it would have."""
        if order.open_price is None and order.price is not None:
            return format_html("{} {}", price_text(order, order.price), shown.chip(order.type, {}))
        return price_text(order, order.open_price)

    @admin.display(description="Close price")
    def close_price_shown(self, order: Order) -> str:
        return price_text(order, order.close_price)

    @admin.display(description="Stop loss")
    def stop_loss_shown(self, order: Order) -> str:
        return price_text(order, order.stop_loss)

    @admin.display(description="Take profit")
    def take_profit_shown(self, order: Order) -> str:
        return price_text(order, order.take_profit)

    @admin.display(description="Protection")
    def protection(self, order: Order) -> SafeString:
        """Stop loss, take profit and the trailing stop's distance in one column, those that there are."""
        limits = (("SL", order.stop_loss), ("TP", order.take_profit), ("trails by", order.trailing_stop))
        parts = [format_html("{} {}", name, price_text(order, value)) for name, value in limits if value is not None]
        return format_html('<span class="admin-figures">{}</span>', shown.joined(parts) if parts else shown.NOTHING)

    @admin.display(description="Trailing stop")
    @asked_once
    def trailing_stop_shown(self, order: Order) -> str:
        """Its distance; of an open order, since when it follows the price and where it would fire by now."""
        distance = price_text(order, order.trailing_stop)
        if order.trailing_stop is None or order.trail_at is None:
            return distance
        if order.status != OrderStatus.OPEN:
            return format_html("{} behind the best price since {}", distance, shown.timestamp(order.trail_at))
        row: Any = order  # the model has every field that is asked for
        with pipeline() as p:
            best = peaks(p, [row])[order.pk]
        fires_at = best - order.trailing_stop if order.side == "buy" else best + order.trailing_stop
        return format_html(
            "{} behind the best price since {}: fires at {}",
            distance,
            shown.timestamp(order.trail_at),
            price_text(order, fires_at),
        )

    @admin.display(description="Profit")
    def profit_shown(self, order: Order) -> str:
        return shown.gain(order.profit, currency_of(order))

    @admin.display(description="Swap")
    def swap_shown(self, order: Order) -> str:
        return shown.gain(order.swap, currency_of(order))

    @admin.display(description="Fee")
    def fee_shown(self, order: Order) -> str:
        return shown.amount(order.fee, currency_of(order))

    @admin.display(description="Created", ordering="pk")
    def created(self, order: Order) -> str:
        return shown.timestamp(order.created_at)

    @admin.display(description="Opened")
    def opened(self, order: Order) -> str:
        return shown.timestamp(order.opened_at)

    @admin.display(description="Ended")
    def ended(self, order: Order) -> str:
        return shown.timestamp(order.closed_at)

    @admin.display(description="Taken from")
    @asked_once
    def parent(self, order: Order) -> str:
        if order.parent_id is None:
            return shown.NOTHING
        code = Order.objects.filter(pk=order.parent_id).values_list("code", flat=True).first()
        return shown.link("trades_order", order.parent_id, code or order.parent_id.hex)

    @admin.display(description="Closed parts")
    @asked_once
    def parts(self, order: Order) -> str:
        return parts_of(order)

    @admin.display(description="Guid")
    def guid(self, order: Order) -> str:
        return shown.guid(order.pk)

    @admin.display(description="Prices")
    @asked_once
    def execution(self, order: Order) -> str:
        return execution_table(order)

    @admin.display(description="Movements")
    @asked_once
    def movements(self, order: Order) -> str:
        return movements_of(order.customer_id, order.pk)

    @admin.display(description="Events")
    @asked_once
    def events(self, order: Order) -> str:
        return events_of(order)


DETAIL: tuple[tuple[str | None, dict[str, Any]], ...] = (
    (
        None,
        {
            "fields": (
                ("code", "status_label"),
                ("customer_name", "client_order_id"),
                ("instrument", "side_label"),
                ("quantity_shown", "leverage_shown", "margin_shown"),
            )
        },
    ),
    (
        "Prices",
        {
            "fields": (
                ("type", "price_shown", "open_price_shown"),
                ("stop_loss_shown", "take_profit_shown"),
                "trailing_stop_shown",
            )
        },
    ),
)
BOOKKEEPING: tuple[tuple[str | None, dict[str, Any]], ...] = (
    ("Which price it was", {"fields": ("execution",)}),
    ("History", {"fields": ("events", "parent", "parts")}),
    ("Money", {"fields": ("movements",)}),
    ("Bookkeeping", {"fields": (("created", "opened"), "guid")}),
)


def parts_of(order: Order) -> str:
    """The parts that were closed of an order: orders of their own in the customer's history since it opened."""
    if order.opened_at is None or order.parent_id is not None:
        return "None."
    closed = Order.objects.filter(
        customer_id=order.customer_id, status=OrderStatus.CLOSED, closed_at__gte=order.opened_at, parent_id=order.pk
    )
    parts = list(closed.order_by("closed_at", "pk")[: MOST_PARTS + 1])
    rows = [
        (
            shown.link("trades_order", part.pk, part.code),
            shown.number(part.quantity),
            price_text(order, part.close_price),
            shown.gain(part.profit, currency_of(order)),
            shown.timestamp(part.closed_at),
        )
        for part in parts[:MOST_PARTS]
    ]
    table = shown.table(("Part", "Quantity", "Close price", "Profit", "Closed"), rows, "None.")
    return format_html("{}<p>The first {}.</p>", table, MOST_PARTS) if len(parts) > MOST_PARTS else table


def currency_of(_: Order) -> Asset:
    """An order's money is in the account currency, whatever its instrument is counted in."""
    return account_currency()


def price_text(order: Order, value: Any) -> SafeString:
    return shown.number(value, order.instrument.price_decimals)
