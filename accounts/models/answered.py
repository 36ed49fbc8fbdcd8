"""Requests that were made under an Idempotency-Key, each with its answer."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from accounts import request_id
from accounts.ids import uuid7
from accounts.models.fixed import FixedColumns


class AnsweredRequest(FixedColumns):
    """What a POST was answered, to the byte, written in the transaction of its work: both are there, or neither.

    The caller is a user, a client, or a client's token for one customer: those three columns together, so that
    nobody meets another one's key. Never changed; removed when it is old, and not before a day has passed (trigger).
    """

    fixed = frozenset(
        {"user_id", "client_id", "customer_id", "key", "request_sha256", "path", "request_id", "status", "body", "at"}
    )

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user_id = models.UUIDField(null=True)
    client_id = models.UUIDField(null=True)
    customer_id = models.UUIDField(null=True)
    key = models.CharField(max_length=128)
    request_sha256 = models.CharField(max_length=64, help_text="Of the method, the path and what the body means.")
    path = models.CharField(max_length=255)
    request_id = models.CharField(max_length=128, null=True, default=request_id.current)
    status = models.PositiveSmallIntegerField()
    body = models.TextField()
    at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["user_id", "client_id", "customer_id", "key"],
                nulls_distinct=False,
                name="one_answer_per_caller_and_key",
            ),
            models.CheckConstraint(
                condition=Q(user_id__isnull=False) | Q(client_id__isnull=False), name="answered_somebody"
            ),
            models.CheckConstraint(condition=~Q(key=""), name="answered_under_a_key"),
            models.CheckConstraint(condition=Q(status__gte=200, status__lt=500), name="answered_for_good"),
        )

    def __str__(self) -> str:
        return self.key
