"""Legs: what moves between the firm and its providers for a batch, and every report of what came of it."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Replace, Upper

from accounts import request_id
from accounts.ids import uuid7
from accounts.models.choices import known
from accounts.models.fixed import FixedColumns
from trades.fail_reasons import FailReason
from trades.models.batch import SettlementBatch
from trades.states import LegStatus


def reference_key(reference: F | Value) -> Upper:
    """SQL: what makes two references the same one: neither spaces nor small letters tell them apart."""
    return Upper(Replace(reference, Value(" "), Value("")))


class SettlementLeg(FixedColumns):
    """What one asset of a batch comes to, seen from the firm: incoming from its providers, or outgoing to them.

    Amounts are base units. `received`, `delivered` and `fees` are the members' sums, `expected` their net.
    """

    fixed = frozenset({"batch_id", "asset_id", "value_date", "due_by"})

    class Direction(models.TextChoices):
        INCOMING = "incoming"
        OUTGOING = "outgoing"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    batch = models.ForeignKey(SettlementBatch, on_delete=models.PROTECT, related_name="legs", db_index=False)
    asset = models.ForeignKey("accounts.Asset", on_delete=models.PROTECT, related_name="+", db_index=False)
    received = models.DecimalField(max_digits=38, decimal_places=0, default=0, help_text="By customers, after fees.")
    delivered = models.DecimalField(max_digits=38, decimal_places=0, default=0, help_text="By customers, with fees.")
    fees = models.DecimalField(max_digits=38, decimal_places=0, default=0)
    direction = models.CharField(max_length=8, choices=Direction)
    expected = models.DecimalField(max_digits=38, decimal_places=0)
    actual = models.DecimalField(max_digits=38, decimal_places=0, null=True, blank=True)
    difference = models.GeneratedField(
        expression=Case(When(status="settled", then=F("actual") - F("expected"))),
        output_field=models.DecimalField(max_digits=38, decimal_places=0, null=True),
        db_persist=True,
    )
    status = models.CharField(max_length=20, choices=LegStatus, default=LegStatus.PENDING)
    attempts = models.PositiveIntegerField(default=0, help_text="How often it was reported.")
    next_attempt_at = models.DateTimeField(null=True, blank=True, help_text="When a failed leg is due again.")
    reference = models.CharField(max_length=128, blank=True, help_text="The bank's or the provider's own.")
    reason_code = models.CharField(
        max_length=4, blank=True, choices=FailReason, help_text="ISO 20022's code of why the last attempt failed."
    )
    failure = models.CharField(max_length=200, blank=True, help_text="Why the last attempt failed.")
    reported_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    reported_by_client = models.ForeignKey(
        "accounts.ApiClient", null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    settled_at = models.DateTimeField(null=True, blank=True)
    reversals = models.PositiveSmallIntegerField(default=0, help_text="How often a correction has reopened it.")
    value_date = models.DateField(help_text="The day on which it is to be carried out, in the window's time zone.")
    due_by = models.DateTimeField(help_text="The end of that day: from then on it is overdue.")
    updated_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["batch", "asset"], name="one_leg_per_asset"),
            models.CheckConstraint(condition=Q(expected__gte=0), name="leg_expected_not_negative"),
            models.CheckConstraint(condition=Q(actual__isnull=True) | Q(actual__gte=0), name="leg_actual_not_negative"),
            models.CheckConstraint(
                condition=~Q(status="settled") | Q(actual__isnull=False), name="leg_settled_with_an_amount"
            ),
            known("leg", "direction", ["incoming", "outgoing"]),
            known("leg", "reason_code", ["", *FailReason.values]),
            known("leg", "status", LegStatus.values),
        )
        indexes = (
            models.Index(fields=["id"], condition=~Q(status="settled"), name="leg_not_settled"),
            models.Index(fields=["due_by"], condition=~Q(status="settled"), name="leg_not_settled_by_due"),
        )

    def __str__(self) -> str:
        return f"{self.asset_id}, {self.direction}"


class LegReport(models.Model):
    """What was said of a leg, or became of it: a line of its history. Never changed, never removed.

    `amount` is what moved by this report, a part or the rest, in base units. The row stands before the leg says so: by
    trigger, a leg's `actual` is the sum of its reports since it was last reopened.
    """

    class Kind(models.TextChoices):
        PART = "part", "a part came, and more is expected"
        SETTLED = "settled", "settled: nothing more comes"
        FAILED = "failed", "an attempt failed"
        RETRIED = "retried", "due again after its pause"
        REOPENED = "reopened", "taken back by a correction"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    leg = models.ForeignKey(
        SettlementLeg, on_delete=models.PROTECT, related_name="reports", db_constraint=False, db_index=False
    )
    kind = models.CharField(max_length=8, choices=Kind)
    number = models.PositiveIntegerField(help_text="The leg's attempts by then; movements have it in their keys.")
    reversals = models.PositiveSmallIntegerField(default=0, help_text="How often the leg had been reopened by then.")
    amount = models.DecimalField(max_digits=38, decimal_places=0, null=True)
    reference = models.CharField(max_length=128, blank=True, help_text="The bank's or the provider's own.")
    reason_code = models.CharField(max_length=4, blank=True, choices=FailReason)
    text = models.CharField(max_length=200, blank=True, help_text="Why it failed; which correction reopened it.")
    by_user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_constraint=False,
        db_index=False,
    )
    by_client = models.ForeignKey(
        "accounts.ApiClient",
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_constraint=False,
        db_index=False,
    )
    request_id = models.CharField(
        max_length=128,
        null=True,
        editable=False,
        default=request_id.current,
        help_text="The HTTP request that did it.",
    )
    at = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["leg", "number"],
                condition=Q(kind__in=["part", "settled", "failed"]),
                name="one_report_per_attempt",
            ),
            models.UniqueConstraint(
                F("leg"),
                F("reversals"),
                reference_key(F("reference")),
                condition=Q(amount__isnull=False) & ~Q(reference=""),
                name="one_report_per_reference",
            ),
            models.CheckConstraint(
                condition=Q(kind="settled", amount__isnull=False, amount__gte=0)
                | Q(kind="part", amount__isnull=False, amount__gt=0) & ~Q(reference="")
                | Q(kind__in=["failed", "retried", "reopened"], amount__isnull=True, reference=""),
                name="leg_report_amount_where_it_moved",
            ),
            models.CheckConstraint(condition=Q(kind="failed") ^ Q(reason_code=""), name="leg_report_reason_of_failure"),
            known("leg_report", "kind", ["part", "settled", "failed", "retried", "reopened"]),
            known("leg_report", "reason_code", ["", *FailReason.values]),
        )
        indexes = (models.Index(fields=["leg", "id"], name="leg_report_by_leg"),)

    def __str__(self) -> str:
        return f"{self.leg_id.hex} {self.kind}"


class LegReference(models.Model):
    """An outside reference and the one leg that it has settled: it never settles another. Never changed or removed.

    A trigger of the reports' table writes it (migration 0077).
    """

    key = models.CharField(
        primary_key=True, max_length=256, editable=False, help_text="In capitals, without spaces: see reference_key."
    )
    leg = models.ForeignKey(
        SettlementLeg, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )

    def __str__(self) -> str:
        return self.key
