"""From the outbox to deliveries: for each subscription the events after its place, up to the horizon."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q, QuerySet

from accounts import events
from accounts.identity import Caller
from accounts.models import Event, WebhookSubscription

AT_ONCE: Final = 1000  # events of one subscription in one transaction


def live(at: datetime) -> QuerySet[WebhookSubscription]:
    """Those that are told anything: not failed, not deleted, and their client is on."""
    return WebhookSubscription.objects.filter(
        Q(deleted_at__isnull=True) | Q(deleted_at__gt=at),
        state=WebhookSubscription.State.COMPLETED,
        client__is_active=True,
    )


def kinds_of(subscription: WebhookSubscription) -> list[str]:
    """What it asks for, of what its client may see now."""
    may_see = events.kinds_seen_by(Caller(scopes=frozenset(subscription.client.scopes)))
    return may_see if subscription.kinds is None else [kind for kind in may_see if kind in subscription.kinds]


def feed(at: datetime) -> int:
    """Make the deliveries of what has happened, of each subscription AT_ONCE at the most; how many they are.

    Twice at once: who comes second passes over what the first holds.
    """
    until = events.horizon()  # before the events are read: what lies below it then stays as it is
    furthest_back = live(at).order_by("transaction", "number").values_list("transaction", "number").first()
    if furthest_back is None or not Event.objects.filter(pk__gt=furthest_back, pk__lte=until).exists():
        return 0
    subscriptions = list(live(at).select_related("client"))
    return _step([one.pk for one in subscriptions], [kinds_of(one) for one in subscriptions], until, at)


@transaction.atomic
def _step(ids: Sequence[UUID], kinds: Sequence[Sequence[str]], until: events.Place, at: datetime) -> int:
    """The next AT_ONCE events of each; a subscription of which fewer are left goes on at the horizon."""
    with connection.cursor() as cursor:
        cursor.execute(
            _FEED,
            {
                "ids": list(ids),
                "kinds": ["{" + ",".join(of_one) + "}" for of_one in kinds],
                "of_everybody": list(events.OF_EVERYBODY),
                "until": until[0],
                "until_number": until[1],
                "most": AT_ONCE,
                "at": at,
            },
        )
        (made,) = cursor.fetchone()
    return int(made)


# The place that a subscription gets is never before the one that it has: `until` may be an older horizon.
_FEED = """
WITH given AS (
    SELECT id, kinds::text[] AS kinds FROM unnest(%(ids)s::uuid[], %(kinds)s::text[]) AS g (id, kinds)
), due AS (
    SELECT s.id, s.transaction, s.number, s.customer_id, given.kinds
    FROM accounts_webhooksubscription s JOIN given USING (id)
    WHERE (s.transaction, s.number) < (%(until)s, %(until_number)s)
    ORDER BY s.id FOR NO KEY UPDATE OF s SKIP LOCKED
), found AS MATERIALIZED (
    SELECT due.id, e.transaction, e.number, e.kind, e.object_id, e.place
    FROM due CROSS JOIN LATERAL (
        SELECT e.transaction, e.number, e.kind, e.object_id,
               row_number() OVER (ORDER BY e.transaction, e.number) AS place
        FROM accounts_event e
        WHERE (e.transaction, e.number) > (due.transaction, due.number)
          AND (e.transaction, e.number) <= (%(until)s, %(until_number)s)
          AND e.kind = ANY (due.kinds)
          AND (due.customer_id IS NULL OR e.customer_id = due.customer_id
               OR (e.customer_id IS NULL AND e.kind = ANY (%(of_everybody)s)))
        ORDER BY e.transaction, e.number
        LIMIT %(most)s
    ) e
), moved AS (
    UPDATE accounts_webhooksubscription s
    SET transaction = coalesce(last.transaction, %(until)s), number = coalesce(last.number, %(until_number)s)
    FROM due LEFT JOIN found last ON last.id = due.id AND last.place = %(most)s
    WHERE s.id = due.id
), made AS (
    INSERT INTO accounts_webhookdelivery (id, subscription_id, transaction, number, kind, object_id, state, attempts,
                                          tries, response, since, next_attempt_at, created_at, updated_at)
    SELECT gen_random_uuid(), id, transaction, number, kind, object_id, 'storing', 0, 0, '',
           %(at)s, %(at)s, %(at)s, %(at)s
    FROM found
    ON CONFLICT (subscription_id, transaction, number) DO NOTHING
)
SELECT count(*) FROM found
"""
