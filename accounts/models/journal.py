"""What people did, and what they were refused: one row that nobody rewrites for each."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from accounts import request_id
from accounts.ids import uuid7
from accounts.models.choices import known

_OUTCOMES = ("begun", "done", "refused", "nothing", "failed")
_VIAS = ("admin", "command", "api")


class JournalEntry(models.Model):
    """One deed of a person or of a program that acts for the firm. Never changed, never removed, and sealed.

    A deed is written twice: `begun`, committed before anything happens, and what came of it, which names the first
    by `begun_id`. One that stays without the second was cut off: the process ended. What is refused at the door (a
    login, a page that somebody may not open) has one row.

    No foreign keys, as in other append-only rows. No password, no secret and no personal data: of such a column
    `before` and `after` say only that it changed.
    """

    class Outcome(models.TextChoices):
        BEGUN = "begun", "Begun"
        DONE = "done", "Done"
        REFUSED = "refused", "Refused"
        NOTHING = "nothing", "Nothing done"
        FAILED = "failed", "Failed"

    class Via(models.TextChoices):
        ADMIN = "admin", "Admin"
        COMMAND = "command", "Command line"
        API = "api", "API"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    at = models.DateTimeField(db_default=Now())
    user_id = models.UUIDField(null=True, help_text="Who: a person.")
    client_id = models.UUIDField(null=True, help_text="Who: an API client.")
    via = models.CharField(max_length=8, choices=Via.choices)
    address = models.CharField(max_length=45, blank=True, help_text="The network address that it came from.")
    deed = models.CharField(max_length=100, help_text="What: a page's, an action's, a command's or a route's name.")
    objects_named = ArrayField(
        models.CharField(max_length=200),
        default=list,
        help_text="What it was done to or made: guids, and app.model:key of rows that have none.",
    )
    asked = models.JSONField(default=dict, help_text="What was filled in, where that is no row's column.")
    before = models.JSONField(default=dict, help_text="The columns that changed, as they were.")
    after = models.JSONField(default=dict, help_text="The same as they are; of a new row all that say something.")
    reason = models.CharField(max_length=500, blank=True)
    second_id = models.UUIDField(null=True, help_text="The other one of two persons: who proposed what is decided.")
    second_client_id = models.UUIDField(null=True, help_text="The same, where that is an API client.")
    outcome = models.CharField(max_length=8, choices=Outcome.choices)
    said = models.CharField(max_length=500, blank=True, help_text="Why it was refused, or what failed.")
    begun_id = models.UUIDField(null=True, help_text="Of an outcome: the row that was written before.")
    once = models.UUIDField(null=True, help_text="The one-time key of the dialog that was answered.")
    request_id = models.CharField(max_length=128, null=True, default=request_id.current)

    class Meta:
        verbose_name_plural = "journal entries"
        constraints = (
            known("journal", "outcome", _OUTCOMES),
            known("journal", "via", _VIAS),
            models.UniqueConstraint(fields=["begun_id"], name="one_outcome_of_a_deed"),
            models.UniqueConstraint(fields=["once"], name="a_dialog_is_answered_once"),
            models.CheckConstraint(
                condition=~Q(outcome="begun") | Q(begun_id__isnull=True), name="journal_begins_once"
            ),
            models.CheckConstraint(
                condition=Q(user_id__isnull=True) | Q(client_id__isnull=True), name="journal_names_one"
            ),
        )
        indexes = (
            models.Index(fields=["user_id", "id"], name="journal_by_person"),
            models.Index(fields=["deed", "id"], name="journal_by_deed"),
            GinIndex(fields=["objects_named"], name="journal_by_object", fastupdate=False),
        )

    def __str__(self) -> str:
        return f"{self.deed}, {self.outcome}"
