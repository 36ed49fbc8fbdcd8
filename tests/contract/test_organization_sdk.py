"""The published client for organizations, unmodified, against real processes: subscribe, be told, ask once more, end.

The worker is asked by this test to send, for no beat runs here.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Iterator
from importlib.metadata import version

import cybrid_api_organization
import pytest
from cybrid_api_organization.api.subscription_deliveries_organization_api import SubscriptionDeliveriesOrganizationApi
from cybrid_api_organization.api.subscription_events_organization_api import SubscriptionEventsOrganizationApi
from cybrid_api_organization.api.subscriptions_organization_api import SubscriptionsOrganizationApi
from cybrid_api_organization.models import PatchSubscription, PostSubscription, PostSubscriptionDelivery
from django.utils import timezone

from accounts import services
from accounts.identity import FIRM_SCOPES
from accounts.tasks import send_webhooks
from brokerage.stack.where import CHECKOUT
from tests.accounts.webhooks.receiver import Receiver
from tests.given import a_customer, a_settling_buy, btc, btc_at
from tests.live import Live

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("live")]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    endpoint = Receiver()
    yield endpoint
    endpoint.kill()


@pytest.fixture
def running() -> Iterator[Live]:
    """A web process and a worker that may send to this machine."""
    live = Live(("web", "worker"), {"WEBHOOK_ALLOWED_NETWORKS": "127.0.0.1/32"})
    live.start()
    yield live
    live.stop()


@pytest.fixture
def firm(running: Live) -> Iterator[cybrid_api_organization.ApiClient]:
    client, secret = services.create_api_client("sdk", FIRM_SCOPES, timezone.now())
    given = {"grant_type": "client_credentials", "client_id": client.client_id, "client_secret": secret}
    with running.client() as http:
        token = http.post("/oauth/token", json=given).json()["access_token"]
    configuration = cybrid_api_organization.Configuration(host=running.url, access_token=token)
    with cybrid_api_organization.ApiClient(configuration) as sdk:
        yield sdk


def sent(receiver: Receiver, calls: int) -> None:
    give_up = time.monotonic() + 20
    while len(receiver.got) < calls:
        send_webhooks.delay()
        assert time.monotonic() < give_up
        time.sleep(0.2)


def test_the_release_is_the_one_of_the_lock_file() -> None:
    lock = (CHECKOUT / "requirements-dev.lock").read_text()

    assert f"cybrid-api-organization-python=={version('cybrid-api-organization-python')} " in lock


def test_the_sdk_subscribes_is_told_asks_once_more_and_ends(
    firm: cybrid_api_organization.ApiClient, receiver: Receiver
) -> None:
    subscriptions = SubscriptionsOrganizationApi(firm)
    events, deliveries = SubscriptionEventsOrganizationApi(firm), SubscriptionDeliveriesOrganizationApi(firm)
    btc_at("40_000.00")
    alice = a_customer(with_usd="10_000.00")

    made = subscriptions.create_subscription(
        PostSubscription(
            environment="sandbox", type="webhook", name="a shop", url=receiver.url, event_types=["trade.settling"]
        )
    )
    assert (made.state, made.event_types, made.url) == ("completed", ["trade.settling"], receiver.url)
    trade = a_settling_buy(alice, btc("0.1"))
    sent(receiver, 1)

    [got] = receiver.got
    family = hmac.new(made.signing_key.encode(), got.body, hashlib.sha256).hexdigest()
    assert got.headers["x-cybrid-signature"] == family
    key = base64.b64decode(made.signing_key.removeprefix("whsec_"))
    said = f"{got.headers['webhook-id']}.{got.headers['webhook-timestamp']}.".encode() + got.body
    assert got.headers["webhook-signature"] == "v1," + base64.b64encode(hmac.digest(key, said, "sha256")).decode()

    event = events.get_subscription_event(got.headers["webhook-id"])
    assert (event.event_type, event.object_guid) == ("trade.settling", trade.pk.hex)
    assert (event.environment, event.created_at == event.updated_at) == ("sandbox", True)
    assert [one.guid for one in events.list_subscription_events(guid=event.guid).objects] == [event.guid]

    page = deliveries.list_subscription_deliveries(
        subscription_guid=made.guid, subscription_event_guid=event.guid, event_type="trade.settling", state="completed"
    )
    [delivery] = page.objects
    assert (delivery.attempt_count, delivery.response) == (1, "200 xxxxxx")
    once_more = PostSubscriptionDelivery(subscription_guid=made.guid, subscription_event_guid=event.guid)
    assert deliveries.create_subscription_delivery(once_more).state == "storing"
    sent(receiver, 2)
    assert len(set(receiver.ids)) == 1
    assert deliveries.get_subscription_delivery(delivery.guid).attempt_count >= 1

    assert subscriptions.update_subscription(made.guid, PatchSubscription(name="another")).name == "another"
    [listed] = subscriptions.list_subscriptions(environment="sandbox", state="completed", type="webhook").objects
    assert (listed.name, hasattr(listed, "signing_key")) == ("another", False)
    assert subscriptions.delete_subscription(made.guid) is None
    assert subscriptions.get_subscription(made.guid).scheduled_deletion_at is not None
    with pytest.raises(cybrid_api_organization.ApiException) as refused:
        subscriptions.get_subscription("0" * 32)
    assert (refused.value.status, '"message_code":"not_found"' in refused.value.body) == (404, True)
