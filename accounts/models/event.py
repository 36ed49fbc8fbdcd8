"""The outbox: what has changed that a client may see."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from django.db import models

from accounts.models.fixed import FixedColumns

LARGEST: Final = 2**63 - 1


class Event(models.Model):
    """One change that a client may see, written by the trigger of the table that changed, in its transaction.

    Its place is the transaction's number, then its own. A reader who stops below every transaction that still runs
    (`accounts.events.horizon`) never misses one that commits later. Never changed, never removed, and the application's
    role can't write one by itself.
    """

    pk = models.CompositePrimaryKey("transaction", "number")
    transaction = models.BigIntegerField(help_text="PostgreSQL's number of the transaction, plus the shift.")
    number = models.BigIntegerField(help_text="Counts up within a transaction.")
    kind = models.CharField(max_length=40)
    object_id = models.UUIDField()
    customer = models.ForeignKey(
        "accounts.Customer",
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_constraint=False,
        db_index=False,
        help_text="Empty: the firm's.",
    )
    detail = models.CharField(max_length=64, blank=True)
    at = models.DateTimeField(help_text="The change's own time.")

    class Meta:
        indexes = (models.Index(fields=["customer", "transaction", "number"], name="event_by_customer"),)

    def __str__(self) -> str:
        return f"{self.kind} {self.object_id.hex}"

    @property
    def guid(self) -> UUID:
        """Its place as 32 hex characters that sort as the places do."""
        return UUID(int=(self.transaction << 64) | self.number)


class EventShift(FixedColumns):
    """What is added to PostgreSQL's transaction numbers. Of one row, raised where a restored database counts anew."""

    fixed = frozenset({"shift"})

    id = models.SmallIntegerField(primary_key=True, default=1)
    shift = models.BigIntegerField(default=0)

    class Meta:
        constraints = (
            models.CheckConstraint(condition=models.Q(id=1), name="one_event_shift"),
            models.CheckConstraint(condition=models.Q(shift__gte=0), name="event_shift_not_negative"),
        )

    def __str__(self) -> str:
        return str(self.shift)


class EventHorizon(FixedColumns):
    """Which transaction was the oldest that ran at a moment: noted every few seconds, kept for 40 days.

    Lists know by it which rows may have been committed after a moment although their time is before it.
    """

    fixed = frozenset({"transaction"})

    at = models.DateTimeField(primary_key=True)
    transaction = models.BigIntegerField(help_text="Its number, plus the shift.")

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.transaction}"
