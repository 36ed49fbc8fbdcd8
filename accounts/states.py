"""The states of a customer with the table of legal moves, and those of webhooks. Nothing else.

The database refuses every other move by a trigger: the migration `accounts/migrations/0040_customer_states.py` spells
the moves out, and `tests/accounts/test_customer_states.py` holds them equal to this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from django.db.models import TextChoices


class CustomerState(TextChoices):
    STORING = "storing"
    UNVERIFIED = "unverified"
    VERIFIED = "verified"
    REJECTED = "rejected"
    FROZEN = "frozen"


CUSTOMER_MOVES: Final[Mapping[str, frozenset[str]]] = {
    CustomerState.STORING: frozenset({CustomerState.UNVERIFIED, CustomerState.VERIFIED, CustomerState.REJECTED}),
    CustomerState.UNVERIFIED: frozenset({CustomerState.VERIFIED, CustomerState.REJECTED}),
    CustomerState.VERIFIED: frozenset({CustomerState.UNVERIFIED, CustomerState.REJECTED, CustomerState.FROZEN}),
    CustomerState.REJECTED: frozenset({CustomerState.UNVERIFIED, CustomerState.VERIFIED}),
    CustomerState.FROZEN: frozenset({CustomerState.VERIFIED, CustomerState.REJECTED}),
}


class ClientClass(TextChoices):
    """Of a customer: what a regulator lets the firm offer them. Everybody begins as the one that is protected most."""

    RETAIL = "retail"
    PROFESSIONAL = "professional"


class ExpectedBehaviour(TextChoices):
    """How a sandbox's check of a customer ends, on request."""

    PASSED_IMMEDIATELY = "passed_immediately"
    FAILED_IMMEDIATELY = "failed_immediately"


class SubscriptionState(TextChoices):
    """Of a subscription to webhooks. A failed one is told nothing."""

    COMPLETED = "completed"
    FAILED = "failed"


class DeliveryState(TextChoices):
    """Of an event's way to one subscription: storing, failing while it is tried again, and how it ended."""

    STORING = "storing"
    FAILING = "failing"
    COMPLETED = "completed"
    FAILED = "failed"


class BankAccountState(TextChoices):
    """Of a customer's bank account outside: it can be paid, or its customer doesn't want that any more."""

    COMPLETED = "completed"
    DELETED = "deleted"
