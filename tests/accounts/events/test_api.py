"""GET /api/events at the API."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from accounts import events
from accounts.models import Customer
from tests.accounts.events.places import here
from tests.caller import UNKNOWN, a_firm, code
from tests.given import a_customer, a_settling_buy, btc, btc_at, token_of

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_partner_reads_on_from_the_last_event() -> None:
    firm = a_firm()
    btc_at("40_000.00")
    alice = a_customer(with_usd="10_000.00")
    _, now = firm.get("/api/events", after="now")
    trade = a_settling_buy(alice, btc("0.1"))
    here()

    status, first = firm.get("/api/events", after=now["next"], limit="1", event_type="trade.storing,trade.settling")
    _, second = firm.get("/api/events", after=first["next"], limit="1", event_type="trade.storing,trade.settling")
    _, third = firm.get("/api/events", after=second["next"], limit="1", event_type="trade.storing,trade.settling")

    assert (now["objects"], now["has_more"]) == ([], False)
    assert status == 200
    assert [one["event_type"] for page in (first, second, third) for one in page["objects"]] == [
        "trade.storing",
        "trade.settling",
    ]
    assert (first["has_more"], second["has_more"], third["has_more"]) == (True, False, False)
    [event] = first["objects"]
    assert event["object_guid"] == trade.pk.hex
    assert event["customer_guid"] == alice.pk.hex
    assert first["next"] == event["guid"] < second["objects"][0]["guid"] < second["next"]


def test_a_trader_asks_for_its_own_and_a_firm_for_one_customers() -> None:
    alice, bob = a_customer(), a_customer()
    Customer.objects.filter(pk__in=[alice.pk, bob.pk]).update(state="frozen")
    trader = Client(headers={"Authorization": f"Bearer {token_of(alice)}"})
    here()

    own = trader.get("/api/events", {"event_type": "customer.frozen"}).json()["objects"]
    of_bob = trader.get("/api/events", {"customer_guid": bob.pk.hex}).json()["objects"]
    _, firm = a_firm().get("/api/events", customer_guid=bob.pk.hex, event_type="customer.frozen")

    assert [one["object_guid"] for one in own] == [alice.pk.hex]
    assert of_bob == []
    assert [one["object_guid"] for one in firm["objects"]] == [bob.pk.hex]


@pytest.mark.parametrize(
    "query",
    [
        {"after": "x"},
        {"after": "f" * 32},
        {"after": "0" * 16 + "f" * 16},
        {"after": UNKNOWN.upper().replace("0", "A")},
        {"after": ""},
        {"limit": "0"},
        {"limit": "1001"},
        {"limit": "1.0"},
        {"event_type": "trade"},
        {"event_type": "trade.storing,"},
        {"customer_guid": "x"},
        {"page": "1"},
    ],
)
def test_what_cant_be_meant_is_refused(query: dict[str, Any]) -> None:
    assert code(a_firm().get("/api/events", **query)) == (400, "invalid_parameter")


def test_a_token_without_the_scope_reads_nothing() -> None:
    assert code(a_firm(frozenset({"prices:read"})).get("/api/events")) == (403, "invalid_scope")


def test_the_last_place_that_there_can_be_is_a_place() -> None:
    status, page = a_firm().get("/api/events", after="7" + "f" * 15 + "7" + "f" * 15)

    assert (status, page["objects"], page["has_more"]) == (200, [], False)
    assert page["next"] == events.guid_of((2**63 - 1, 2**63 - 1)).hex
