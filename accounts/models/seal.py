"""Sealed history: what the append-only tables said, in blocks of which each names the one before."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q


class SealBlock(models.Model):
    """Up to 10,000 rows of one table as they stood when they were sealed. Never changed, never removed.

    `hash` covers every other column, so also the hash of the block before: whoever keeps one hash elsewhere
    can prove by it what every sealed row of every table said at that time. accounts/seals.py has the bytes.
    """

    number = models.BigIntegerField(primary_key=True, help_text="1 and up, without a gap, over all tables together.")
    table_name = models.CharField(max_length=63)
    columns = models.TextField(help_text="The columns that the digests cover, comma-separated, in this order.")
    after = models.UUIDField(help_text="Ids above this …")
    through = models.UUIDField(help_text="… up to and with this one are sealed here.")
    rows_count = models.IntegerField()
    ids = models.BinaryField(help_text="16 bytes a row, ascending.")
    digests = models.BinaryField(help_text="32 bytes a row, in the order of the ids.")
    sides = models.BinaryField(help_text="Transfers only, 8 bytes a row: the ends of the two accounts' ids.")
    previous_hash = models.CharField(max_length=64, help_text="Of the block before; zeros for the first.")
    hash = models.CharField(max_length=64)
    sealed_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["table_name", "after"], name="one_seal_block_per_range"),
            models.UniqueConstraint(fields=["hash"], name="seal_block_hash_unique"),
            models.CheckConstraint(
                condition=Q(number__gte=1, rows_count__gte=1, through__gt=F("after")), name="seal_block_holds_rows"
            ),
        )

    def __str__(self) -> str:
        return f"block {self.number} of {self.table_name}"
