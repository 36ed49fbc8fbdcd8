"""That a control is to be switched off: who asked for it, why, and who decided."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from accounts.ids import uuid7
from accounts.models.choices import known
from accounts.models.fixed import FixedColumns


class ControlChange(FixedColumns):
    """A proposal to let a window go alone, an API client do more, more be open, or staff do more; what became of it.

    The maker is not the checker, by constraint. The window, the client, the limit and the user can't be loosened but in
    the transaction in which such a row becomes applied, by triggers on their tables.
    """

    fixed = frozenset({"kind", "subject", "adds", "reason", "made_by_id", "made_at", "once"})

    class Kind(models.TextChoices):
        WINDOW = "window", "a settlement window"
        CLIENT = "client", "an API client"
        LIMIT = "limit", "a risk limit"
        STAFF = "staff", "a member of staff"

    class State(models.TextChoices):
        PROPOSED = "proposed"
        APPLIED = "applied"
        REFUSED = "refused"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=6, choices=Kind)
    subject = models.UUIDField(help_text="The window, the client, the limit, or the user.")
    adds = ArrayField(
        models.CharField(max_length=64),
        help_text="A window's or a user's columns that become true, a client's scopes, a user's roles, or a"
        " limit's amounts, as 1000 to 2000.",
    )
    state = models.CharField(max_length=8, choices=State, default=State.PROPOSED)
    reason = models.CharField(max_length=200)
    made_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", db_index=False)
    made_at = models.DateTimeField()
    once = models.UUIDField(null=True, unique=True, editable=False, help_text="The one-time key of the dialog.")
    checked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    decided_at = models.DateTimeField(null=True)
    applied_in = models.CharField(
        max_length=20, null=True, editable=False, help_text="The transaction in which it was applied, by the database."
    )

    class Meta:
        constraints = (
            known("control", "kind", ["window", "client", "limit", "staff"]),
            known("control", "state", ["proposed", "applied", "refused"]),
            models.CheckConstraint(condition=~Q(reason="") & ~Q(adds=[]), name="control_says_what_and_why"),
            models.CheckConstraint(
                condition=Q(checked_by__isnull=True) | ~Q(made_by=F("checked_by")), name="control_maker_is_not_checker"
            ),
            models.CheckConstraint(
                condition=~Q(state="applied") | Q(checked_by__isnull=False), name="control_applied_by_a_checker"
            ),
            models.CheckConstraint(
                condition=Q(state="proposed", decided_at__isnull=True, checked_by__isnull=True)
                | Q(state__in=["applied", "refused"], decided_at__isnull=False),
                name="control_decided_at_a_time",
            ),
            models.UniqueConstraint(
                fields=["subject"], condition=Q(state="proposed"), name="one_control_change_at_a_time"
            ),
        )

    def __str__(self) -> str:
        return f"{', '.join(self.adds)}, {self.state}"
