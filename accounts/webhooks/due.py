"""What is due: of which subscriptions, and what each of them is sent next."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet

from accounts.models import Event, WebhookDelivery, WebhookSubscription
from accounts.models.webhook import OPEN
from accounts.webhooks import feeding
from accounts.webhooks.messages import body_of

AT_ONCE: Final = 20  # deliveries of one subscription before it is looked at anew
_NOT_ALLOWED: Final = "not sent: the API client's scopes don't allow it"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A subscription that has something to be sent."""

    id: UUID
    client_id: UUID
    is_failing: bool


@dataclass(frozen=True, slots=True)
class Message:
    """A delivery as it was when it was looked up, and what is sent. `since`, `attempts`: `noting` knows by them whether
    somebody asked for it again meanwhile."""

    id: UUID
    guid: str
    object_id: UUID
    attempts: int
    tries: int
    since: datetime
    body: bytes


def waiting(at: datetime, busy: Collection[UUID]) -> list[Waiting]:
    """The subscriptions that have something due and aren't busy."""
    with connection.cursor() as cursor:
        cursor.execute(_WAITING, {"at": at, "busy": [*busy]})
        return [Waiting(*row) for row in cursor.fetchall()]


def messages(ids: Collection[UUID], at: datetime) -> tuple[list[tuple[WebhookSubscription, list[Message]]], int]:
    """Of those of these subscriptions that have something due the first AT_ONCE, in order.

    What the client may no longer see is refused; how many those were. Behind them others may be due.
    """
    with connection.cursor() as cursor:
        cursor.execute(_MESSAGES, {"at": at, "ids": [*ids], "at_once": AT_ONCE})
        rows = cursor.fetchall()
    subscriptions = WebhookSubscription.objects.select_related("client").in_bulk({row[0] for row in rows})
    kinds = {id_: frozenset(feeding.kinds_of(one)) for id_, one in subscriptions.items()}
    found: dict[UUID, list[Message]] = {}
    events: dict[tuple[int, int], Event] = {}
    hidden = []
    for subscription_id, delivery_id, attempts, tries, since, *of_event in rows:
        place = (of_event[0], of_event[1])
        event = events.get(place) or events.setdefault(place, Event(**dict(zip(_OF_EVENT, of_event, strict=True))))
        if event.kind not in kinds[subscription_id]:
            hidden.append(delivery_id)
            continue
        body = body_of(event, subscription_id)
        one = Message(delivery_id, event.guid.hex, event.object_id, attempts, tries, since, body)
        found.setdefault(subscription_id, []).append(one)
    if hidden:
        refuse(WebhookDelivery.objects.filter(pk__in=hidden, state__in=OPEN), _NOT_ALLOWED, at)
    return [(subscriptions[id_], those) for id_, those in found.items()], len(hidden)


def refuse(deliveries: QuerySet[WebhookDelivery], why: str, at: datetime) -> None:
    """They are never sent."""
    failed = WebhookDelivery.State.FAILED
    deliveries.update(state=failed, failed_at=at, next_attempt_at=None, response=why, updated_at=at)


_OF_EVENT: Final = ("transaction", "number", "kind", "object_id", "customer_id", "detail", "at")

_MAY_BE_CALLED = """
s.state = 'completed' AND s.next_at <= %(at)s AND (s.deleted_at IS NULL OR s.deleted_at > %(at)s) AND c.is_active
"""

# A delivery isn't due while an earlier one of the same object waits for its next attempt.
_IS_DUE = """
d.subscription_id = s.id AND d.state IN ('storing', 'failing') AND d.next_attempt_at <= %(at)s
AND NOT EXISTS (
    SELECT FROM accounts_webhookdelivery earlier
    WHERE earlier.subscription_id = s.id AND earlier.object_id = d.object_id
      AND earlier.state IN ('storing', 'failing') AND earlier.next_attempt_at > %(at)s
      AND (earlier.transaction, earlier.number) < (d.transaction, d.number))
"""

# The LIMIT keeps each subscription a question of its own: as one join all that waits would be read.
_WAITING = f"""
SELECT s.id, s.client_id, s.failures > 0
FROM accounts_webhooksubscription s JOIN accounts_apiclient c ON c.id = s.client_id
CROSS JOIN LATERAL (SELECT FROM accounts_webhookdelivery d WHERE {_IS_DUE} LIMIT 1) one
WHERE {_MAY_BE_CALLED} AND s.id <> ALL (%(busy)s::uuid[])
"""  # noqa: S608 - our own text

_MESSAGES = f"""
SELECT s.id, d.id, d.attempts, d.tries, d.since,
       e.transaction, e.number, e.kind, e.object_id, e.customer_id, e.detail, e.at
FROM accounts_webhooksubscription s JOIN accounts_apiclient c ON c.id = s.client_id
CROSS JOIN LATERAL (
    SELECT d.* FROM accounts_webhookdelivery d WHERE {_IS_DUE} ORDER BY d.transaction, d.number LIMIT %(at_once)s
) d
JOIN accounts_event e ON (e.transaction, e.number) = (d.transaction, d.number)
WHERE {_MAY_BE_CALLED} AND s.id = ANY (%(ids)s::uuid[])
ORDER BY s.id, d.transaction, d.number
"""  # noqa: S608 - our own text
