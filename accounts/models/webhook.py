"""Who is told of events without asking, what was sent to whom, and what came back."""

from __future__ import annotations

from uuid import uuid4

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.ids import uuid7
from accounts.models.choices import known
from accounts.models.fixed import FixedColumns
from accounts.states import DeliveryState, SubscriptionState

OPEN = (DeliveryState.STORING.value, DeliveryState.FAILING.value)  # a delivery that is still to be made


class WebhookSubscription(FixedColumns):
    """An address that is told of events, and how far it has been told.

    Its place in the outbox is that of the last event for which a delivery was made, or wasn't asked for.
    """

    fixed = frozenset({"client_id", "customer_id", "url", "kinds", "created_at"})

    State = SubscriptionState

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    client = models.ForeignKey(
        "accounts.ApiClient",
        on_delete=models.PROTECT,
        related_name="+",
        help_text="Who made it. It tells what this client's scopes allow now, and nothing while the client is off.",
    )
    customer = models.ForeignKey(
        "accounts.Customer", null=True, on_delete=models.PROTECT, related_name="+", help_text="Empty: the whole firm's."
    )
    name = models.CharField(max_length=128)
    url = models.CharField(max_length=1024)
    kinds = ArrayField(models.CharField(max_length=40), null=True, help_text="Empty: all that the client may see.")
    state = models.CharField(max_length=16, choices=State.choices, default=State.COMPLETED)
    failure_code = models.CharField(max_length=32, blank=True)
    seed = models.CharField(max_length=64, editable=False, help_text="The key is made of it and SECRET_KEY.")
    previous_seed = models.CharField(max_length=64, blank=True, editable=False)
    previous_until = models.DateTimeField(null=True, help_text="Until then the key before signs, too.")
    transaction = models.BigIntegerField()
    number = models.BigIntegerField()
    failures = models.PositiveIntegerField(default=0, help_text="Calls in a row that the endpoint didn't answer well.")
    failing_since = models.DateTimeField(null=True)
    next_at = models.DateTimeField(default=timezone.now, help_text="It isn't called before.")
    deleted_at = models.DateTimeField(null=True, help_text="From then on it is told nothing.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = (known("webhook_subscription", "state", SubscriptionState.values),)

    def __str__(self) -> str:
        return self.name


class WebhookDelivery(FixedColumns):
    """One event for one subscription."""

    fixed = frozenset({"subscription_id", "transaction", "number", "kind", "object_id", "created_at"})

    State = DeliveryState

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    subscription = models.ForeignKey(WebhookSubscription, on_delete=models.PROTECT, related_name="+", db_index=False)
    transaction = models.BigIntegerField()
    number = models.BigIntegerField()
    kind = models.CharField(max_length=40, help_text="The event's.")
    object_id = models.UUIDField(help_text="The event's: a later event of the same object waits for this one.")
    state = models.CharField(max_length=16, choices=State.choices, default=State.STORING)
    attempts = models.PositiveIntegerField(default=0)
    tries = models.PositiveIntegerField(default=0, help_text="Attempts since it was made or asked for again.")
    response = models.TextField(blank=True, help_text="Of the last attempt, as its client is told of it.")
    since = models.DateTimeField(help_text="When it was made or asked for again: three days later it is given up.")
    next_attempt_at = models.DateTimeField(null=True)
    request_id = models.CharField(
        max_length=128, null=True, editable=False, help_text="The HTTP request that asked for it again."
    )
    completed_at = models.DateTimeField(null=True)
    failed_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        constraints = (
            known("webhook_delivery", "state", DeliveryState.values),
            models.UniqueConstraint(fields=["subscription", "transaction", "number"], name="webhook_delivery_once"),
            models.CheckConstraint(
                condition=Q(state__in=OPEN, next_attempt_at__isnull=False)
                | Q(
                    state__in=(DeliveryState.COMPLETED.value, DeliveryState.FAILED.value), next_attempt_at__isnull=True
                ),
                name="webhook_delivery_due",
            ),
        )
        indexes = (
            models.Index(fields=["transaction", "number", "id"], name="webhook_delivery_by_event"),
            models.Index(
                fields=["subscription", "transaction", "number"], condition=Q(state__in=OPEN), name="webhook_open"
            ),
            models.Index(
                fields=["subscription", "object_id"], condition=Q(state__in=OPEN), name="webhook_open_by_object"
            ),
        )

    def __str__(self) -> str:
        return f"{self.pk.hex} {self.state}"


class WebhookAttempt(models.Model):
    """One call of an endpoint, and what came back. Never changed, never removed."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    delivery = models.ForeignKey(WebhookDelivery, on_delete=models.PROTECT, related_name="log")
    headers = models.JSONField(help_text="As they were sent, without the signatures.")
    address = models.CharField(max_length=64, blank=True, help_text="To which it was sent.")
    status = models.PositiveSmallIntegerField(null=True, help_text="Empty: no answer.")
    response = models.TextField(blank=True, help_text="The first kilobyte.")
    error = models.CharField(max_length=200, blank=True)
    milliseconds = models.PositiveIntegerField()
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.delivery_id.hex} {self.status or self.error}"
