"""An offer for a short while: to trade at a price, or to move money."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from accounts import request_id
from accounts.ids import uuid7
from accounts.models.choices import known


class Quote(models.Model):
    """An offer: these amounts, until `expires_at`. It reserves nothing and is used at most once.

    Amounts are base units. To trade, a buy receives the base asset and delivers the counter asset, a sell the
    reverse; `fee` is in counter base units, inside `deliver_amount` on a buy, taken out of `receive_amount` on a sell.
    To move money there is one `asset` and no price: `deliver_amount` leaves where it was, and `receive_amount` arrives,
    less by the fee. What moves between two customers is the delivering one's quote, and a `deposit`, as the published
    clients call it. Rows are never updated: a quote is used when a trade or a payment names it.
    """

    class Product(models.TextChoices):
        TRADING = "trading"
        TRADING_EXIT = "trading_exit"
        FUNDING = "funding"
        BOOK_TRANSFER = "book_transfer"

    class Side(models.TextChoices):
        BUY = "buy"
        SELL = "sell"
        DEPOSIT = "deposit"
        WITHDRAWAL = "withdrawal"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    customer = models.ForeignKey("accounts.Customer", on_delete=models.PROTECT, related_name="quotes", db_index=False)
    product_type = models.CharField(max_length=16, choices=Product)
    instrument = models.ForeignKey(
        "quotes.Instrument", null=True, on_delete=models.PROTECT, db_index=False, help_text="What is traded."
    )
    asset = models.ForeignKey(
        "accounts.Asset",
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
        help_text="What is moved; empty where something is traded.",
    )
    side = models.CharField(max_length=10, choices=Side)
    price = models.DecimalField(
        max_digits=38, decimal_places=18, null=True, help_text="Ask for a buy, bid for a sell; empty for money."
    )
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
        max_digits=38, decimal_places=0, null=True, help_text="The fee's fixed part, in base units of the fee."
    )
    reference_trade_id = models.UUIDField(null=True, blank=True, help_text="The trade that an exit quote counters.")
    external_id = models.CharField(max_length=64, null=True, blank=True, help_text="What the partner calls this quote.")
    issued_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    request_id = models.CharField(
        max_length=128,
        null=True,
        editable=False,
        default=request_id.current,
        help_text="The HTTP request that it was made for.",
    )

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=Q(receive_amount__gt=0, deliver_amount__gt=0, fee__gte=0), name="quote_amounts_positive"
            ),
            models.CheckConstraint(condition=Q(price__gt=0), name="quote_price_positive"),
            models.CheckConstraint(
                condition=Q(product_type__in=["trading", "funding", "book_transfer"], reference_trade_id__isnull=True)
                | Q(product_type="trading_exit", reference_trade_id__isnull=False),
                name="quote_reference_fits_product",
            ),
            models.CheckConstraint(
                condition=Q(
                    product_type__in=["trading", "trading_exit"],
                    instrument__isnull=False,
                    price__isnull=False,
                    asset__isnull=True,
                    side__in=["buy", "sell"],
                )
                | Q(
                    product_type="funding",
                    instrument__isnull=True,
                    price__isnull=True,
                    asset__isnull=False,
                    side__in=["deposit", "withdrawal"],
                    deliver_amount=F("receive_amount") + F("fee"),
                )
                | Q(
                    product_type="book_transfer",
                    instrument__isnull=True,
                    price__isnull=True,
                    asset__isnull=False,
                    side="deposit",
                    deliver_amount=F("receive_amount") + F("fee"),
                ),
                name="quote_says_what_its_product_needs",
            ),
            known("quote", "side", ["buy", "sell", "deposit", "withdrawal"]),
            known("quote", "product_type", ["trading", "trading_exit", "funding", "book_transfer"]),
        )
        # Quotes are found by what few of them have: such an index costs the others nothing.
        indexes = (
            models.Index(fields=["customer", "id"], name="quote_by_customer"),
            models.Index(
                fields=["reference_trade_id", "id"],
                condition=Q(reference_trade_id__isnull=False),
                name="quote_by_reference",
            ),
            models.Index(
                fields=["external_id", "id"], condition=Q(external_id__isnull=False), name="quote_by_external_id"
            ),
        )

    def __str__(self) -> str:
        return self.pk.hex
