"""Every route that names something is walked with somebody else's id: the answer is that of an id that nobody has.

Guard: `owned` of `accounts.rest.viewsets.Resource`; for orders that change, the engine's own look-up by customer.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import URLPattern, get_resolver

from accounts.models import Customer, Transfer
from tests.caller import Api, a_firm
from tests.given import a_bank_account, a_customer, a_cut, a_delivery, a_payment, a_settling_buy, btc, btc_at, token_of
from tests.trades.corrections.staff import a_completed_batch, applies, why
from trades.corrections.propose import propose_trade_reversal
from trades.models import SettlementLeg, SettlementWindow

pytestmark = pytest.mark.django_db(transaction=True)

METHODS = ("GET", "POST", "PATCH", "DELETE")
ASKED_OF_THE_ENGINE = {"order"}  # changing and cancelling: tests/trades/margin/test_changes.py, with an engine


def routes(found: Any = None, *, with_ids_alone: bool = True) -> Iterator[URLPattern]:
    """Every route of a viewset that has something in its path; or every one at all."""
    for pattern in found or get_resolver().url_patterns:
        if hasattr(pattern, "url_patterns"):
            yield from routes(pattern.url_patterns, with_ids_alone=with_ids_alone)
        elif hasattr(pattern.callback, "actions") and (pattern.pattern.regex.groups or not with_ids_alone):
            yield pattern


def path_of(route: URLPattern, ids: dict[str, str]) -> str:
    """The route's path with these ids in it, by the group's name."""
    regex = route.pattern.regex.pattern.removeprefix("^").removesuffix("$").removesuffix("/?")
    return "/" + re.sub(r"\(\?P<(\w+)>\[\^/\]\{1,64\}\)", lambda group: ids[group.group(1)], regex)


def ids_of(customer: Customer, firm: Api) -> tuple[dict[str, str], str]:
    """The id of something of each kind, by the basename of its routes, and a batch; subscriptions are this client's."""
    subscription, delivery, event = a_delivery(firm)
    reversed_one = a_settling_buy(customer, btc("0.1"))
    a_completed_batch()
    correction = applies(propose_trade_reversal(reversed_one.pk, **why()))
    trade = a_settling_buy(customer, btc("0.1"))
    batch = a_cut()
    leg = SettlementLeg.objects.filter(batch=batch).first()
    window = SettlementWindow.objects.first()
    assert leg is not None
    assert window is not None
    account = firm.http.get("/api/accounts", {"customer_guid": customer.pk.hex}).json()["objects"][0]["guid"]
    ids = {
        "quote": trade.quote_id.hex,
        "trade": trade.pk.hex,
        "transfer": a_payment(customer, "withdrawal", 100).pk.hex,
        "external-bank-account": a_bank_account(customer).pk.hex,
        "transaction": Transfer.objects.filter(customer=customer).earliest("pk").pk.hex,
        "customer": customer.pk.hex,
        "account": account,
        "batch": batch.pk.hex,
        "correction": correction.pk.hex,
        "leg": leg.pk.hex,
        "leg-of-batch": leg.pk.hex,
        "window": window.pk.hex,
        "subscription": subscription,
        "subscription-delivery": delivery,
        "subscription-event": event,
        "sandbox-price": "BTC-USD",
        "sandbox-batch": batch.pk.hex,
        "sandbox-fault": firm.post("/api/sandbox/faults", {"status": 500})[1]["guid"],
    }
    return ids, batch.pk.hex


def asked(client: Client, method: str, path: str, ids: dict[str, str]) -> tuple[int, bytes]:
    body = None if method in ("GET", "DELETE") else b"{}"
    answer: HttpResponse = client.generic(method, path, body or b"", content_type="application/json")
    said = answer.content
    for id_ in ids.values():
        said = said.replace(id_.encode(), b"<id>")
    return answer.status_code, said


def test_somebody_elses_id_is_answered_as_an_id_that_nobody_has() -> None:
    btc_at("60000")
    bob, mallory = a_customer("bob", with_usd="100000"), a_customer("mallory")
    firms = a_firm()
    theirs, batch = ids_of(bob, firms)
    firm = firms.http
    trader = Client(headers={"Authorization": f"Bearer {token_of(mallory)}"}, raise_request_exception=False)
    walked = set()
    for route in routes():
        kind = route.callback.initkwargs["basename"]
        if kind in ASKED_OF_THE_ENGINE:
            continue
        ids = {"guid": theirs[kind], "symbol": theirs[kind], "batch_guid": batch}
        nobodys = {name: uuid.uuid4().hex for name in ids}
        for method in METHODS:
            if method.lower() not in route.callback.actions:
                continue
            walked.add(kind)
            there = asked(trader, method, path_of(route, ids), ids)
            nowhere = asked(trader, method, path_of(route, nobodys), nobodys)
            assert there == nowhere, (method, route.pattern)
            assert there[0] in (403, 404), (method, route.pattern, there)
            assert asked(firm, "GET", path_of(route, ids), ids)[0] != 404 or method != "GET"
    assert walked == set(theirs)


def test_another_api_clients_subscription_is_answered_as_one_that_nobody_has() -> None:
    """Guard: `client_id` in `get_queryset` of subscriptions and of deliveries."""
    subscription, delivery, _ = a_delivery(a_firm())
    theirs = {"subscription": subscription, "subscription-delivery": delivery}
    another = a_firm().http
    walked = 0
    for route in routes():
        kind = route.callback.initkwargs["basename"]
        for method in METHODS:
            if kind in theirs and method.lower() in route.callback.actions:
                ids = {"guid": theirs[kind]}
                assert asked(another, method, path_of(route, ids), ids)[0] == 404, (method, route.pattern)
                walked += 1
    assert walked == 7
    for path in ("subscriptions", "subscription_deliveries"):
        assert another.get(f"/api/{path}").json()["total"] == 0


@pytest.mark.parametrize("path", ["quotes", "trades", "transfers", "customers", "accounts"])
def test_a_list_shows_a_trader_nothing_of_somebody_elses(path: str) -> None:
    btc_at("60000")
    bob, mallory = a_customer("bob", with_usd="100000"), a_customer("mallory")
    a_settling_buy(bob, btc("0.1"))
    a_payment(bob, "withdrawal", 100)
    trader = Client(headers={"Authorization": f"Bearer {token_of(mallory)}"})

    asked_for_bobs = trader.get(f"/api/{path}", {"customer_guid" if path != "customers" else "guid": bob.pk.hex}).json()

    assert asked_for_bobs["total"] == 0
    mine = {one.get("customer_guid", one["guid"]) for one in trader.get(f"/api/{path}").json()["objects"]}
    assert mine <= {mallory.pk.hex}
