"""An offer to trade at a price for a short while."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from accounts.ids import uuid7
from accounts.models.choices import known


class Quote(models.Model):
    """An offer: these amounts, until `expires_at`. It reserves nothing and is used at most once.

    Amounts are base units: a buy receives the base asset and delivers the counter asset, a sell the
    reverse. `fee` is in counter base units, inside `deliver_amount` on a buy, taken out of
    `receive_amount` on a sell. Rows are never updated: a quote is used when a trade names it.
    """

    class Product(models.TextChoices):
        TRADING = "trading"
        TRADING_EXIT = "trading_exit"

    class Side(models.TextChoices):
        BUY = "buy"
        SELL = "sell"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    customer = models.ForeignKey("accounts.Customer", on_delete=models.PROTECT, related_name="quotes", db_index=False)
    product_type = models.CharField(max_length=16, choices=Product)
    instrument = models.ForeignKey("quotes.Instrument", on_delete=models.PROTECT, db_index=False)
    side = models.CharField(max_length=4, choices=Side)
    price = models.DecimalField(max_digits=38, decimal_places=18, help_text="Ask for a buy, bid for a sell.")
    receive_amount = models.DecimalField(max_digits=38, decimal_places=0)
    deliver_amount = models.DecimalField(max_digits=38, decimal_places=0)
    fee = models.DecimalField(max_digits=38, decimal_places=0)
    fee_bps = models.DecimalField(
        max_digits=8,
        decimal_places=3,
        null=True,
        help_text="The fee's share of the value, in hundredths of a percent; empty where it was not noted.",
    )
    fee_fixed = models.DecimalField(
        max_digits=38, decimal_places=0, null=True, help_text="The fee's fixed part, counter base units."
    )
    reference_trade_id = models.UUIDField(null=True, blank=True, help_text="The trade that an exit quote counters.")
    issued_at = models.DateTimeField()
    expires_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=Q(receive_amount__gt=0, deliver_amount__gt=0, fee__gte=0), name="quote_amounts_positive"
            ),
            models.CheckConstraint(condition=Q(price__gt=0), name="quote_price_positive"),
            models.CheckConstraint(
                condition=Q(product_type="trading", reference_trade_id__isnull=True)
                | Q(product_type="trading_exit", reference_trade_id__isnull=False),
                name="quote_reference_fits_product",
            ),
            known("quote", "side", ["buy", "sell"]),
            known("quote", "product_type", ["trading", "trading_exit"]),
        )
        indexes = (models.Index(fields=["customer", "id"], name="quote_by_customer"),)

    def __str__(self) -> str:
        return self.pk.hex
