"""Settlement: when a batch is cut, what is in it, and what moves between the firm and its providers."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from accounts.ids import uuid7
from trades.states import BatchState, LegStatus


class SettlementWindow(models.Model):
    """When a batch is cut for one kind of asset: a cron expression in a time zone, on business days."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=60, unique=True)
    asset_kind = models.CharField(
        max_length=10, help_text="Trades whose base asset is of this kind: crypto, fiat or metal."
    )
    cron = models.CharField(max_length=60, help_text="Five fields, in the time zone below, e.g. 0 9-17 * * *")
    time_zone = models.CharField(max_length=40, default="America/New_York")
    calendar = models.CharField(
        max_length=10, blank=True, help_text="No cut on weekends and this market's holidays, e.g. NYSE. Empty: any day."
    )
    is_active = models.BooleanField(default=True)
    is_automatic = models.BooleanField(default=True, help_text="Off: a second person confirms each batch.")
    low_water = models.UUIDField(
        null=True, editable=False, help_text="No trade below this id is waiting for a batch of this window."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = (
            models.CheckConstraint(condition=Q(asset_kind__in=["crypto", "fiat", "metal"]), name="window_kind_known"),
        )

    def __str__(self) -> str:
        return self.name


class SettlementBatch(models.Model):
    """The trades that settle together. Membership is frozen at the cut and stands on the trades."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    window = models.ForeignKey(
        SettlementWindow, null=True, blank=True, on_delete=models.PROTECT, related_name="batches", db_index=False
    )
    asset_kinds = models.CharField(max_length=40, help_text="Comma-separated kinds of base asset it was cut for.")
    cut_at = models.DateTimeField()
    state = models.CharField(max_length=20, choices=BatchState, default=BatchState.CUT)
    first_trade_id = models.UUIDField(null=True, help_text="Members have ids from here …")
    last_trade_id = models.UUIDField(null=True, help_text="… to here.")
    settled_through = models.UUIDField(null=True, help_text="Completion has done all originals up to here.")
    trades_count = models.PositiveIntegerField(default=0)
    completed_count = models.PositiveIntegerField(default=0)
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    confirmed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "settlement batches"
        constraints = (
            models.UniqueConstraint(fields=["window", "cut_at"], name="one_batch_per_window_and_cut"),
            models.CheckConstraint(
                condition=Q(completed_count__lte=F("trades_count")), name="batch_completes_no_more_than_it_has"
            ),
            models.CheckConstraint(
                condition=Q(made_by__isnull=True) | Q(confirmed_by__isnull=True) | ~Q(made_by=F("confirmed_by")),
                name="batch_maker_is_not_checker",
            ),
        )

    def __str__(self) -> str:
        return f"batch {self.pk.hex[:12]} cut {self.cut_at:%Y-%m-%d %H:%M}"


class SettlementLeg(models.Model):
    """What one asset of a batch comes to, seen from the firm: incoming from its providers, or outgoing to them."""

    class Direction(models.TextChoices):
        INCOMING = "incoming"
        OUTGOING = "outgoing"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    batch = models.ForeignKey(SettlementBatch, on_delete=models.PROTECT, related_name="legs", db_index=False)
    asset = models.ForeignKey("accounts.Asset", on_delete=models.PROTECT, related_name="+", db_index=False)
    direction = models.CharField(max_length=8, choices=Direction)
    expected = models.DecimalField(max_digits=38, decimal_places=0)
    actual = models.DecimalField(max_digits=38, decimal_places=0, null=True, blank=True)
    status = models.CharField(max_length=10, choices=LegStatus, default=LegStatus.PENDING)
    attempts = models.PositiveIntegerField(default=0)
    updated_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["batch", "asset"], name="one_leg_per_asset"),
            models.CheckConstraint(condition=Q(expected__gte=0), name="leg_expected_not_negative"),
        )

    def __str__(self) -> str:
        return f"{self.direction} {self.expected} {self.asset_id}"
