"""Webhooks against a real endpoint: what it gets, in which order, and what happens when it doesn't answer well."""

from __future__ import annotations

import base64
import hashlib
import hmac
import socket
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from django.db import DatabaseError, Error, connection, connections
from django.utils import timezone

from accounts.db import locks
from accounts.models import ApiClient, Customer, RowVersion, WebhookAttempt, WebhookDelivery, WebhookSubscription
from accounts.tasks import send_webhooks
from accounts.webhooks import delivering, feeding, ladder, posting, sending
from quotes.models import Instrument
from quotes.services import hold_price
from tests.accounts.events.places import here
from tests.accounts.webhooks.receiver import Receiver, until
from tests.caller import Api, a_firm
from tests.given import a_customer
from tests.live import Live, environment
from tests.roles import as_the_application
from tests.without_guards import without_guards

__all__ = ["as_the_application"]

FROZEN = ["customer.frozen"]  # nothing of how customers are made
pytestmark = pytest.mark.django_db(transaction=True)


def subscribed(firm: Api, url: str, **body: Any) -> dict[str, Any]:
    """To what happens from now on, whichever other test's transaction still runs."""
    here()
    wanted = {"name": "a shop", "type": "webhook", "environment": "sandbox", "url": url, **body}
    status, made = firm.post("/api/subscriptions/", wanted)
    assert status == 201, made
    return dict(made)


def changed(*customers: Customer, state: str = "frozen") -> None:
    """An event of each, in this order, which can be read now."""
    for one in customers:
        Customer.objects.filter(pk=one.pk).update(state=state)
    here()


def delivered(at: datetime | None = None, **options: Any) -> int:
    return delivering.deliver(now=lambda: at or timezone.now(), **options)


def later(**by: float) -> datetime:
    return timezone.now() + timedelta(**by)


def states() -> list[str]:
    return list(WebhookDelivery.objects.order_by("transaction", "number").values_list("state", flat=True))


def verified(key: str, headers: dict[str, str], body: bytes) -> bool:
    """As the specification of Standard Webhooks says it, not as our code does."""
    secret = base64.b64decode(key.removeprefix("whsec_"))
    said = b".".join([headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body])
    mine = base64.b64encode(hmac.new(secret, said, hashlib.sha256).digest()).decode()
    return f"v1,{mine}" in headers["webhook-signature"].split(" ")


@pytest.fixture
def hung() -> Iterator[str]:
    """The URL of an endpoint that takes connections and never says a word."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(128)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"


# --- what comes ------------------------------------------------------------------------------------


def test_a_signed_event_arrives_as_the_list_shows_it(receiver: Receiver) -> None:
    firm, alice = a_firm(), a_customer()
    made = subscribed(firm, receiver.url)
    changed(alice)

    assert delivered() == 1

    [got] = receiver.got
    _, listed = firm.get("/api/events", event_type="customer.frozen")
    assert got.event == {**listed["objects"][0], "subscription_guid": made["guid"]}
    assert got.headers["webhook-id"] == got.event["guid"]
    assert got.headers["content-type"] == "application/json"
    assert verified(made["signing_key"], got.headers, got.body)
    assert not verified(made["signing_key"], got.headers, got.body + b" ")
    family = hmac.new(made["signing_key"].encode(), got.body, hashlib.sha256).hexdigest()
    assert got.headers["x-cybrid-signature"] == family
    assert states() == ["completed"]
    assert delivered() == 0


def test_only_what_is_asked_for_is_told_and_only_what_came_after(receiver: Receiver) -> None:
    """Guard: `kind` and `customer_id` in `_FEED`."""
    firm, alice, bob = a_firm(), a_customer(), a_customer()
    subscribed(firm, receiver.url, customer_guid=alice.pk.hex, event_types=["customer.verified"])
    changed(alice, bob)
    changed(alice, bob, state="verified")

    delivered()

    assert [(one.event["event_type"], one.event["customer_guid"]) for one in receiver.got] == [
        ("customer.verified", alice.pk.hex)
    ]
    assert states() == ["completed"]


@pytest.mark.parametrize("taken", [{"scopes": ["subscriptions:read"]}, {"is_active": False}])
def test_a_client_that_may_no_longer_see_it_is_told_nothing(receiver: Receiver, taken: dict[str, Any]) -> None:
    """Guard: `kinds_of` reads the client's scopes now, `live` whether it is on."""
    subscribed(a_firm(), receiver.url, event_types=FROZEN)
    ApiClient.objects.update(**taken)
    changed(a_customer())

    delivered()

    assert (receiver.got, states()) == ([], [])


def test_a_client_that_is_off_is_not_told_what_waited_either(receiver: Receiver) -> None:
    """Guard: `is_active` in `_MAY_BE_CALLED`. Once it is on again, it is told."""
    subscribed(a_firm(), receiver.url, event_types=FROZEN)
    receiver.answers(status=503)
    changed(a_customer())
    delivered()
    receiver.answers()

    ApiClient.objects.update(is_active=False)
    assert delivered(later(minutes=1)) == 0
    without_guards("accounts_apiclient", "UPDATE accounts_apiclient SET is_active = true")
    assert delivered(later(minutes=1)) == 1


def test_what_waited_when_a_scope_was_taken_away_is_not_told_either(receiver: Receiver) -> None:
    """Guard: `kinds_of` once more in `due.messages`."""
    subscribed(a_firm(), receiver.url, event_types=FROZEN)
    receiver.answers(status=503)
    changed(a_customer())
    delivered()
    receiver.answers()

    ApiClient.objects.update(scopes=["subscriptions:read"])
    delivered(later(hours=1))

    assert len(receiver.got) == 1
    assert states() == ["failed"]
    assert "scopes" in WebhookDelivery.objects.get().response


def test_what_is_refused_does_not_keep_what_is_allowed_waiting(receiver: Receiver) -> None:
    """Guard: what `due.messages` refuses counts as done in `_begin`. Else a turn ends with twenty refused ones."""
    alice = a_customer()
    subscribed(a_firm(), receiver.url, event_types=["customer.frozen", "price.held"])
    for _ in range(150):
        Customer.objects.filter(pk=alice.pk).update(state="frozen")
        Customer.objects.filter(pk=alice.pk).update(state="verified")
    hold_price(Instrument.objects.get(symbol="BTC-USD"), Decimal("40000"), Decimal("40010"), reason="a test")
    here()
    assert feeding.feed(timezone.now()) == 151
    ApiClient.objects.update(scopes=["subscriptions:read", "prices:read"])

    assert delivered() == 1

    assert [one.event["event_type"] for one in receiver.got] == ["price.held"]
    assert states() == ["failed"] * 150 + ["completed"]


def test_events_are_told_in_order_over_one_connection_and_each_once(receiver: Receiver) -> None:
    """Guard: `Lines` keeps it from one twenty to the next."""
    customers = [a_customer() for _ in range(15)]
    subscribed(a_firm(), receiver.url)
    changed(*customers)
    changed(*customers, state="verified")

    delivered()

    assert len(receiver.ids) == 30
    assert receiver.ids == sorted(set(receiver.ids))
    assert receiver.connections == 1


def test_a_kept_connection_that_the_endpoint_has_closed_is_made_anew(receiver: Receiver) -> None:
    """Guard: the second `_exchange` of `_call`: the endpoint closes it just when it is used again."""
    receiver.answers(drops_reused=True)
    subscribed(a_firm(), receiver.url, event_types=FROZEN)
    changed(*(a_customer() for _ in range(10)))

    delivered()

    assert receiver.ids == sorted(set(receiver.ids))
    assert states() == ["completed"] * 10


# --- a worker dies ---------------------------------------------------------------------------------


def test_a_worker_that_is_killed_before_it_marks_sends_the_same_id_again(receiver: Receiver) -> None:
    """Guard: `note` comes after `send`: marked before, the first of these two would be lost."""
    subscribed(a_firm(), receiver.url, event_types=FROZEN)
    receiver.answers(hold_from=2)
    changed(a_customer(), a_customer())
    live = Live(("worker",), {"WEBHOOK_ALLOWED_NETWORKS": "127.0.0.1/32"})
    try:
        live.start_one("worker")
        send_webhooks.delay()
        until(receiver, calls=2)
        live.kill("worker")
    finally:
        live.stop()
    first, second = receiver.ids
    assert states() == ["storing", "storing"]

    receiver.answers()
    give_up = time.monotonic() + 30
    while not delivered():  # PostgreSQL notices a moment later that the killed one's session has ended
        assert time.monotonic() < give_up
        time.sleep(0.05)

    assert receiver.ids == [first, second, first, second]
    assert states() == ["completed", "completed"]


def test_of_two_workers_one_sends(receiver: Receiver) -> None:
    """Guard: `WEBHOOKS` in `deliver`, held by a session."""
    subscribed(a_firm(), receiver.url, event_types=FROZEN)
    changed(a_customer())
    with psycopg.connect(environment()["DATABASE_URL"]) as another:
        another.execute("SELECT pg_advisory_lock(%s)", [locks.WEBHOOKS])
        assert delivered() == 0
        another.execute("SELECT pg_advisory_unlock(%s)", [locks.WEBHOOKS])  # closing it, the server takes its time

    assert delivered() == 1


def test_what_a_worker_still_sends_no_other_one_sends_as_well(receiver: Receiver) -> None:
    """Guard: `WEBHOOK` in `_begin`: the first worker's turn is over, and its call isn't."""
    subscribed(a_firm(), receiver.url, event_types=FROZEN)
    receiver.answers(hold_from=1)
    changed(a_customer())
    first = in_another_thread(lambda: delivered(seconds=0.1))
    until(receiver, calls=1)
    time.sleep(0.5)

    assert delivered() == 0
    assert len(receiver.got) == 1

    receiver.answers()
    first.join()
    assert states() == ["completed"]


def in_another_thread(work: Any) -> threading.Thread:
    """Work on a connection of its own."""

    def run() -> None:
        try:
            work()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_what_is_asked_for_again_while_it_is_sent_is_sent_again(receiver: Receiver) -> None:
    """Guard: `(d.attempts, d.since)` in `_MARK`."""
    firm = a_firm()
    made = subscribed(firm, receiver.url, event_types=FROZEN)
    receiver.answers(hold_from=1)
    changed(a_customer())
    first = in_another_thread(delivered)
    until(receiver, calls=1)
    body = {"subscription_guid": made["guid"], "subscription_event_guid": receiver.ids[0]}

    assert firm.post("/api/subscription_deliveries", body)[0] == 201
    receiver.answers()
    first.join()
    delivered()

    assert receiver.ids == [receiver.ids[0]] * 2
    assert WebhookDelivery.objects.get().attempts == 2


# --- an endpoint that doesn't answer well ----------------------------------------------------------


def test_an_endpoint_that_is_down_for_minutes_misses_nothing(receiver: Receiver) -> None:
    """Guard: `_note_endpoint` pauses the endpoint, so it is called once however much waits for it."""
    customers = [a_customer() for _ in range(5)]
    subscribed(a_firm(), receiver.url)
    changed(*customers)
    receiver.kill()

    assert delivered() == 1
    assert delivered() == 0
    for minutes in (6, 12, 18):
        assert delivered(later(minutes=minutes)) == 1
    subscription = WebhookSubscription.objects.get()
    assert (subscription.failures, subscription.failing_since is not None) == (4, True)

    receiver.start()
    assert delivered(later(minutes=24)) == 5
    subscription.refresh_from_db()
    assert (subscription.failures, subscription.failing_since) == (0, None)
    assert states() == ["completed"] * 5
    assert len(set(receiver.ids)) == len(receiver.ids) == 5


def test_one_event_that_breaks_the_endpoint_goes_its_own_ladder(receiver: Receiver) -> None:
    """Guard: `_DOWN_FOR_LONG`: else each event that goes well would bring the broken one back at once."""
    alice, bob = a_customer(), a_customer()
    subscribed(a_firm(), receiver.url, event_types=FROZEN)
    receiver.answers(by_object={alice.pk.hex: 500})
    changed(alice, bob)

    assert delivered() == 1
    assert delivered(later(seconds=10)) == 1  # it is its turn again, and first
    assert delivered(later(seconds=25)) == 1
    assert [one.event["object_guid"] for one in receiver.got] == [alice.pk.hex, alice.pk.hex, bob.pk.hex]
    assert delivered(later(seconds=26)) == 0


def test_after_three_days_it_is_given_up(receiver: Receiver) -> None:
    """Guard: GIVEN_UP_AFTER in `next_attempt`."""
    subscribed(a_firm(), receiver.url, event_types=FROZEN)
    receiver.answers(status=500)
    changed(a_customer())
    at, calls = timezone.now(), 0
    while states() in ([], ["storing"], ["failing"]):
        calls += delivered(at)
        [due] = WebhookDelivery.objects.values_list("next_attempt_at", flat=True)
        at = max(due or at, WebhookSubscription.objects.get().next_at)

    assert states() == ["failed"]
    assert 12 <= calls <= 18
    assert timedelta(days=2) < at - timezone.now() < timedelta(days=3, minutes=6)
    assert WebhookAttempt.objects.filter(status=500).count() == calls


def test_what_was_never_tried_is_given_up_with_its_endpoint(receiver: Receiver) -> None:
    """Guard: GIVEN_UP_AFTER in `_note_endpoint`: what waits for a dead endpoint doesn't grow for ever."""
    subscribed(a_firm(), receiver.url, event_types=FROZEN)
    receiver.answers(status=500)
    changed(*(a_customer() for _ in range(3)))
    delivered()

    delivered(later(days=3, minutes=1))

    assert states() == ["failed"] * 3
    assert len(receiver.got) == 2


def test_one_event_that_is_refused_holds_up_only_its_object(receiver: Receiver) -> None:
    """Guard: NOT EXISTS in `_IS_DUE`, and `waiting` in `_send`."""
    alice, bob = a_customer(), a_customer()
    subscribed(a_firm(), receiver.url)
    receiver.answers(by_object={alice.pk.hex: 400})
    changed(alice, bob)
    changed(alice, bob, state="verified")

    assert delivered() == 3
    changed(alice, bob)
    assert delivered() == 1
    assert states() == ["failing", "completed", "storing", "completed", "storing", "completed"]

    receiver.answers()
    assert delivered(later(minutes=1)) == 3
    of_alice = [one for one in receiver.got if one.event["object_guid"] == alice.pk.hex]
    assert [one.headers["webhook-id"] for one in of_alice[1:]] == sorted(
        {one.headers["webhook-id"] for one in of_alice}
    )


def test_endpoints_that_hang_delay_nobody_else(receiver: Receiver, hung: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guard: a thread for each subscription. Ten of one client hang, and what comes meanwhile is told at once."""
    monkeypatch.setattr(posting, "SECONDS", 1.5)
    firm = a_firm()
    for _ in range(10):
        subscribed(firm, hung, event_types=FROZEN)
    subscribed(firm, receiver.url, event_types=FROZEN)
    changed(a_customer())
    began = time.time()
    sending = in_another_thread(delivered)
    until(receiver, calls=1)
    changed(a_customer())
    until(receiver, calls=2)
    assert max(one.at for one in receiver.got) - began < 1.4

    sending.join()
    assert sorted(states()) == ["completed", "completed", *["failing"] * 10, *["storing"] * 10]
    assert WebhookAttempt.objects.filter(status=None).count() == 10


def test_a_client_whose_every_endpoint_hangs_leaves_threads_to_others(
    receiver: Receiver, hung: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guard: OF_ONE_CLIENT."""
    monkeypatch.setattr(posting, "SECONDS", 1.5)
    monkeypatch.setattr(delivering, "THREADS", 4)
    monkeypatch.setattr(delivering, "OF_ONE_CLIENT", 2)
    mallory = a_firm()
    for _ in range(8):
        subscribed(mallory, hung, event_types=FROZEN)
    subscribed(a_firm(), receiver.url, event_types=FROZEN)
    changed(a_customer())
    began = time.time()

    sending = in_another_thread(lambda: delivered(seconds=1))
    until(receiver, calls=1)
    assert receiver.got[0].at - began < 1.4
    sending.join()


def test_endpoints_that_failed_before_leave_threads_to_others(
    receiver: Receiver, hung: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guard: OF_FAILING; and `_turn`, by which who answers well comes first."""
    monkeypatch.setattr(posting, "SECONDS", 0.5)
    monkeypatch.setattr(delivering, "OF_FAILING", 1)
    for _ in range(3):
        subscribed(a_firm(), hung, event_types=FROZEN)
    changed(a_customer())
    delivered()
    WebhookSubscription.objects.update(next_at=timezone.now())
    WebhookDelivery.objects.update(next_attempt_at=timezone.now())

    assert delivered(seconds=0.1) == 1


def test_a_slow_endpoint_gives_its_thread_back(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guard: BATCH_SECONDS. What it didn't get is sent in its next turn."""
    monkeypatch.setattr(sending, "BATCH_SECONDS", 0.3)
    receiver.answers(seconds=0.2)
    subscribed(a_firm(), receiver.url, event_types=FROZEN)
    changed(*(a_customer() for _ in range(4)))

    assert delivered(seconds=0.1) == 2
    assert delivered() == 2
    assert receiver.ids == sorted(set(receiver.ids))


def test_an_answer_that_comes_too_late_is_none(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guard: `_seconds_left`, of the whole call."""
    monkeypatch.setattr(posting, "SECONDS", 0.2)
    receiver.answers(seconds=0.6)
    subscribed(a_firm(), receiver.url, event_types=FROZEN)
    changed(a_customer())

    delivered()

    attempt = WebhookAttempt.objects.get()
    assert (attempt.status, "TimeoutError" in attempt.error) == (None, True)


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    """Guard: nothing follows one, and 3xx is no 2xx."""
    receiver.answers(status=307, headers={"location": receiver.url.replace("hook", "elsewhere")})
    subscribed(a_firm(), receiver.url, event_types=FROZEN)
    changed(a_customer())

    delivered()

    assert [one.path for one in receiver.got] == ["/hook"]
    assert states() == ["failing"]


def test_an_endpoint_that_is_gone_is_called_no_more(receiver: Receiver) -> None:
    """Guard: GONE in `_note_endpoint`, and in `_send`."""
    firm = a_firm()
    made = subscribed(firm, receiver.url, event_types=FROZEN)
    receiver.answers(status=410)
    changed(a_customer(), a_customer())

    delivered()
    delivered(later(days=1))

    assert len(receiver.got) == 1
    _, shown = firm.get(f"/api/subscriptions/{made['guid']}")
    assert (shown["state"], shown["failure_code"]) == ("failed", "gone")
    assert states() == ["failed", "failed"]
    assert firm.post(f"/api/subscriptions/{made['guid']}/replay")[0] == 422


@pytest.mark.parametrize("where", ["body", "header"])
def test_of_a_huge_answer_a_kilobyte_is_kept(receiver: Receiver, where: str) -> None:
    """Guard: MOST_READ and `_MOST_ON_THE_WIRE`."""
    if where == "body":
        receiver.answers(answer_bytes=5_000_000)
    else:
        receiver.answers(headers={f"x-{n}": "y" * 8000 for n in range(12)})
    subscribed(a_firm(), receiver.url, event_types=FROZEN)
    changed(a_customer())

    delivered()

    attempt = WebhookAttempt.objects.get()
    if where == "body":
        assert (attempt.status, attempt.response) == (200, "x" * 1024)
    else:
        assert attempt.status is None
        assert len(attempt.error) <= 200


def test_what_cannot_be_marked_stops_nobody_and_comes_again(receiver: Receiver) -> None:
    """Guard: `except OperationalError` in `_note`: somebody has this subscription's row for long."""
    firm = a_firm()
    held, other = (subscribed(firm, receiver.url, event_types=FROZEN)["guid"] for _ in range(2))
    receiver.answers(status=503)
    changed(a_customer())
    delivered()
    receiver.answers()
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '200ms'")
    try:
        with another_has(held):
            delivered(later(minutes=1), seconds=0.1)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '4s'")

    by_subscription = dict(WebhookDelivery.objects.values_list("subscription_id", "state"))
    assert {guid.hex: state for guid, state in by_subscription.items()} == {held: "failing", other: "completed"}
    assert delivered(later(minutes=1)) == 1
    assert len(set(receiver.ids)) == 1
    assert len(receiver.ids) == 2 + 2 + 1


def test_a_subscription_that_somebody_has_delays_no_others_feeding(receiver: Receiver) -> None:
    """Guard: SKIP LOCKED in `_FEED`: else an operator's open transaction would keep every endpoint waiting."""
    firm = a_firm()
    held, other = (subscribed(firm, receiver.url, event_types=FROZEN)["guid"] for _ in range(2))
    changed(a_customer())
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '200ms'")
    try:
        with another_has(held):
            delivered(seconds=0.1)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '4s'")

    assert [one.event["subscription_guid"] for one in receiver.got] == [other]
    delivered()
    assert [one.event["subscription_guid"] for one in receiver.got] == [other, held]


def test_a_worker_whose_session_is_lost_begins_nothing_more(receiver: Receiver) -> None:
    """Guard: `_session` in `go_on_until`: with the session its locks are gone, and another worker begins."""
    alice, bob, carol = (a_customer() for _ in range(3))
    subscribed(a_firm(), receiver.url, event_types=FROZEN)
    changed(alice)
    asked: list[datetime] = []  # since the first call

    def now() -> datetime:
        if threading.current_thread() is threading.main_thread() and receiver.count:
            asked.append(timezone.now())
            if len(asked) == 1:
                assert connection.connection is not None
                connection.connection.close()  # as PostgreSQL ends it; Django then makes another session
                connection.close()
                changed(bob)
            if len(asked) == 4:  # the loop has begun anew
                changed(carol)
        return timezone.now()

    delivering.deliver(now)

    assert [one.event["object_guid"] for one in receiver.got] == [alice.pk.hex, bob.pk.hex]
    changed(carol)
    assert delivered() == 1


def test_what_was_sent_when_the_session_past_the_pooler_ended_is_not_sent_again(
    receiver: Receiver, settings: Any
) -> None:
    """Guard: `note_what_came` in `give_up`: the pooler's own sessions live."""
    alice, bob = a_customer(), a_customer()
    changed(bob)
    firm = a_firm()
    subscribed(firm, receiver.url, event_types=FROZEN)
    subscribed(firm, receiver.url, event_types=["customer.verified"])
    changed(alice)
    receiver.answers(hold_from=1)
    settings.DB_POOLER, direct = "transaction", connection.copy("direct")
    connections["direct"] = direct
    asked: list[datetime] = []  # since the first call

    def now() -> datetime:
        if threading.current_thread() is threading.main_thread() and receiver.count:
            asked.append(timezone.now())
            if len(asked) == 1:
                assert direct.connection is not None
                direct.connection.close()
                changed(bob, state="verified")  # for whose lock it is asked next
                receiver.answers()
        return timezone.now()

    try:
        with pytest.raises(Error):
            delivering.deliver(now)
        assert states() == ["completed", "storing"]

        direct.close()
        assert delivered() == 1
    finally:
        direct.close()
        del connections["direct"]

    assert [one.event["object_guid"] for one in receiver.got] == [alice.pk.hex, bob.pk.hex]


def test_what_somebody_changes_of_a_subscription_has_versions_and_its_place_has_none(receiver: Receiver) -> None:
    """Guard: `keep_versions` in the migration, with what it leaves out and what it keeps as a digest."""
    firm = a_firm()
    made = subscribed(firm, receiver.url, event_types=FROZEN)
    path = f"/api/subscriptions/{made['guid']}"
    seed = WebhookSubscription.objects.get().seed
    changed(a_customer())
    delivered()
    assert firm.post(f"{path}/signing_key")[0] == 201
    assert firm.http.delete(path).status_code == 204

    kept = RowVersion.objects.filter(table_name="accounts_webhooksubscription").order_by("number")

    said = [one.said for one in kept]
    assert [one.number for one in kept] == [1, 2, 3]
    assert said[0]["url"] == receiver.url
    assert said[0]["seed"] == said[1]["previous_seed"] == hashlib.sha256(seed.encode()).hexdigest()
    assert [one["deleted_at"] is None for one in said] == [True, True, False]
    assert not {"transaction", "number", "failures", "next_at"} & set(said[0])


def another_has(guid: str) -> Any:
    """A session that has locked this subscription's row."""
    session = psycopg.connect(environment()["MIGRATION_DATABASE_URL"])
    session.execute("SELECT FROM accounts_webhooksubscription WHERE id = %s::uuid FOR UPDATE", [guid])
    return session


# --- keys, and once more ---------------------------------------------------------------------------


def test_after_a_new_key_both_sign_for_a_day(receiver: Receiver) -> None:
    """Guard: `previous_until`."""
    firm, alice = a_firm(), a_customer()
    made = subscribed(firm, receiver.url)
    status, anew = firm.post(f"/api/subscriptions/{made['guid']}/signing_key")
    changed(alice)
    delivered()
    changed(alice, state="verified")
    delivered(later(hours=25))

    assert status == 201
    assert made["signing_key"] != anew["signing_key"]
    assert [
        [verified(key, one.headers, one.body) for key in (made["signing_key"], anew["signing_key"])]
        for one in receiver.got
    ] == [[True, True], [False, True]]


def test_what_is_kept_of_a_call_proves_nothing_to_an_endpoint(receiver: Receiver) -> None:
    """Guard: `unsigned`."""
    made = subscribed(a_firm(), receiver.url, event_types=FROZEN)
    changed(a_customer())

    delivered()

    kept = WebhookAttempt.objects.get().headers
    [sent] = receiver.got
    assert {name for name in sent.headers if name not in kept} >= {"webhook-signature", "x-cybrid-signature"}
    assert kept["webhook-id"] == sent.headers["webhook-id"]
    assert made["signing_key"] not in str(kept)


def test_what_failed_or_happened_in_a_range_is_sent_again_with_the_same_ids(receiver: Receiver) -> None:
    firm, alice, bob = a_firm(), a_customer(), a_customer()
    made = subscribed(firm, receiver.url)
    changed(alice, bob)
    delivered()
    first = list(receiver.ids)
    WebhookDelivery.objects.filter(object_id=bob.pk).update(state="failed", completed_at=None)

    _, failed = firm.post(f"/api/subscriptions/{made['guid']}/replay")
    delivered()
    _, ranged = firm.post(f"/api/subscriptions/{made['guid']}/replay", {"created_at_gte": later(hours=-1).isoformat()})
    delivered()
    status, one = firm.post(
        "/api/subscription_deliveries/", {"subscription_guid": made["guid"], "subscription_event_guid": first[0]}
    )
    delivered()

    assert (failed, ranged) == ({"deliveries": 1, "has_more": False}, {"deliveries": 2, "has_more": False})
    assert (status, one["state"]) == (201, "storing")
    assert receiver.ids == [*first, first[1], *first, first[0]]
    assert one["attempt_count"] == 2


def test_what_is_replayed_begins_the_ladder_anew(receiver: Receiver) -> None:
    """Guard: `tries`, which a replay sets to 0."""
    firm = a_firm()
    made = subscribed(firm, receiver.url, event_types=FROZEN)
    receiver.answers(status=400)
    changed(a_customer())
    delivered()
    WebhookDelivery.objects.update(state="failed", next_attempt_at=None, tries=12, attempts=12)

    firm.post(f"/api/subscriptions/{made['guid']}/replay")
    delivered()

    delivery = WebhookDelivery.objects.get()
    assert (delivery.tries, delivery.attempts) == (1, 13)
    assert delivery.next_attempt_at is not None
    assert delivery.next_attempt_at < later(seconds=10)


def test_a_pause_never_grows_beyond_minutes_nor_a_retry_beyond_three_days() -> None:
    at = timezone.now()

    assert [round(ladder.pause(n).total_seconds() / 1.25) <= 300 for n in (1, 5, 500)] == [True] * 3
    assert ladder.next_attempt(1, at - timedelta(days=3), at) is None
    assert ladder.next_attempt(99, at, at) is not None
    assert len({ladder.next_attempt(5, at, at) for _ in range(20)}) > 1  # what failed together doesn't come together


@pytest.mark.usefixtures("as_the_application")
def test_the_application_does_all_of_it_with_what_it_may(receiver: Receiver) -> None:
    """Guard: none is needed but the grants; tests work as the tables' owner, who may more."""
    firm, alice = a_firm(), a_customer()
    made = subscribed(firm, receiver.url, event_types=FROZEN)
    path = f"/api/subscriptions/{made['guid']}"
    changed(alice)
    delivered()
    again = {"subscription_guid": made["guid"], "subscription_event_guid": receiver.ids[0]}
    assert firm.post("/api/subscription_deliveries", again)[0] == 201
    receiver.answers(status=400)
    delivered()
    receiver.answers()
    assert firm.post(f"{path}/replay", {"created_at_lt": later(days=1).isoformat()})[0] == 200
    assert firm.post(f"{path}/signing_key")[0] == 201
    assert firm.http.patch(path, {"name": "b"}, content_type="application/json").status_code == 200
    receiver.answers(status=410)
    delivered(later(minutes=1))
    assert firm.http.delete(path).status_code == 204
    assert states() == ["failed"]


def test_nobody_changes_where_a_subscription_goes_and_what_it_is_told(receiver: Receiver) -> None:
    """Guard: the trigger never_changed, which holds the tables' owner, too."""
    subscribed(a_firm(), receiver.url)

    for change in ("url = 'https://elsewhere.example'", "kinds = '{a}'", "client_id = gen_random_uuid()"):
        with pytest.raises(DatabaseError, match="refused"), connection.cursor() as cursor:
            cursor.execute(f"UPDATE accounts_webhooksubscription SET {change}")
