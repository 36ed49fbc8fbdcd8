"""Quotes, to read: what was offered to whom, until when."""

from __future__ import annotations

from django.contrib import admin

from accounts.admin import shown
from accounts.admin.base import ReadOnlyAdmin
from accounts.models import Asset
from quotes.models import Quote


@admin.register(Quote)
class QuoteAdmin(ReadOnlyAdmin):
    list_display = (
        "short_guid",
        "customer_name",
        "product_type",
        "symbol",
        "side_label",
        "price_shown",
        "received_shown",
        "delivered_shown",
        "fee_shown",
        "issued",
        "expires",
    )
    list_filter = ("product_type", "side", "instrument", "asset")
    related = ("customer", "asset", "instrument__base_asset", "instrument__counter_asset")
    search_guids = ("pk", "customer_id")
    search_customer = "customer_id"
    fields = (
        ("guid", "product_type"),
        ("customer_name", "side_label"),
        ("instrument", "asset", "price_shown"),
        ("received_shown", "delivered_shown", "fee_shown"),
        ("issued", "expires", "reference"),
    )
    readonly_fields = tuple(name for row in fields for name in row)

    @admin.display(description="Quote")
    def short_guid(self, quote: Quote) -> str:
        return shown.short_guid(quote.pk)

    @admin.display(description="Guid")
    def guid(self, quote: Quote) -> str:
        return shown.guid(quote.pk)

    @admin.display(description="Symbol or asset")
    def symbol(self, quote: Quote) -> str:
        return quote.instrument_id or quote.asset_id or shown.NOTHING

    @admin.display(description="Customer")
    def customer_name(self, quote: Quote) -> str:
        return shown.customer_link(quote.customer)

    @admin.display(description="Side")
    def side_label(self, quote: Quote) -> str:
        return shown.chip(
            quote.side, {"buy": "success", "sell": "danger", "deposit": "success", "withdrawal": "danger"}
        )

    @admin.display(description="Price")
    def price_shown(self, quote: Quote) -> str:
        if quote.instrument is None or quote.price is None:
            return shown.NOTHING
        return shown.number(quote.price, quote.instrument.price_decimals)

    @admin.display(description="Receives")
    def received_shown(self, quote: Quote) -> str:
        return shown.amount(quote.receive_amount, _assets(quote)[0])

    @admin.display(description="Delivers")
    def delivered_shown(self, quote: Quote) -> str:
        return shown.amount(quote.deliver_amount, _assets(quote)[1])

    @admin.display(description="Fee")
    def fee_shown(self, quote: Quote) -> str:
        return shown.amount(quote.fee, _assets(quote)[2])

    @admin.display(description="Issued")
    def issued(self, quote: Quote) -> str:
        return shown.timestamp(quote.issued_at)

    @admin.display(description="Expires")
    def expires(self, quote: Quote) -> str:
        return shown.timestamp(quote.expires_at)

    @admin.display(description="Counters trade")
    def reference(self, quote: Quote) -> str:
        return shown.guid(quote.reference_trade_id)


def _assets(quote: Quote) -> tuple[Asset, Asset, Asset]:
    """What is received, what is delivered, and what the fee is in."""
    if quote.asset is not None:
        return quote.asset, quote.asset, quote.asset
    assert quote.instrument is not None
    base, counter = quote.instrument.base_asset, quote.instrument.counter_asset
    return (base, counter, counter) if quote.side == Quote.Side.BUY else (counter, base, counter)
