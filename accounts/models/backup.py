from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from accounts.ids import uuid7


class Backup(models.Model):
    """A backup that was made: written by the command when it stands whole on its disk. Never changed, never removed."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=4, choices=[("base", "Whole server"), ("dump", "Database")])
    began_at = models.DateTimeField(help_text="What was committed until then is in it.")
    at = models.DateTimeField(help_text="When it stood whole on its disk.")
    bytes = models.BigIntegerField(help_text="Of its files together.")
    place = models.CharField(max_length=500, help_text="The directory, on the machine where the command ran.")
    migration = models.CharField(max_length=255, help_text="The last one of the database.")
    head_number = models.BigIntegerField(null=True, help_text="Of the newest sealed block when it began.")
    head_hash = models.CharField(max_length=64, blank=True)

    class Meta:
        constraints = (
            models.CheckConstraint(condition=Q(kind__in=["base", "dump"]), name="backup_kind_known"),
            models.CheckConstraint(condition=Q(at__gte=F("began_at"), bytes__gt=0), name="backup_is_whole"),
        )

    def __str__(self) -> str:
        return f"{self.kind} of {self.at:%Y-%m-%d %H:%M}"
