"""Subscriptions at the API: what is shown to whom."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from accounts.identity import FIRM_SCOPES
from accounts.models import (
    AnsweredRequest,
    ApiClient,
    User,
    WebhookAttempt,
    WebhookDelivery,
    WebhookSubscription,
)
from accounts.services import subscriptions
from accounts.webhooks import signing
from tests.accounts.webhooks.receiver import Receiver
from tests.accounts.webhooks.test_delivering import FROZEN, changed, delivered, later, states, subscribed, verified
from tests.caller import UNKNOWN, a_firm, code
from tests.given import a_customer, a_cut, a_settling_buy, btc, btc_at

pytestmark = pytest.mark.django_db(transaction=True)
URL = "https://shop.example/hooks"
BODY = {"name": "a shop", "type": "webhook", "environment": "sandbox", "url": URL}
PAGE = Path(__file__).resolve().parents[3] / "docs/webhooks.md"


def test_a_key_is_shown_when_it_is_made_and_never_again() -> None:
    firm = a_firm()
    made = subscribed(firm, URL)

    _, one = firm.get(f"/api/subscriptions/{made['guid']}")
    _, listed = firm.get("/api/subscriptions")

    assert made["signing_key"].startswith("whsec_")
    assert {**one, "signing_key": made["signing_key"]} == made
    assert listed["objects"] == [one]


def test_another_client_sees_nothing_of_it() -> None:
    """Guard: `get_queryset` of `SubscriptionViewSet` and `DeliveryViewSet`."""
    firm = a_firm()
    made = subscribed(firm, URL)
    other = a_firm()
    changed(a_customer())

    assert code(other.get(f"/api/subscriptions/{made['guid']}")) == (404, "not_found")
    assert code(other.post(f"/api/subscriptions/{made['guid']}/signing_key")) == (404, "not_found")
    assert other.get("/api/subscriptions")[1]["total"] == 0
    assert other.get("/api/subscription_deliveries")[1]["total"] == 0
    again = {"subscription_guid": made["guid"], "subscription_event_guid": UNKNOWN}
    assert code(other.post("/api/subscription_deliveries", again)) == (404, "not_found")
    assert code(other.post(f"/api/subscriptions/{made['guid']}/replay")) == (404, "not_found")
    assert other.http.delete(f"/api/subscriptions/{made['guid']}").status_code == 404
    assert firm.get("/api/subscriptions")[1]["total"] == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "http://shop.example/"},
        {"url": "https://10.0.0.1/"},
        {"environment": "production"},
        {"type": "email"},
        {"event_types": ["trade.unheard_of"]},
        {"name": ""},
    ],
)
def test_a_subscription_that_cannot_be_meant_is_refused(wrong: dict[str, Any]) -> None:
    assert a_firm().post("/api/subscriptions", BODY | wrong)[0] == 400


def test_a_client_without_the_scope_is_refused() -> None:
    status, _ = a_firm(FIRM_SCOPES - {"subscriptions:execute"}).post("/api/subscriptions", {})

    assert status == 403


def test_what_is_deleted_goes_on_for_a_day(receiver: Receiver) -> None:
    """Guard: `live`."""
    firm, alice = a_firm(), a_customer()
    made = subscribed(firm, receiver.url)

    assert firm.http.delete(f"/api/subscriptions/{made['guid']}").status_code == 204
    changed(alice)
    assert delivered(later(hours=23)) == 1
    changed(alice, state="verified")
    assert delivered(later(hours=25)) == 0
    assert states() == ["completed"]
    assert firm.get(f"/api/subscriptions/{made['guid']}")[1]["scheduled_deletion_at"]
    assert firm.post(f"/api/subscriptions/{made['guid']}/signing_key")[0] == 422


def test_what_waited_for_a_deleted_subscription_is_not_sent_after_its_day(receiver: Receiver) -> None:
    """Guard: deleted_at in `_MAY_BE_CALLED`."""
    firm = a_firm()
    made = subscribed(firm, receiver.url, event_types=FROZEN)
    receiver.answers(status=503)
    changed(a_customer())
    delivered()
    firm.http.delete(f"/api/subscriptions/{made['guid']}")
    receiver.answers()

    assert delivered(later(hours=25)) == 0
    assert delivered(later(hours=23)) == 1


def test_events_and_deliveries_are_listed(receiver: Receiver) -> None:
    firm, alice = a_firm(), a_customer()
    made = subscribed(firm, receiver.url)
    changed(alice)
    delivered()

    [event] = [
        one
        for one in firm.get("/api/subscription_events", per_page="100")[1]["objects"]
        if one["event_type"] == "customer.frozen"
    ]
    assert firm.get(f"/api/subscription_events/{event['guid']}") == (200, event)
    assert firm.get(f"/api/subscription_events/{'f' * 32}")[0] == 404
    _, listed = firm.get("/api/subscription_deliveries", subscription_guid=made["guid"], state="completed")
    [delivery] = listed["objects"]
    assert (delivery["subscription_event_guid"], delivery["response"]) == (event["guid"], "200 xxxxxx")
    assert firm.get(f"/api/subscription_deliveries/{delivery['guid']}") == (200, delivery)
    [attempt] = firm.get(f"/api/subscription_deliveries/{delivery['guid']}/attempts")[1]["objects"]
    assert (attempt["status"], attempt["response"]) == (200, "xxxxxx")
    assert code(a_firm().get(f"/api/subscription_deliveries/{delivery['guid']}/attempts")) == (404, "not_found")
    by = {"subscription_event_guid": event["guid"], "event_type": "customer.frozen"}
    assert firm.get("/api/subscription_deliveries", **by)[1]["objects"] == [delivery]
    assert firm.get("/api/subscription_events", guid=event["guid"])[1]["objects"] == [event]
    assert firm.get("/api/subscription_events", guid="f" * 32)[1]["total"] == 0


def test_a_list_of_another_environment_is_empty() -> None:
    firm = a_firm()
    subscribed(firm, URL)

    asked = [{"environment": "sandbox"}, {"environment": "production"}, {"type": "webhook"}]
    assert [firm.get("/api/subscriptions", **query)[1]["total"] for query in asked] == [1, 0, 1]


def test_a_name_is_changed_and_nothing_else() -> None:
    firm = a_firm()
    made = subscribed(firm, URL)
    answer = firm.http.patch(f"/api/subscriptions/{made['guid']}", {"name": "b"}, content_type="application/json")

    assert answer.json() == {**firm.get(f"/api/subscriptions/{made['guid']}")[1], "name": "b"}


def test_an_event_that_a_subscription_is_not_told_of_is_not_delivered_to_it_on_request() -> None:
    """Guard: `event_of`: its kinds, its customer; what belongs to nobody is no customer's unless it is everybody's."""
    firm, alice, bob = a_firm(), a_customer(), a_customer()
    made = subscribed(firm, URL, customer_guid=alice.pk.hex, event_types=[*FROZEN, "settlement_batch.cut"])
    changed(bob, alice)
    changed(alice, state="verified")
    btc_at("40_000.00")
    a_settling_buy(a_customer(with_usd="100000"), btc("0.1"))
    a_cut()
    of = {
        (one["event_type"], one["customer_guid"]): one["guid"]
        for one in firm.get("/api/events", limit="1000")[1]["objects"]
    }

    def asked(kind: str, customer: str | None) -> int:
        wanted = {"subscription_guid": made["guid"], "subscription_event_guid": of[kind, customer]}
        return firm.post("/api/subscription_deliveries", wanted)[0]

    assert asked("customer.frozen", alice.pk.hex) == 201
    assert asked("customer.frozen", bob.pk.hex) == 404
    assert asked("customer.verified", alice.pk.hex) == 404
    assert asked("settlement_batch.cut", None) == 404


def test_a_client_has_so_many_subscriptions_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guard: MOST_OF_A_CLIENT: each event costs a row of each."""
    monkeypatch.setattr(subscriptions, "MOST_OF_A_CLIENT", 2)
    firm = a_firm()
    subscribed(firm, URL)
    subscribed(firm, URL)

    assert code(firm.post("/api/subscriptions", BODY)) == (422, "too_many_subscriptions")
    assert a_firm().post("/api/subscriptions", BODY)[0] == 201


def test_a_replay_is_bounded(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guard: MOST_REPLAYED."""
    monkeypatch.setattr(subscriptions, "MOST_REPLAYED", 2)
    firm = a_firm()
    made = subscribed(firm, receiver.url, event_types=FROZEN)
    changed(*(a_customer() for _ in range(3)))
    delivered()
    path = f"/api/subscriptions/{made['guid']}/replay"

    assert code(firm.post(path, {"created_at_gte": later(hours=-1).isoformat()})) == (422, "too_many_to_replay")
    WebhookDelivery.objects.update(state="failed", completed_at=None)
    assert firm.post(path)[1] == {"deliveries": 2, "has_more": True}
    assert firm.post(path)[1] == {"deliveries": 1, "has_more": False}


def test_a_key_is_in_no_log_and_in_no_table(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    """Guard: a key is made of its seed and SECRET_KEY, and `keeps_answers` is False."""
    caplog.set_level("DEBUG")
    firm = a_firm()
    headers = {"Idempotency-Key": "once"}
    answer = firm.http.post("/api/subscriptions", BODY | {"url": receiver.url}, "application/json", headers=headers)
    key = answer.json()["signing_key"]
    changed(a_customer())
    delivered()

    kept = [*AnsweredRequest.objects.values(), *WebhookSubscription.objects.values(), *WebhookAttempt.objects.values()]
    assert len(kept) > 1
    shown = key.removeprefix("whsec_")
    raw = base64.b64decode(shown)
    assert not any(form in str(kept) + caplog.text for form in (shown, raw.hex(), str(raw)))


def test_an_operator_subscribes_a_client_who_alone_gets_the_key(client: Client, receiver: Receiver) -> None:
    """Guard: the back office shows no key; the client asks for one."""
    client.force_login(User.objects.create_superuser("op@firm.example", "a long enough word"))
    firm, alice = a_firm(), a_customer()
    form = {
        "client": str(ApiClient.objects.get().pk),
        "name": "theirs",
        "url": receiver.url,
        "customer_guid": alice.pk.hex,
        "kinds": FROZEN,
    }

    for wrong in ({"url": "https://10.0.0.1/"}, {"customer_guid": UNKNOWN}):
        assert client.post(reverse("admin:accounts_webhooksubscription_add"), form | wrong).status_code == 200
    assert not WebhookSubscription.objects.exists()

    page = client.post(reverse("admin:accounts_webhooksubscription_add"), form, follow=True).content.decode()

    made = WebhookSubscription.objects.get()
    assert (made.kinds, made.customer) == (FROZEN, alice)
    assert not any(secret in page for secret in ("whsec_", made.seed, signing.shown(made.seed)))
    assert firm.get(f"/api/subscriptions/{made.pk.hex}")[1]["name"] == "theirs"
    key = firm.post(f"/api/subscriptions/{made.pk.hex}/signing_key")[1]["signing_key"]
    changed(alice)
    delivered()
    [got] = receiver.got
    assert verified(key, got.headers, got.body)
    assert LogEntry.objects.get().object_id == str(made.pk)

    WebhookDelivery.objects.update(state="failed", completed_at=None)
    for action, calls in (("send_again", 1), ("end_now", 0)):
        chosen = {"action": action, "_selected_action": str(made.pk)}
        client.post(reverse("admin:accounts_webhooksubscription_changelist"), chosen)
        changed(alice, state="verified")
        changed(alice)
        assert (action, delivered() >= calls, len(receiver.got)) == (action, True, 3)
    assert firm.get("/api/subscriptions")[1]["total"] == 0


def of_the_page(language: str) -> str:
    found = re.search(f"```{language}\n(.*?)```", PAGE.read_text(), re.S)
    assert found
    return found[1]


def a_signed_message() -> tuple[str, dict[str, str], bytes]:
    body = b'{"guid": "x"}'
    return signing.shown("s"), signing.headers([signing.key_of("s")], "x", datetime.now(UTC), body), body


def test_the_pages_python_verifies_what_we_sign() -> None:
    said: dict[str, Any] = {}
    exec(of_the_page("python"), said)
    key, headers, body = a_signed_message()
    old = {**headers, "webhook-timestamp": str(int(time.time()) - 3600)}

    assert said["is_ours"](key, headers, body)
    assert not said["is_ours"](key, headers, body + b" ")
    assert not said["is_ours"](key, old, body)


@pytest.mark.skipif(shutil.which("node") is None, reason="Node isn't here")
def test_the_pages_javascript_verifies_what_we_sign() -> None:
    key, headers, body = a_signed_message()
    call = f"isOurs({json.dumps(key)}, {json.dumps(headers)}, body)"
    calls = f"[{json.dumps(body.decode())}, 'another'].map((body) => {call})"
    program = of_the_page("javascript") + f"console.log(JSON.stringify({calls}))"

    run = subprocess.run(["node", "-e", program], capture_output=True, text=True, check=True)

    assert json.loads(run.stdout) == [True, False]


@pytest.mark.skipif(shutil.which("go") is None, reason="Go isn't here")
def test_the_pages_go_verifies_what_we_sign(tmp_path: Path) -> None:
    key, headers, body = a_signed_message()
    set_all = "".join(f"\th.Set({json.dumps(name)}, {json.dumps(text)})\n" for name, text in headers.items())
    (tmp_path / "webhooks.go").write_text(of_the_page("go"))
    (tmp_path / "go.mod").write_text("module webhooks\n\ngo 1.20\n")
    ours, other = (f"IsOurs({json.dumps(key)}, h, {these})" for these in ("body", "body[1:]"))
    (tmp_path / "webhooks_test.go").write_text(
        'package webhooks\n\nimport (\n\t"net/http"\n\t"testing"\n)\n\n'
        f"func TestOurs(t *testing.T) {{\n\th := http.Header{{}}\n{set_all}"
        f"\tbody := []byte({json.dumps(body.decode())})\n\tif !{ours} || {other} {{\n\t\tt.Fail()\n\t}}\n}}\n"
    )

    subprocess.run(["go", "test", "./..."], cwd=tmp_path, check=True)


def test_a_signature_is_the_specifications() -> None:
    """The example of Standard Webhooks."""
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    at = datetime.fromtimestamp(1614265330, UTC)
    headers = signing.headers([key], "msg_p5jXN8AQM9LWM0D4loKWxJek", at, b'{"test": 2432232314}')

    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
