"""Who may publish prices, and what operators held prices at."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from accounts import request_id
from accounts.ids import uuid7


class FeedLease(models.Model):
    """The feed that publishes: one row. The script that publishes refuses an epoch lower than one it has seen."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    epoch = models.BigIntegerField(default=0)
    holder = models.CharField(max_length=120, blank=True)
    renewed_at = models.DateTimeField(null=True)
    taken_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (models.CheckConstraint(condition=Q(id=1), name="one_feed_lease"),)

    def __str__(self) -> str:
        return f"epoch {self.epoch}: {self.holder}"


class PriceHold(models.Model):
    """From `at` on an instrument is held at a price, or, without one, follows the feed again. Append-only.

    The highest `number` of an instrument says how it is now. Numbers rise, and may leave some out.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    instrument = models.ForeignKey(
        "quotes.Instrument", on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    number = models.BigIntegerField()
    bid = models.DecimalField(max_digits=38, decimal_places=18, null=True)
    ask = models.DecimalField(max_digits=38, decimal_places=18, null=True)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_constraint=False,
        db_index=False,
        help_text="Empty: an API client of a sandbox, or the command line without a name.",
    )
    by_client = models.ForeignKey(
        "accounts.ApiClient",
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_constraint=False,
        db_index=False,
        help_text="The API client that did it, in a sandbox.",
    )
    reason = models.CharField(max_length=200, blank=True)
    at = models.DateTimeField()
    request_id = models.CharField(
        max_length=128, null=True, editable=False, default=request_id.current, help_text="The HTTP request that did it."
    )

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["instrument", "number"], name="one_hold_per_number"),
            models.CheckConstraint(condition=Q(number__gt=0), name="hold_number_positive"),
            models.CheckConstraint(
                condition=Q(bid__isnull=True, ask__isnull=True)
                | Q(bid__isnull=False, ask__isnull=False, bid__gt=0, ask__gte=F("bid")),
                name="hold_is_a_price_or_a_release",
            ),
            models.CheckConstraint(
                condition=Q(by__isnull=True) | Q(by_client__isnull=True), name="hold_by_one_at_most"
            ),
        )

    def __str__(self) -> str:
        return f"{self.instrument_id} {self.number}"

    @property
    def is_held(self) -> bool:
        return self.bid is not None


class Backfill(models.Model):
    """A file of candles that was brought in, and what it changed. Append-only."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=200)
    sha256 = models.CharField(max_length=64)
    rows_count = models.PositiveBigIntegerField()
    added_count = models.PositiveBigIntegerField(help_text="Minutes that had no candle.")
    replaced_count = models.PositiveBigIntegerField(help_text="Candles that were another.")
    kept_count = models.PositiveBigIntegerField(help_text="Candles that are another, and stay.")
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_constraint=False,
        db_index=False,
        help_text="Empty: a sandbox's command line.",
    )
    made_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name
