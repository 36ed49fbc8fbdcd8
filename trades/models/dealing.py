"""What a dealer does with customers' orders: closes positions, cancels what waits; alone, or with a second person."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from accounts.ids import uuid7
from accounts.models.choices import known
from accounts.models.fixed import FixedColumns


class DealersAction(FixedColumns):
    """An order to the engines, which look it up here before they do it: nobody else can say that it was given.

    It begins as a proposal. The maker isn't the checker, and what takes two persons is ordered by the second: by
    constraint. What was decided is never changed: by trigger.
    """

    fixed = frozenset(
        {
            "kind",
            "customer_id",
            "instrument_id",
            "order_code",
            "worth",
            "positions_count",
            "needs_checker",
            "reason",
            "once",
            "made_by_id",
            "made_at",
        }
    )

    class Kind(models.TextChoices):
        CLOSE = "close", "close a position"
        CLOSE_ALL = "close_all", "close positions"
        CANCEL = "cancel", "cancel an order"

    class State(models.TextChoices):
        PROPOSED = "proposed"
        ORDERED = "ordered"
        REFUSED = "refused"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=9, choices=Kind)
    state = models.CharField(max_length=8, choices=State, default=State.PROPOSED)
    customer = models.ForeignKey(
        "accounts.Customer", null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    instrument = models.ForeignKey(
        "quotes.Instrument", null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    order_code = models.CharField(max_length=20, blank=True)
    worth = models.DecimalField(
        max_digits=38,
        decimal_places=0,
        null=True,
        help_text="What the positions that it closes were worth when it was proposed, in the smallest unit of the"
        " account currency, such as cents. Empty: a price was missing.",
    )
    positions_count = models.PositiveIntegerField(default=0, help_text="How many positions it was about then.")
    needs_checker = models.BooleanField(default=True)
    reason = models.CharField(max_length=200)
    once = models.UUIDField(
        null=True, unique=True, editable=False, help_text="The one-time key of the dialog that made it."
    )
    made_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", db_index=False)
    made_at = models.DateTimeField()
    checked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    decided_at = models.DateTimeField(null=True, help_text="When it was ordered or refused.")

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=Q(checked_by__isnull=True) | ~Q(made_by=F("checked_by")),
                name="dealers_action_maker_is_not_checker",
            ),
            models.CheckConstraint(
                condition=~Q(state="ordered") | Q(needs_checker=False) | Q(checked_by__isnull=False),
                name="dealers_action_ordered_by_a_checker",
            ),
            models.CheckConstraint(
                condition=Q(needs_checker=True)
                | Q(kind="cancel")
                | Q(customer__isnull=False, worth__isnull=False, worth__gte=0),
                name="dealers_action_that_takes_two",
            ),
            models.CheckConstraint(
                condition=Q(kind__in=["close", "cancel"], customer__isnull=False, instrument__isnull=True)
                & ~Q(order_code="")
                | Q(kind="close_all", order_code="") & (Q(customer__isnull=False) | Q(instrument__isnull=False)),
                name="dealers_action_says_what",
            ),
            models.CheckConstraint(
                condition=Q(state="proposed", decided_at__isnull=True, checked_by__isnull=True)
                | Q(state__in=["ordered", "refused"], decided_at__isnull=False),
                name="dealers_action_decided_at_a_time",
            ),
            models.CheckConstraint(condition=~Q(reason=""), name="dealers_action_has_a_reason"),
            known("dealers_action", "kind", ["close", "close_all", "cancel"]),
            known("dealers_action", "state", ["proposed", "ordered", "refused"]),
        )
        indexes = (models.Index(fields=["made_by", "decided_at"], name="dealers_actions_of_a_maker"),)
        verbose_name = "dealer's action"

    def __str__(self) -> str:
        return f"{self.get_kind_display()}, {self.state}"
