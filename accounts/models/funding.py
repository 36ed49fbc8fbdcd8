"""Who moved money into or out of the firm, why, and by which reference of the outside world."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from accounts import request_id
from accounts.ids import uuid7


class Funding(models.Model):
    """Beside the transfer of a deposit, a withdrawal or the firm's own money. Never changed, never removed.

    `reference` is the outside's own name of the movement: it is used once in the whole firm, whoever it was for. The
    transfer's column carries no foreign key, as in other append-only rows (docs/decisions/): the audit compares them.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    transfer = models.OneToOneField(
        "accounts.Transfer", on_delete=models.PROTECT, related_name="funding", db_constraint=False
    )
    reference = models.CharField(max_length=128, unique=True, help_text="The bank's or the provider's own.")
    reason = models.CharField(max_length=500, blank=True, help_text="Why; empty only where nobody had to say it.")
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    made_by_client = models.ForeignKey(
        "accounts.ApiClient", null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    made_from = models.CharField(
        max_length=40, blank=True, help_text='Where nobody is named, from where it was done: "command line".'
    )
    at = models.DateTimeField()
    request_id = models.CharField(
        max_length=128, null=True, editable=False, default=request_id.current, help_text="The HTTP request that did it."
    )

    class Meta:
        constraints = (
            models.CheckConstraint(condition=~Q(reference=""), name="funding_has_a_reference"),
            models.CheckConstraint(
                condition=Q(made_by__isnull=False, made_by_client__isnull=True, made_from="")
                | Q(made_by__isnull=True, made_by_client__isnull=False, made_from="")
                | Q(made_by__isnull=True, made_by_client__isnull=True) & ~Q(made_from=""),
                name="funding_says_who_or_from_where",
            ),
        )

    def __str__(self) -> str:
        return self.reference
