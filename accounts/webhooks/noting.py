"""What came back is written down: what became of each delivery, the log of calls, and how the endpoint is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db import connection

from accounts import conflicts, json_codec
from accounts.arrays import array, new_ids
from accounts.models import WebhookDelivery, WebhookSubscription
from accounts.models.webhook import OPEN
from accounts.webhooks import due, ladder
from accounts.webhooks.sending import GONE, Batch, Sent

_DOWN_FOR_LONG: Final = 3  # bad calls in a row: after fewer it was one event that the endpoint had trouble with
_OF_ENDPOINT: Final = ("state", "failure_code", "failures", "failing_since", "next_at", "updated_at")


@conflicts.atomic
def note(batches: Sequence[Batch], *, waits: bool = False) -> set[UUID]:
    """Write down what came back, and when each is tried again, in one transaction; whose was written.

    Subscriptions that somebody has just now are passed over, or waited for. A delivery that somebody asked for again
    meanwhile stays as they asked. Raises OperationalError where one was waited for in vain.
    """
    ids = {batch.subscription.pk for batch in batches}
    rows = WebhookSubscription.objects.select_for_update(no_key=True, skip_locked=not waits)
    subscriptions = {one.pk: one for one in rows.filter(pk__in=ids).order_by("pk")}
    held = [batch for batch in batches if batch.subscription.pk in subscriptions]
    sent = [one for batch in held for one in batch.sent]
    if sent:
        _mark(sent)
        _log(sent)
    for batch in held:
        if batch.sent:
            _note_endpoint(subscriptions[batch.subscription.pk], batch.sent)
    return set(subscriptions)


class _Moved(NamedTuple):
    """What becomes of a delivery."""

    state: str
    completed_at: datetime | None
    failed_at: datetime | None
    next_attempt_at: datetime | None


def _moved(sent: Sent) -> _Moved:
    if sent.is_delivered:
        return _Moved(WebhookDelivery.State.COMPLETED.value, sent.at, None, None)
    is_gone, message = sent.answer.status == GONE, sent.message
    then = None if is_gone else ladder.next_attempt(message.tries + 1, message.since, sent.ended_at)
    if then is None:
        return _Moved(WebhookDelivery.State.FAILED.value, None, sent.at, None)
    return _Moved(WebhookDelivery.State.FAILING.value, None, None, then)


def _mark(sent: Sequence[Sent]) -> None:
    """In order of attempts: what is asked for again while it is sent has another `since`."""
    moved = [_moved(one) for one in sent]
    columns: list[list[Any]] = [
        [one.message.id for one in sent],
        [one.message.attempts for one in sent],
        [one.message.since for one in sent],
        [one.told for one in sent],
        [one.at for one in sent],
        [one.state for one in moved],
        [one.completed_at for one in moved],
        [one.failed_at for one in moved],
        [one.next_attempt_at for one in moved],
    ]
    with connection.cursor() as cursor:
        cursor.execute(_MARK, [array(column) for column in columns])
        if cursor.rowcount == len(sent):
            return
        as_they_were = {id_ for (id_,) in cursor.fetchall()}
        others = [one for one in sent if one.message.id not in as_they_were]
        parameters: list[list[Any]] = [
            [one.message.id for one in others],
            [one.told for one in others],
            [one.at for one in others],
        ]
        cursor.execute(_COUNT, [array(column) for column in parameters])


# The ORM's own statement for this, a CASE for each column and row, takes ten times as long to be put together.
_MARK = """
UPDATE accounts_webhookdelivery d
SET attempts = d.attempts + 1, tries = d.tries + 1, response = n.response, updated_at = n.at, state = n.state,
    completed_at = n.completed_at, failed_at = n.failed_at, next_attempt_at = n.next_attempt_at
FROM unnest(%s::uuid[], %s::int[], %s::timestamptz[], %s::text[], %s::timestamptz[], %s::text[], %s::timestamptz[],
            %s::timestamptz[], %s::timestamptz[])
    AS n (id, attempts, since, response, at, state, completed_at, failed_at, next_attempt_at)
WHERE d.id = n.id AND (d.attempts, d.since) = (n.attempts, n.since)
RETURNING d.id
"""

# Of what somebody asked for again while it was sent: it is sent again all the same.
_COUNT = """
UPDATE accounts_webhookdelivery d SET attempts = d.attempts + 1, response = n.response, updated_at = n.at
FROM unnest(%s::uuid[], %s::text[], %s::timestamptz[]) AS n (id, response, at)
WHERE d.id = n.id
"""


def _log(sent: Sequence[Sent]) -> None:
    answers = [one.answer for one in sent]
    columns: list[Sequence[Any]] = [
        [one.message.id for one in sent],
        [json_codec.dumps(one.headers).decode() for one in sent],
        [answer.address for answer in answers],
        [answer.status for answer in answers],
        [answer.response for answer in answers],
        [answer.error for answer in answers],
        [answer.milliseconds for answer in answers],
        [one.at for one in sent],
    ]
    with connection.cursor() as cursor:
        cursor.execute(_LOG, [new_ids(len(sent)), *(array(column) for column in columns)])


_LOG = """
INSERT INTO accounts_webhookattempt (id, delivery_id, headers, address, status, response, error, milliseconds, at)
SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::jsonb[], %s::text[], %s::smallint[], %s::text[], %s::text[], %s::int[],
                     %s::timestamptz[])
"""


def _note_endpoint(subscription: WebhookSubscription, all_sent: Sequence[Sent]) -> None:
    last = all_sent[-1]
    open_ones = WebhookDelivery.objects.filter(subscription=subscription, state__in=OPEN)
    if last.answer.status == GONE:
        subscription.state, subscription.failure_code = WebhookSubscription.State.FAILED, "gone"
        subscription.updated_at = last.at
        due.refuse(open_ones, "not sent: the endpoint is gone (410)", last.at)
    elif last.is_endpoint_down:
        subscription.failures += 1
        subscription.failing_since = subscription.failing_since or last.at
        subscription.next_at = last.ended_at + ladder.pause(subscription.failures)
        due.refuse(open_ones.filter(since__lte=last.at - ladder.GIVEN_UP_AFTER), f"given up: {last.told}", last.at)
    elif subscription.failing_since is not None:
        if subscription.failures >= _DOWN_FOR_LONG:  # it is up again: what waits for it waits no longer
            others = open_ones.exclude(pk__in=[sent.message.id for sent in all_sent])
            others.filter(next_attempt_at__gt=last.at).update(next_attempt_at=last.at)
        subscription.failures, subscription.failing_since = 0, None
    else:
        return
    subscription.save(update_fields=_OF_ENDPOINT)
