"""That a customer is to be of another client class: who asked for it, why, and who decided."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from accounts.ids import uuid7
from accounts.models.choices import known
from accounts.models.fixed import FixedColumns
from accounts.states import ClientClass


class ClientClassChange(FixedColumns):
    """A proposal to give a customer another class, and what became of it. Never removed.

    A trigger writes the customer when the row becomes applied; the application's role can't do it otherwise.
    """

    fixed = frozenset({"customer_id", "was", "becomes", "reason", "once", "made_by_id", "made_at"})

    class State(models.TextChoices):
        PROPOSED = "proposed"
        APPLIED = "applied"
        REFUSED = "refused"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    customer = models.ForeignKey("accounts.Customer", on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=8, choices=State, default=State.PROPOSED)
    was = models.CharField(max_length=12, choices=ClientClass)
    becomes = models.CharField(max_length=12, choices=ClientClass)
    reason = models.CharField(max_length=500, help_text="Why, such as what was seen of their experience and means.")
    once = models.UUIDField(
        null=True, unique=True, editable=False, help_text="The one-time key of the dialog that made it."
    )
    made_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", db_index=False)
    made_at = models.DateTimeField()
    checked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    decided_at = models.DateTimeField(null=True, help_text="When it was applied or refused.")

    class Meta:
        constraints = (
            known("client_class_change", "state", ["proposed", "applied", "refused"]),
            known("client_class_change", "was", ClientClass.values),
            known("client_class_change", "becomes", ClientClass.values),
            models.CheckConstraint(condition=~Q(was=F("becomes")), name="client_class_change_changes"),
            models.CheckConstraint(condition=~Q(reason=""), name="client_class_change_has_a_reason"),
            models.CheckConstraint(
                condition=Q(checked_by__isnull=True) | ~Q(made_by=F("checked_by")),
                name="client_class_maker_is_not_checker",
            ),
            models.CheckConstraint(
                condition=~Q(state="applied") | Q(checked_by__isnull=False), name="client_class_applied_by_a_checker"
            ),
            models.CheckConstraint(
                condition=Q(state="proposed", decided_at__isnull=True, checked_by__isnull=True)
                | Q(state__in=["applied", "refused"], decided_at__isnull=False),
                name="client_class_change_decided_at_a_time",
            ),
            models.UniqueConstraint(
                fields=["customer"], condition=Q(state="proposed"), name="one_open_class_change_per_customer"
            ),
        )

    def __str__(self) -> str:
        return f"{self.customer_id.hex}, {self.was} to {self.becomes}, {self.state}"
