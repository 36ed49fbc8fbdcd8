"""What rows that may change have said, version by version."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from accounts.ids import uuid7


class RowVersion(models.Model):
    """What a row said from `at` on. Written by a trigger of its table, never changed, never removed, and sealed.

    The highest number of a row is what it says now; accounts/versions.py compares them.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    table_name = models.CharField(max_length=63)
    row_key = models.CharField(max_length=64)
    number = models.IntegerField(help_text="1 and up, without a gap, for each row.")
    said = models.JSONField(null=True, help_text="By column; empty: the row was removed.")
    by_role = models.CharField(max_length=63, help_text="The database's role that did it.")
    at = models.DateTimeField()
    request_id = models.CharField(max_length=128, null=True, help_text="The HTTP request that did it.")

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["table_name", "row_key", "number"], name="one_version_per_number"),
            models.CheckConstraint(condition=Q(number__gte=1), name="version_number_positive"),
        )

    def __str__(self) -> str:
        return f"{self.table_name} {self.row_key}, version {self.number}"
