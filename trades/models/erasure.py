"""That a customer's personal data is to be erased: who asked for it, why, and who decided."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from accounts.ids import uuid7
from accounts.models.choices import known
from accounts.models.fixed import FixedColumns


class Erasure(FixedColumns):
    """A proposal to erase, and what became of it. Never removed; it holds nothing of the person.

    The maker is not the checker, by constraint, and it begins as a proposal, by trigger: nothing brings the data back.
    """

    fixed = frozenset({"customer_id", "reason", "made_by_id", "made_at"})

    class State(models.TextChoices):
        PROPOSED = "proposed"
        DONE = "done"
        REFUSED = "refused"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    customer = models.ForeignKey("accounts.Customer", on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=8, choices=State, default=State.PROPOSED)
    reason = models.CharField(max_length=500, help_text="Why; it names nobody, for it stays.")
    made_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", db_index=False)
    made_at = models.DateTimeField()
    checked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    decided_at = models.DateTimeField(null=True, help_text="When it was done or refused.")

    class Meta:
        constraints = (
            known("erasure", "state", ["proposed", "done", "refused"]),
            models.CheckConstraint(condition=~Q(reason=""), name="erasure_has_a_reason"),
            models.CheckConstraint(
                condition=Q(checked_by__isnull=True) | ~Q(made_by=F("checked_by")), name="erasure_maker_is_not_checker"
            ),
            models.CheckConstraint(
                condition=~Q(state="done") | Q(checked_by__isnull=False), name="erasure_done_by_a_checker"
            ),
            models.CheckConstraint(
                condition=Q(state="proposed", decided_at__isnull=True, checked_by__isnull=True)
                | Q(state__in=["done", "refused"], decided_at__isnull=False),
                name="erasure_decided_at_a_time",
            ),
            models.UniqueConstraint(
                fields=["customer"], condition=Q(state__in=["proposed", "done"]), name="one_erasure_per_customer"
            ),
        )

    def __str__(self) -> str:
        return f"erasure of {self.customer_id.hex}, {self.state}"
