"""How far the firm's time was moved ahead of PostgreSQL's clock, in a sandbox."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from accounts import request_id
from accounts.ids import uuid7


class ClockMove(models.Model):
    """From `at` on (PostgreSQL's clock) the firm's time is `ahead` of it. Append-only; the highest number counts.

    A trigger refuses what isn't the next number, and what isn't further ahead: the firm's time never goes back.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    number = models.PositiveIntegerField(unique=True)
    at = models.DateTimeField()
    before = models.DurationField(help_text="How far ahead it was until then.")
    ahead = models.DurationField()
    by_client = models.ForeignKey(
        "accounts.ApiClient",
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_constraint=False,
        db_index=False,
    )
    request_id = models.CharField(
        max_length=128, null=True, editable=False, default=request_id.current, help_text="The HTTP request that did it."
    )

    class Meta:
        constraints = (models.CheckConstraint(condition=Q(ahead__gt=F("before")), name="clock_moves_ahead"),)

    def __str__(self) -> str:
        return f"{self.number}: {self.ahead} ahead"


class _FirmNow(Now):
    def as_postgresql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        return self.as_sql(compiler, connection, template="STATEMENT_TIMESTAMP() + firm_ahead()", **extra)


def firm_now_of_statement() -> Now:
    """An expression: the firm's time when the statement begins that it is in."""
    return _FirmNow() if settings.SANDBOX else Now()
