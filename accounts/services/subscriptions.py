"""Subscriptions to events: made with a key that is shown once, given a new key, ended; and deliveries made again."""

from __future__ import annotations

import ipaddress
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import Q, QuerySet

from accounts import conflicts, events, request_id
from accounts.errors import (
    BadEndpoint,
    NotFound,
    SubscriptionEnds,
    SubscriptionGone,
    TooManySubscriptions,
    TooManyToReplay,
)
from accounts.models import ApiClient, Customer, Event, WebhookDelivery, WebhookSubscription
from accounts.webhooks import addresses, signing

BOTH_KEYS_FOR: Final = timedelta(hours=24)
ENDS_AFTER: Final = timedelta(hours=24)
LONGEST_URL: Final = 1024
MOST_OF_A_CLIENT: Final = 50  # subscriptions: each event costs a row of each
MOST_REPLAYED: Final = 10_000  # deliveries by one request
_URL: Final = re.compile(r"https?://[!-~]+", re.ASCII)
_HOST: Final = re.compile(r"[A-Za-z0-9._:-]{1,253}", re.ASCII)


@dataclass(frozen=True, slots=True)
class NewSubscription:
    client_id: UUID
    name: str
    url: str
    kinds: Sequence[str] | None = None
    customer: Customer | None = None


def check_endpoint(url: str) -> None:
    """Raises BadEndpoint for a URL that is never called, as far as that is known without looking its name up."""
    parts = _parts(url)
    if len(url) > LONGEST_URL or parts is None:
        raise BadEndpoint("url must be an https:// address of at most 1024 characters, without a user or a fragment.")
    scheme, host = parts
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if scheme == "http" and not settings.WEBHOOK_ALLOWED_NETWORKS:
            raise BadEndpoint("url must begin with https://.") from None
        return
    if not addresses.may_be_called(address):
        raise BadEndpoint("url is at an address that is not public.")
    if scheme == "http" and not addresses.is_allowed(address):
        raise BadEndpoint("url must begin with https://.")


def _parts(url: str) -> tuple[str, str] | None:
    """A URL's scheme and host, None where it can't be meant."""
    if not _URL.fullmatch(url) or "\\" in url:
        return None
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    if "@" in parts.netloc or parts.fragment or port == 0 or not _HOST.fullmatch(host):
        return None
    return parts.scheme, host


@conflicts.atomic
def subscribe(wanted: NewSubscription, at: datetime) -> WebhookSubscription:
    """Told from now on: of what is committed later than this. Raises BadEndpoint, TooManySubscriptions."""
    check_endpoint(wanted.url)
    ApiClient.objects.select_for_update(no_key=True).get(pk=wanted.client_id)  # its requests take turns
    if there(at).filter(client_id=wanted.client_id).count() >= MOST_OF_A_CLIENT:
        raise TooManySubscriptions
    transaction, number = events.horizon()
    return WebhookSubscription.objects.create(
        client_id=wanted.client_id,
        customer=wanted.customer,
        name=wanted.name,
        url=wanted.url,
        kinds=None if wanted.kinds is None else sorted(set(wanted.kinds)),
        seed=_seed(),
        transaction=transaction,
        number=number,
        next_at=at,
        created_at=at,
        updated_at=at,
    )


def there(at: datetime) -> QuerySet[WebhookSubscription]:
    """Those that are not deleted."""
    return WebhookSubscription.objects.filter(Q(deleted_at__isnull=True) | Q(deleted_at__gt=at))


def key_shown(subscription: WebhookSubscription) -> str:
    """The key that signs, to be shown when it was made."""
    return signing.shown(subscription.seed)


@conflicts.atomic
def rename(id_: UUID, name: str, at: datetime) -> WebhookSubscription:
    """Raises SubscriptionEnds."""
    subscription = _locked(id_)
    subscription.name, subscription.updated_at = name, at
    subscription.save(update_fields=["name", "updated_at"])
    return subscription


@conflicts.atomic
def replace_key(id_: UUID, at: datetime) -> WebhookSubscription:
    """A new key; the one before signs, too, for a day. Raises SubscriptionEnds."""
    subscription = _locked(id_)
    subscription.previous_seed, subscription.previous_until = subscription.seed, at + BOTH_KEYS_FOR
    subscription.seed, subscription.updated_at = _seed(), at
    subscription.save(update_fields=["seed", "previous_seed", "previous_until", "updated_at"])
    return subscription


@conflicts.atomic
def end(id_: UUID, at: datetime, after: timedelta = ENDS_AFTER) -> WebhookSubscription:
    """Told for so long, a day, and nothing from then on; sooner where it was to end later, never later."""
    subscription = WebhookSubscription.objects.select_for_update(no_key=True).get(pk=id_)
    if subscription.deleted_at is None or at + after < subscription.deleted_at:
        subscription.deleted_at, subscription.updated_at = at + after, at
        subscription.save(update_fields=["deleted_at", "updated_at"])
    return subscription


def _locked(id_: UUID, *, to_be_told: bool = False) -> WebhookSubscription:
    subscription = WebhookSubscription.objects.select_for_update(no_key=True).get(pk=id_)
    if subscription.deleted_at is not None:
        raise SubscriptionEnds
    if to_be_told and subscription.state == WebhookSubscription.State.FAILED:
        raise SubscriptionGone
    return subscription


def _seed() -> str:
    return secrets.token_hex(32)


@conflicts.atomic
def deliver_again(subscription_id: UUID, event: Event, at: datetime) -> WebhookDelivery:
    """Deliver one event at once, whatever became of it before; for three days anew.

    Raises SubscriptionEnds, SubscriptionGone.
    """
    _locked(subscription_id, to_be_told=True)
    its_place = {"subscription_id": subscription_id, "transaction": event.transaction, "number": event.number}
    if not WebhookDelivery.objects.filter(**its_place).update(**_anew(at)):  # whoever makes one holds the subscription
        WebhookDelivery.objects.create(
            **its_place, **_anew(at), kind=event.kind, object_id=event.object_id, created_at=at
        )
    return WebhookDelivery.objects.get(**its_place)


def _anew(at: datetime) -> dict[str, Any]:
    """What a delivery says that is made again."""
    return {
        "state": WebhookDelivery.State.STORING,
        "tries": 0,
        "since": at,
        "next_attempt_at": at,
        "request_id": request_id.current(),
        "completed_at": None,
        "failed_at": None,
        "updated_at": at,
    }


@dataclass(frozen=True, slots=True)
class Replayed:
    """How many deliveries are made again, and whether others that failed are left."""

    count: int
    has_more: bool


@conflicts.atomic
def replay(
    subscription_id: UUID, at: datetime, *, since: datetime | None = None, until: datetime | None = None
) -> Replayed:
    """Deliver again what failed, the oldest 10,000; or, with a time range, all whose event was then, delivered or not.

    What is on its way anyhow isn't touched. Raises SubscriptionEnds, SubscriptionGone; TooManyToReplay for a range with
    more than that.
    """
    _locked(subscription_id, to_be_told=True)
    is_of_a_time = since is not None or until is not None
    states = ["completed", "failed"] if is_of_a_time else ["failed"]
    with connection.cursor() as cursor:
        cursor.execute(
            _TO_REPLAY,
            {"id": subscription_id, "states": states, "since": since, "until": until, "most": MOST_REPLAYED + 1},
        )
        ids = [id_ for (id_,) in cursor.fetchall()]
    has_more = len(ids) > MOST_REPLAYED
    if has_more and is_of_a_time:
        raise TooManyToReplay
    count = WebhookDelivery.objects.filter(pk__in=ids[:MOST_REPLAYED]).update(**_anew(at))
    return Replayed(count, has_more)


_TO_REPLAY = """
SELECT d.id
FROM accounts_webhookdelivery d JOIN accounts_event e ON (e.transaction, e.number) = (d.transaction, d.number)
WHERE d.subscription_id = %(id)s AND d.state = ANY (%(states)s)
  AND (%(since)s::timestamptz IS NULL OR e.at >= %(since)s::timestamptz)
  AND (%(until)s::timestamptz IS NULL OR e.at < %(until)s::timestamptz)
ORDER BY d.transaction, d.number
LIMIT %(most)s
"""


def event_of(guid: UUID, kinds: Sequence[str], customer_id: UUID | None) -> Event:
    """An event that a subscription may be told of. Raises NotFound."""
    found = Event.objects.filter(pk=events.place_of(guid), kind__in=kinds).first()
    if found is None or not _is_of(found, customer_id):
        raise NotFound
    return found


def _is_of(event: Event, customer_id: UUID | None) -> bool:
    """Whether a subscription for this customer, or for the whole firm, is told of it."""
    if customer_id is None or event.customer_id == customer_id:
        return True
    return event.customer_id is None and event.kind in events.OF_EVERYBODY
