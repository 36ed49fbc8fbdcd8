"""What can be traded, and how its price went."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from django.db import models
from django.db.models import F, Q

from accounts.ids import uuid7
from accounts.models.choices import known
from accounts.models.fixed import FixedColumns

MOVING = (
    "price_decimals",
    "quantity_decimals",
    "price_age_limit_seconds",
    "jump_limit_percent",
    "max_spread_percent",
    "spread_bps",
    "markup_bps",
    "least_sources",
    "outlier_percent",
    "volatility_limit_percent",
    "quote_life_seconds",
    "leverage_cap",
    "retail_leverage_cap",
    "leverage_tiers",
    "hedged_margin",
    "least_distance_bps",
    "fee_bps",
    "swap_long_bps",
    "swap_short_bps",
    "swap_triple_weekday",
    "simulator_price",
    "simulator_step_bps",
    "trading_hours_id",
)
"""The terms that move a price or customers' money: an `InstrumentChange` alone gives them another value.

A migration that adds one gives it a `TermBand` and makes the trigger `changed_by_owner` and its function anew
(migration 0017, BANDS); a test compares the three.
"""


TIERS: Final = r"^([1-9][0-9]{0,17}:[1-9][0-9]{0,4}(, [1-9][0-9]{0,17}:[1-9][0-9]{0,4}){0,9})?$"


class HedgedMargin(models.TextChoices):
    FULL = "full", "the margin of both sides"
    LARGER_SIDE = "larger_side", "the margin of the larger side"


class Instrument(FixedColumns):
    """A pair of assets with its rules. Every rule of a symbol is a column of this row.

    `symbol` is BASE-COUNTER, e.g. BTC-USD: one whole unit of the base asset priced in the counter asset.
    `agreed` has what two persons last agreed to of those terms that one person has moved since.
    """

    fixed = frozenset({"base_asset_id", "counter_asset_id", "agreed", *MOVING})

    symbol = models.CharField(primary_key=True, max_length=21)
    name = models.CharField(max_length=60)
    image_url = models.CharField(max_length=200, blank=True)
    base_asset = models.ForeignKey("accounts.Asset", on_delete=models.PROTECT, related_name="+")
    counter_asset = models.ForeignKey("accounts.Asset", on_delete=models.PROTECT, related_name="+")
    is_active = models.BooleanField(default=True, help_text="Off: no new orders, quotes or trades.")
    trading_hours = models.ForeignKey(
        "quotes.TradingHours", on_delete=models.PROTECT, related_name="+", default="always", db_default="always"
    )
    price_decimals = models.PositiveSmallIntegerField()
    quantity_decimals = models.PositiveSmallIntegerField(default=18)
    min_quantity = models.DecimalField(max_digits=38, decimal_places=18)
    max_quantity = models.DecimalField(max_digits=38, decimal_places=18)
    leverage_cap = models.PositiveSmallIntegerField(default=100)
    retail_leverage_cap = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="Of retail customers; empty: the leverage cap alone."
    )
    leverage_tiers = models.CharField(
        max_length=300,
        blank=True,
        default="",
        db_default="",
        help_text="From so much exposure of a customer in this symbol, in the account currency, at most so much"
        " leverage, such as: 100000:50, 500000:20.",
    )
    hedged_margin = models.CharField(
        max_length=12,
        choices=HedgedMargin,
        default=HedgedMargin.FULL,
        db_default=HedgedMargin.FULL,
        help_text="What positions of one customer against each other in this symbol reserve, those that open from now"
        " on: the margin of both, or that of the larger side.",
    )
    least_distance_bps = models.DecimalField(
        max_digits=8,
        decimal_places=3,
        default=Decimal(0),
        db_default=Decimal(0),
        help_text="So far from the market are stops, take profits and pending prices at least when they are set, in"
        " hundredths of a percent of the price.",
    )
    spread_bps = models.DecimalField(
        max_digits=8, decimal_places=3, help_text="Between bid and ask, in hundredths of a percent of the mid price."
    )
    fee_bps = models.DecimalField(
        max_digits=8, decimal_places=3, default=Decimal(0), help_text="Of a spot trade's value, unless a quote says."
    )
    price_age_limit_seconds = models.PositiveSmallIntegerField(default=10, help_text="An older price is no price.")
    jump_limit_percent = models.DecimalField(
        max_digits=6,
        decimal_places=3,
        default=Decimal(50),
        help_text="A bid or ask that differs more from the one before is no price until an operator accepts it.",
    )
    max_spread_percent = models.DecimalField(
        max_digits=6,
        decimal_places=3,
        default=Decimal(5),
        help_text="Of the middle. A price whose bid and ask are further apart is no price.",
    )
    markup_bps = models.DecimalField(
        max_digits=8,
        decimal_places=3,
        default=Decimal(0),
        db_default=Decimal(0),
        help_text="Added between bid and ask to what the sources say, half to each side, in hundredths of a percent.",
    )
    least_sources = models.PositiveSmallIntegerField(
        default=1, db_default=1, help_text="Fewer sources that agree make no price."
    )
    outlier_percent = models.DecimalField(
        max_digits=6,
        decimal_places=3,
        default=Decimal(1),
        db_default=Decimal(1),
        help_text="A source that is further from the median of the sources counts for nothing.",
    )
    swap_long_bps = models.DecimalField(
        max_digits=8,
        decimal_places=3,
        default=Decimal(0),
        help_text="Paid to a buy position held overnight, in hundredths of a percent of its value; negative: charged.",
    )
    swap_short_bps = models.DecimalField(
        max_digits=8, decimal_places=3, default=Decimal(0), help_text="The same for a sell position."
    )
    swap_triple_weekday = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        choices=[(0, "Monday"), (1, "Tuesday"), (2, "Wednesday"), (3, "Thursday"), (4, "Friday")],
        help_text="The night that counts three times, for markets that rest at weekends; empty: every night once.",
    )
    quote_life_seconds = models.PositiveSmallIntegerField(default=30)
    volatility_limit_percent = models.DecimalField(
        max_digits=6,
        decimal_places=3,
        default=Decimal(1),
        help_text="A spot trade fails when the price moved further since its quote, either way.",
    )
    simulator_price = models.DecimalField(
        max_digits=38, decimal_places=18, help_text="Where the simulator starts its walk."
    )
    simulator_step_bps = models.DecimalField(
        max_digits=8, decimal_places=3, default=Decimal(2), help_text="The simulator's largest step per tick."
    )
    agreed = models.JSONField(default=dict, db_default={}, editable=False)

    class Meta:
        ordering = ("symbol",)
        constraints = (
            models.CheckConstraint(condition=~Q(base_asset=F("counter_asset")), name="instrument_of_two_assets"),
            models.CheckConstraint(
                condition=Q(min_quantity__gt=0, max_quantity__gte=F("min_quantity")), name="instrument_quantity_range"
            ),
            models.CheckConstraint(condition=Q(leverage_cap__gte=1), name="instrument_leverage_cap_positive"),
            models.CheckConstraint(
                condition=Q(retail_leverage_cap__isnull=True) | Q(retail_leverage_cap__gte=1),
                name="instrument_retail_leverage_cap_positive",
            ),
            models.CheckConstraint(
                condition=Q(leverage_tiers__regex=TIERS), name="instrument_leverage_tiers_can_be_read"
            ),
            models.CheckConstraint(
                condition=Q(least_distance_bps__gte=0, least_distance_bps__lt=10_000),
                name="instrument_least_distance_is_a_part",
            ),
            models.CheckConstraint(condition=Q(jump_limit_percent__gt=0), name="instrument_jump_limit_positive"),
            models.CheckConstraint(condition=Q(max_spread_percent__gt=0), name="instrument_max_spread_positive"),
            models.CheckConstraint(
                condition=Q(markup_bps__gte=0, markup_bps__lt=10_000), name="instrument_markup_is_a_part"
            ),
            models.CheckConstraint(
                condition=Q(least_sources__gte=1, least_sources__lte=16), name="instrument_least_sources_are_some"
            ),
            models.CheckConstraint(condition=Q(outlier_percent__gt=0), name="instrument_outlier_percent_positive"),
            known("instrument", "swap_triple_weekday", range(5)),
            known("instrument", "hedged_margin", HedgedMargin.values),
        )

    def __str__(self) -> str:
        return self.symbol


class Candle(models.Model):
    """One minute of an instrument's mid price. Venues that report no volume leave it zero.

    In partitions by month (migration 0051). A minute in which nothing was said has no candle.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, db_constraint=False, db_index=False)
    minute = models.DateTimeField()
    open = models.DecimalField(max_digits=38, decimal_places=18)
    high = models.DecimalField(max_digits=38, decimal_places=18)
    low = models.DecimalField(max_digits=38, decimal_places=18)
    close = models.DecimalField(max_digits=38, decimal_places=18)
    volume = models.DecimalField(max_digits=38, decimal_places=18, default=Decimal(0))
    trade_count = models.PositiveIntegerField(default=0, help_text="Price updates in this minute.")
    open_at = models.DateTimeField(null=True, help_text="When the open was said; empty: it stays as it is.")
    close_at = models.DateTimeField(null=True, help_text="When the close was said.")
    close_spread = models.DecimalField(
        max_digits=38,
        decimal_places=18,
        null=True,
        editable=False,
        help_text="Between bid and ask of the close; empty: nobody knows.",
    )
    backfill_id = models.UUIDField(null=True, editable=False, help_text="The file that it came by.")

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["instrument", "minute"], name="one_candle_per_minute"),
            models.CheckConstraint(
                condition=Q(low__gt=0, low__lte=F("open"), high__gte=F("open"))
                & Q(low__lte=F("close"), high__gte=F("close")),
                name="candle_in_order",
            ),
            models.CheckConstraint(condition=Q(close_spread__gte=0), name="candle_close_not_crossed"),
        )

    def __str__(self) -> str:
        return f"{self.instrument_id} {self.minute:%Y-%m-%d %H:%M}"


class CandleBatch(models.Model):
    """A batch of prices that was added to candles, while somebody may write it again: that adds nothing."""

    id = models.UUIDField(primary_key=True, editable=False)

    def __str__(self) -> str:
        return self.pk.hex
