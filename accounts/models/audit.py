from __future__ import annotations

from django.db import models

from accounts.ids import uuid7


class LedgerAudit(models.Model):
    """The result of one recount of the books, kept for the operator and the auditor."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    at = models.DateTimeField()
    ok = models.BooleanField()
    counted = models.JSONField(help_text="How many rows each check looked at.")
    findings = models.JSONField(help_text="What is wrong: check, row and sentence.")

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {'books balance' if self.ok else 'BREAKS'}"
