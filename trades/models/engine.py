"""What the order engine remembers between ticks: who may write, and what was answered."""

from __future__ import annotations

from decimal import Decimal

from django.db import models
from django.db.models import Q

from accounts.ids import uuid7
from accounts.models.fixed import FixedColumns


class EngineLease(models.Model):
    """Who runs a partition. Every tick checks its epoch, so a paused engine's late write is refused."""

    partition = models.PositiveSmallIntegerField(primary_key=True)
    epoch = models.BigIntegerField(default=0)
    holder = models.CharField(max_length=120, blank=True)
    renewed_at = models.DateTimeField(null=True)
    partitions = models.PositiveSmallIntegerField(default=1, help_text="How many its holder believes there are.")

    def __str__(self) -> str:
        return f"partition {self.partition}, epoch {self.epoch}: {self.holder}"


class IdempotentAnswer(models.Model):
    """The answer given under an Idempotency-Key, to the byte, written in the transaction it answers for."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    customer = models.ForeignKey(
        "accounts.Customer", on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    key = models.CharField(max_length=128)
    request_sha256 = models.CharField(max_length=64, help_text="Of the command's kind and validated fields.")
    command_id = models.UUIDField()
    status = models.PositiveSmallIntegerField()
    body = models.TextField()
    at = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["customer", "key"], name="one_answer_per_key"),
            models.CheckConstraint(condition=Q(status__gte=200, status__lt=500), name="answer_status_final"),
        )

    def __str__(self) -> str:
        return self.key


class MarginAccount(models.Model):
    """What the engine notes about a customer's margin account as a whole; without a row there is nothing to note."""

    customer = models.OneToOneField(
        "accounts.Customer", on_delete=models.PROTECT, primary_key=True, related_name="margin_account"
    )
    called_at = models.DateTimeField(null=True, help_text="Since when the margin level is at or below the call's mark.")
    drawn = models.DecimalField(
        max_digits=38,
        decimal_places=0,
        default=0,
        help_text="How much of the open orders' margin losses have consumed: by this the reserve falls short.",
    )
    owed = models.DecimalField(
        max_digits=38,
        decimal_places=0,
        default=0,
        db_default=0,  # an engine of the version before may still write notes while this one is rolled out
        help_text="What the firm has advanced for losses and not got back yet. Counts against equity.",
    )
    owed_at = models.DateTimeField(
        null=True, help_text="When it last advanced something: profits of positions opened by then repay it."
    )
    swap_carried = models.DecimalField(
        max_digits=61,
        decimal_places=60,
        default=0,
        db_default=0,
        help_text="What closed orders' swap has left below a base unit, exactly; their next cent comes out of it.",
    )
    hedged = models.DecimalField(
        max_digits=38,
        decimal_places=0,
        default=0,
        db_default=0,
        help_text="How much of the open orders' margin isn't reserved, because positions stand against each other.",
    )
    updated_at = models.DateTimeField()

    class Meta:
        # Few are called, and whoever watches asks for these each quarter of a minute.
        indexes = (
            models.Index(fields=["called_at"], condition=Q(called_at__isnull=False), name="margin_account_called"),
        )
        constraints = (
            models.CheckConstraint(condition=Q(drawn__gte=0), name="drawn_not_negative"),
            models.CheckConstraint(condition=Q(hedged__gte=0), name="hedged_not_negative"),
            models.CheckConstraint(
                condition=Q(owed=0, owed_at__isnull=True) | Q(owed__gt=0, owed_at__isnull=False),
                name="owed_since_a_moment",
            ),
            models.CheckConstraint(
                condition=Q(swap_carried__gte=Decimal("-0.5"), swap_carried__lte=Decimal("0.5")),
                name="swap_carried_below_a_unit",
            ),
        )

    def __str__(self) -> str:
        return f"{self.customer_id.hex}: {'called' if self.called_at else 'not called'}"


class PriceExtreme(models.Model):
    """The best prices that an engine has judged since `at`, while it watched trailing stops of an instrument.

    A trailing stop follows the best exit price since it was set: the best of its own first price and of the rows
    that began no earlier. So a killed engine's successor knows how far every stop had moved, at the price of a row an
    instrument, not of a row an order.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    partition = models.PositiveSmallIntegerField()
    instrument = models.ForeignKey(
        "quotes.Instrument", on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    at = models.DateTimeField()
    highest_bid = models.DecimalField(max_digits=38, decimal_places=18)
    lowest_ask = models.DecimalField(max_digits=38, decimal_places=18)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["partition", "instrument", "at"], name="one_extreme_per_beginning"),
        )

    def __str__(self) -> str:
        return f"{self.instrument_id} since {self.at:%Y-%m-%d %H:%M:%S}"


class SwapRun(FixedColumns):
    """One rollover, a night's swap of a partition's customers: at which prices, how far it came, whether it is done.

    By the sixteen partitions that never change, so it holds whatever the number of engines becomes.
    """

    fixed = frozenset({"partition", "night", "cutoff", "prices", "rates", "conversions", "started_at"})

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    partition = models.PositiveSmallIntegerField()
    night = models.DateField(help_text="The day whose evening it is, in the swap's own zone.")
    cutoff = models.DateTimeField(help_text="Orders that were open at this moment are held overnight.")
    prices = models.JSONField(help_text="By symbol: the mid price that positions are valued at.")
    rates = models.JSONField(
        default=dict,
        help_text="By symbol: the rates of a buy and a sell, in hundredths of a percent, and how often it counts.",
    )
    conversions = models.JSONField(
        default=dict,
        db_default={},
        help_text="By currency that instruments are counted in: multiplier, divisor and path of its middle rate.",
    )
    through_customer_id = models.UUIDField(null=True, help_text="How far it came: by customer,")
    through_id = models.UUIDField(null=True, help_text="and by order.")
    orders_count = models.PositiveIntegerField(default=0)
    started_at = models.DateTimeField()
    done_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["partition", "night"], name="one_swap_run_per_night"),)

    def __str__(self) -> str:
        return f"{self.night:%Y-%m-%d}, partition {self.partition}"
