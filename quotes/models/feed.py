"""Who may publish prices, and what operators held prices at."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q

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
        help_text="Empty: the command line, without a name.",
    )
    reason = models.CharField(max_length=200, blank=True)
    at = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["instrument", "number"], name="one_hold_per_number"),
            models.CheckConstraint(condition=Q(number__gt=0), name="hold_number_positive"),
            models.CheckConstraint(
                condition=Q(bid__isnull=True, ask__isnull=True)
                | Q(bid__isnull=False, ask__isnull=False, bid__gt=0, ask__gte=F("bid")),
                name="hold_is_a_price_or_a_release",
            ),
        )

    def __str__(self) -> str:
        return f"{self.instrument_id} {self.number}"

    @property
    def is_held(self) -> bool:
        return self.bid is not None
