"""Spot trades and exits, with one event row per step."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import F, Q

from accounts import request_id
from accounts.ids import uuid7
from accounts.models.choices import known
from accounts.models.fixed import FixedColumns
from trades.states import FailureCode, TradeState


class Trade(FixedColumns):
    """A quote that was executed, on its way storing -> settling -> completed (or failed).

    HOT by design: no index covers a column that changes (state, failure_code, batch, taken_from_settling,
    updated_at), and pages are filled to two fifths (`trades/migrations/0009_room_for_a_batch.py`), so a step of a trade
    rewrites no index.
    What is due is found by ranges of the time-ordered primary key. The exceptions are `exiting_trade`,
    written once for the few trades that are exits, because one live exit per trade must be a constraint, and
    `failure_code`, in an index of the failed trades alone: a trade that doesn't fail stays empty there.

    Customer and quote are foreign keys; what the quote already fixes (instrument, assets, reference trade) and
    the batch, written by the cut in one transaction with its row, are not: each key is looked at again by every
    step of every trade, a seventh of the time of a cut, and buys nothing that triggers and the audit don't give.
    """

    fixed = frozenset(
        {
            "customer_id",
            "quote_id",
            "trade_type",
            "instrument_id",
            "side",
            "receive_asset_id",
            "deliver_asset_id",
            "receive_amount",
            "deliver_amount",
            "fee",
            "expected_error",
            "reference_trade_id",
            "external_id",
            "created_at",
        }
    )

    class Type(models.TextChoices):
        PLATFORM = "platform"
        EXIT = "exit"

    class Side(models.TextChoices):
        BUY = "buy"
        SELL = "sell"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    customer = models.ForeignKey("accounts.Customer", on_delete=models.PROTECT, related_name="trades", db_index=False)
    quote = models.OneToOneField("quotes.Quote", on_delete=models.PROTECT, related_name="trade")
    trade_type = models.CharField(max_length=8, choices=Type)
    instrument = models.ForeignKey("quotes.Instrument", on_delete=models.PROTECT, db_constraint=False, db_index=False)
    side = models.CharField(max_length=4, choices=Side)
    receive_asset = models.ForeignKey(
        "accounts.Asset", on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    deliver_asset = models.ForeignKey(
        "accounts.Asset", on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    receive_amount = models.DecimalField(max_digits=38, decimal_places=0)
    deliver_amount = models.DecimalField(max_digits=38, decimal_places=0)
    fee = models.DecimalField(max_digits=38, decimal_places=0)
    labels = ArrayField(models.CharField(max_length=64), null=True, blank=True)
    external_id = models.CharField(max_length=64, null=True, blank=True, help_text="What the partner calls this trade.")
    expected_error = models.CharField(max_length=32, blank=True, help_text="Sandbox only: fail with this code.")
    reference_trade = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="exits",
        db_constraint=False,
        db_index=False,
    )

    state = models.CharField(max_length=10, choices=TradeState, default=TradeState.STORING)
    failure_code = models.CharField(max_length=32, choices=FailureCode, null=True, blank=True)
    exiting_trade = models.OneToOneField(
        "self",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="live_exit",
        db_constraint=False,
        help_text="The reference trade, once this exit is live: unique, so a trade has one live exit at most.",
    )
    taken_from_settling = models.DecimalField(
        max_digits=38,
        decimal_places=0,
        default=0,
        help_text="Of deliver_amount: how much came out of what the original left in settling.",
    )
    batch = models.ForeignKey(
        "trades.SettlementBatch",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="trades",
        db_constraint=False,
        db_index=False,
    )
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=Q(receive_amount__gt=0, deliver_amount__gt=0, fee__gte=0), name="trade_amounts_positive"
            ),
            models.CheckConstraint(
                condition=Q(taken_from_settling__gte=0, taken_from_settling__lte=F("deliver_amount")),
                name="trade_takes_no_more_than_it_delivers",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["storing", "settling", "completed"], failure_code__isnull=True)
                | Q(state="failed", failure_code__isnull=False),
                name="trade_failed_with_a_code",
            ),
            models.CheckConstraint(
                condition=Q(trade_type="platform", reference_trade__isnull=True, exiting_trade__isnull=True)
                | Q(trade_type="exit", reference_trade__isnull=False, state__in=["storing", "failed"])
                & Q(exiting_trade__isnull=True)
                | Q(trade_type="exit", exiting_trade=F("reference_trade"), state__in=["settling", "completed"]),
                name="trade_exit_names_its_original",
            ),
            models.CheckConstraint(
                condition=Q(batch__isnull=True, state__in=["storing", "settling", "failed"])
                | Q(batch__isnull=False, state__in=["settling", "completed"]),
                name="trade_batched_only_while_settling",
            ),
            known("trade", "trade_type", ["platform", "exit"]),
            known("trade", "side", ["buy", "sell"]),
            known("trade", "state", TradeState.values),
            known("trade", "failure_code", FailureCode.values),
        )
        # Trades are found by what few of them have, and by nothing that changes while they settle.
        indexes = (
            models.Index(fields=["customer", "id"], name="trade_by_customer"),
            models.Index(
                fields=["reference_trade", "id"], condition=Q(reference_trade__isnull=False), name="trade_by_reference"
            ),
            models.Index(fields=["created_at"], condition=Q(reference_trade__isnull=False), name="exit_by_time"),
            models.Index(
                fields=["external_id", "id"], condition=Q(external_id__isnull=False), name="trade_by_external_id"
            ),
            models.Index(
                fields=["failure_code", "id"], condition=Q(failure_code__isnull=False), name="trade_by_failure"
            ),
            GinIndex(fields=["labels"], condition=Q(labels__isnull=False), name="trade_by_label"),
        )

    def __str__(self) -> str:
        return self.pk.hex


class TradeEvent(models.Model):
    """One step of a trade. Never changed, never removed; a step can be written down once.

    `reversed` is no state: a reversed trade stays completed, and its reversal is further movements.
    """

    REVERSED = "reversed"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    trade = models.ForeignKey(
        Trade, on_delete=models.PROTECT, related_name="events", db_constraint=False, db_index=False
    )
    customer = models.ForeignKey(
        "accounts.Customer", on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    became = models.CharField(max_length=10, choices=[*TradeState.choices, (REVERSED, "reversed")])
    detail = models.CharField(
        max_length=64,
        blank=True,
        help_text="The failure code, the batch it settled with, or the correction that reversed it.",
    )
    at = models.DateTimeField()
    request_id = models.CharField(
        max_length=128, null=True, editable=False, default=request_id.current, help_text="The HTTP request that did it."
    )
    needed = models.DecimalField(
        max_digits=38,
        decimal_places=0,
        null=True,
        editable=False,
        help_text="Of non_sufficient_funds: what was needed, base units of what is delivered.",
    )
    there = models.DecimalField(
        max_digits=38, decimal_places=0, null=True, editable=False, help_text="And what could be spent then."
    )

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["trade", "became"], name="one_event_per_step"),
            known("trade_event", "became", [*TradeState.values, "reversed"]),
        )
        indexes = (
            models.Index(fields=["detail", "trade"], condition=Q(became="reversed"), name="trade_events_of_reversal"),
        )

    def __str__(self) -> str:
        return f"{self.trade_id.hex} {self.became}"
