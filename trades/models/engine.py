"""What the order engine remembers between ticks: who may write, and what was answered."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from accounts.ids import uuid7


class EngineLease(models.Model):
    """Who runs a partition. Every tick checks its epoch, so a paused engine's late write is refused."""

    partition = models.PositiveSmallIntegerField(primary_key=True)
    epoch = models.BigIntegerField(default=0)
    holder = models.CharField(max_length=120, blank=True)
    renewed_at = models.DateTimeField(null=True)

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
