"""When markets trade, and what operators have said of them."""

from __future__ import annotations

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q

from accounts import request_id
from accounts.ids import uuid7
from accounts.models.choices import known
from accounts.models.fixed import FixedColumns
from quotes import hours


class TradingHours(FixedColumns):
    """The hours of a venue, under a name. Never changed: a market gets others by a change of its instrument, which
    two persons decide, and that could be gone round if what a name means could be changed."""

    fixed = frozenset({"time_zone", "sessions", "calendar", "closed_days", "pre_open_minutes"})

    name = models.CharField(primary_key=True, max_length=40)
    time_zone = models.CharField(max_length=64, default="UTC")
    sessions = models.CharField(
        max_length=300,
        default=hours.ALWAYS,
        help_text="By trading day, such as: mon-fri 17:00-17:00; sat 10:00-12:00. A session that ends no later than it"
        " begins has begun on the day before. Or: always.",
    )
    calendar = models.CharField(
        max_length=20, blank=True, help_text="Whose holidays are no trading days: a code such as NYSE or IFEU."
    )
    closed_days = models.CharField(
        max_length=600,
        blank=True,
        help_text="More days without trading, such as: 12-25, 01-01, 2026-12-24. With a time, when a half day closes:"
        " 12-24 13:00.",
    )
    pre_open_minutes = models.PositiveSmallIntegerField(
        default=0, help_text="So long before an opening prices are told and pending orders taken."
    )

    class Meta:
        verbose_name_plural = "trading hours"
        ordering = ("name",)
        constraints = (
            models.CheckConstraint(
                condition=Q(name__regex=r"^[a-z][a-z0-9-]*$"), name="trading_hours_are_named_in_small_letters"
            ),
            models.CheckConstraint(
                condition=Q(pre_open_minutes__lte=hours.MOST_PRE_OPEN_MINUTES), name="trading_hours_pre_open_is_short"
            ),
        )

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        try:
            self.as_hours()
        except hours.BadHours as bad:
            raise ValidationError(str(bad)) from None

    def as_hours(self) -> hours.Hours:
        """What the row says. Raises hours.BadHours."""
        return hours.hours(
            self.time_zone, self.sessions, self.calendar, self.closed_days, int(self.pre_open_minutes or 0)
        )


class MarketSwitch(models.Model):
    """From `at` on (the firm's time) a market is halted, only takes what closes, or follows its hours. Append-only.

    The highest `number` of an instrument says how it is now.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    instrument = models.ForeignKey(
        "quotes.Instrument", on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    number = models.BigIntegerField()
    switch = models.CharField(max_length=10, choices=[(one.value, one.value) for one in hours.Switch])
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_constraint=False,
        db_index=False,
        help_text="Empty: the command line without a name.",
    )
    reason = models.CharField(max_length=200)
    at = models.DateTimeField()
    request_id = models.CharField(
        max_length=128, null=True, editable=False, default=request_id.current, help_text="The HTTP request that did it."
    )

    class Meta:
        verbose_name_plural = "market switches"
        constraints = (
            models.UniqueConstraint(fields=["instrument", "number"], name="one_switch_per_number"),
            models.CheckConstraint(condition=Q(number__gt=0), name="switch_number_positive"),
            models.CheckConstraint(condition=~Q(reason=""), name="switch_has_a_reason"),
            known("market_switch", "switch", [one.value for one in hours.Switch]),
        )

    def __str__(self) -> str:
        return f"{self.instrument_id} {self.number}"
