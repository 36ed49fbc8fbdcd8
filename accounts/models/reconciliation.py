"""What the books say beside what the outside says, and what doesn't fit until somebody has explained it."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from accounts import request_id
from accounts.ids import uuid7
from accounts.models.choices import known
from accounts.models.fixed import FixedColumns


class ReconciliationRun(models.Model):
    """One comparison of the ledger with a statement from outside. Never changed, never removed."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    as_of = models.DateTimeField(help_text="The moment that the statement speaks of.")
    at = models.DateTimeField(help_text="When it was compared.")
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    source = models.CharField(max_length=200, help_text="The statement's file name.")
    source_sha256 = models.CharField(max_length=64)
    ok = models.BooleanField(help_text="No asset drifts.")
    request_id = models.CharField(
        max_length=128, null=True, editable=False, default=request_id.current, help_text="The HTTP request that did it."
    )

    def __str__(self) -> str:
        return f"{self.as_of:%Y-%m-%d %H:%M} {'OK' if self.ok else 'DRIFT'}"


class ReconciliationLine(models.Model):
    """One asset of a run, in base units: what the ledger holds outside, what the statement says, the drift."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    run = models.ForeignKey(ReconciliationRun, on_delete=models.PROTECT, related_name="lines", db_index=False)
    asset = models.ForeignKey("accounts.Asset", on_delete=models.PROTECT, related_name="+", db_index=False)
    ledger = models.DecimalField(max_digits=38, decimal_places=0)
    statement = models.DecimalField(max_digits=38, decimal_places=0)
    drift = models.GeneratedField(
        expression=F("statement") - F("ledger"),
        output_field=models.DecimalField(max_digits=38, decimal_places=0),
        db_persist=True,
    )

    class Meta:
        constraints = (models.UniqueConstraint(fields=["run", "asset"], name="one_line_per_run_and_asset"),)

    @property
    def ok(self) -> bool:
        return int(self.drift) == 0

    def __str__(self) -> str:
        return f"{self.asset_id} {'OK' if self.ok else self.drift}"


class Break(FixedColumns):
    """Something that doesn't fit and waits for an explanation: it has an age, and should have an owner."""

    fixed = frozenset({"kind", "asset_id", "amount", "subject", "opened_at"})

    class Kind(models.TextChoices):
        LEG_DIFFERENCE = "leg_difference"
        RECONCILIATION = "reconciliation"

    class State(models.TextChoices):
        OPEN = "open"
        RESOLVED = "resolved"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=20, choices=Kind)
    asset = models.ForeignKey("accounts.Asset", on_delete=models.PROTECT, related_name="+", db_index=False)
    amount = models.DecimalField(
        max_digits=38, decimal_places=0, help_text="Base units; above zero: there is more outside than expected."
    )
    subject = models.UUIDField(null=True, help_text="The leg it came from; empty for a reconciliation.")
    note = models.CharField(max_length=200, blank=True)
    state = models.CharField(max_length=8, choices=State, default=State.OPEN)
    opened_at = models.DateTimeField()
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolution = models.CharField(max_length=200, blank=True, help_text="How it was explained or made good.")

    class Meta:
        constraints = (
            models.CheckConstraint(condition=~Q(amount=0), name="break_amount_not_zero"),
            known("break", "kind", ["leg_difference", "reconciliation"]),
            known("break", "state", ["open", "resolved"]),
            models.CheckConstraint(
                condition=Q(state="open", resolved_at__isnull=True, resolution="")
                | Q(state="resolved", resolved_at__isnull=False) & ~Q(resolution=""),
                name="break_resolved_with_a_reason",
            ),
            models.UniqueConstraint(
                fields=["kind", "asset", "subject"],
                condition=Q(state="open"),
                nulls_distinct=False,
                name="one_open_break_per_cause",
            ),
        )

    def __str__(self) -> str:
        return f"{self.asset_id}, {self.get_kind_display().lower()}"
