"""A firm's client trades on margin for its customers, against the running system: web, engine, PostgreSQL, Valkey."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from django.utils import timezone

from accounts import services, tokens
from accounts.identity import CUSTOMER_SCOPES, FIRM_SCOPES
from accounts.models import ApiClient, Customer
from accounts.services import NewCustomer
from accounts.states import CustomerState
from tests.given import a_customer, balance, btc_at, deposit, price_at, token_of, usd, what_the_audit_finds
from tests.live import Live
from trades.models import Order, OrderEvent

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("live")]

BUY = {"symbol": "BTC-USD", "type": "buy", "quantity": 0.1, "leverage": 10}
NO_CUSTOMER = {"error": "There is no such customer."}


def a_partners_customer(with_usd: str = "10_000.00") -> Customer:
    """Without a login."""
    (customer,) = services.open_customers([NewCustomer(state=CustomerState.VERIFIED)], timezone.now())
    deposit(customer, "USD", with_usd)
    return customer


def a_client(scopes: frozenset[str] = FIRM_SCOPES) -> tuple[ApiClient, str]:
    client, _ = services.create_api_client("partner", scopes, timezone.now())
    return client, tokens.client_token(client, scopes)


def body(answer: httpx.Response, status: int = 200) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json()


def test_a_client_opens_looks_changes_and_closes_for_a_customer_without_a_login(live: Live) -> None:
    mine, other = a_partners_customer(), a_partners_customer()
    btc_at("42_000.00")
    client, token = a_client()
    of_mine = {"customer_guid": mine.pk.hex}
    with live.client(token) as partner:
        opened = body(partner.post("/api/v1/trade/create", params=of_mine, json=BUY))
        placed = body(
            partner.post(
                "/api/v1/trade/create",
                headers={"X-Customer-Guid": mine.pk.hex},
                json=BUY | {"orderType": "limit", "price": 41_000},
            )
        )
        path = f"/api/v1/trade/orders/{opened['orderId']}"

        (shown,) = body(partner.get("/api/v1/trade/orders", params=of_mine))["message"]
        assert (shown["orderId"], shown["status"]) == (opened["orderId"], "OPEN")
        assert body(partner.get("/api/v1/trade/orders", params={"customer_guid": other.pk.hex}))["message"] == []
        assert body(partner.get(path, params={"customer_guid": other.pk.hex}), 404) == {"error": "Order not found"}
        assert body(partner.get("/api/v1/account", headers={"X-Customer-Guid": mine.pk.hex}))["margin"] == 420
        assert body(partner.get("/api/v1/balance", params=of_mine))["message"] == 9580
        assert len(body(partner.get("/api/v1/statement", params=of_mine))["message"]) == 2

        body(partner.patch(path, params=of_mine, json={"stopLoss": 41_500}))
        # The limit order is opened by a price, with nobody who asks and no login that could be disabled.
        btc_at("40_999.00")
        price_is_seen(partner, of_mine, placed["orderId"])
        theirs = {"customer_guid": other.pk.hex}
        assert partner.post("/api/v1/trade/close", params=theirs, json={"orderId": placed["orderId"]}).json() == {
            "error": "Order not found or already closed",
            "message": "Order not found or already closed",
        }
        closed = body(partner.post("/api/v1/trade/close", params=of_mine, json={"orderId": placed["orderId"]}))
        assert closed["order"]["userId"] is None
        assert len(body(partner.get("/api/v1/trade/close", params=of_mine))["message"]) == 2

    assert balance(other) == usd("10_000.00")
    named = OrderEvent.objects.filter(customer=mine, command_id__isnull=False)
    assert {event.detail["client"] for event in named} == {client.pk.hex}
    assert {event.kind for event in named} == {"opened", "placed", "changed", "closed"}
    assert what_the_audit_finds() == []


def price_is_seen(partner: httpx.Client, of_mine: dict[str, str], order_id: str) -> None:
    """Wait until the engine has opened a pending order at a price that came."""
    for _ in range(200):
        if body(partner.get(f"/api/v1/trade/orders/{order_id}", params=of_mine))["status"] == "OPEN":
            return
        price_at("BTC-USD", "40_999.00")
    raise AssertionError("the order was never opened")


def test_a_call_names_one_customer_that_there_is_and_whom_its_token_may_act_for(live: Live) -> None:
    mine, other = a_partners_customer(), a_partners_customer()
    btc_at("42_000.00")
    client, firm = a_client()
    of_customer = tokens.customer_token(client.pk, mine.pk, CUSTOMER_SCOPES)
    reads = tokens.client_token(client, ["orders:read"])
    nothing = tokens.client_token(client, ["trades:execute"])
    trader = token_of(a_customer(with_usd="1_000.00"))
    guid, theirs = mine.pk.hex, other.pk.hex
    calls = [
        (firm, {}, {}, 400, {"error": "customer_guid is required."}),
        (firm, {"customer_guid": "0" * 32}, {}, 404, NO_CUSTOMER),
        (firm, {"customer_guid": guid}, {"X-Customer-Guid": theirs}, 400, None),
        (firm, {"customer_guid": "x"}, {}, 400, None),
        (firm, {}, {"X-Customer-Guid": "\u00ff"}, 400, None),
        (firm, {"customer_guid": [guid, theirs]}, {}, 400, None),
        (of_customer, {"customer_guid": theirs}, {}, 404, NO_CUSTOMER),
        (trader, {"customer_guid": theirs}, {}, 404, NO_CUSTOMER),
        (nothing, {"customer_guid": guid}, {}, 403, {"error": "The token's scopes don't allow this."}),
    ]
    with live.client() as visitor:
        for token, query, headers, status, said in calls:
            to = {"params": query, "headers": {"Authorization": f"Bearer {token}"} | {
                name: text.encode("latin-1") for name, text in headers.items()  # type: ignore[dict-item]
            }}  # fmt: skip
            for answer in (
                visitor.post("/api/v1/trade/create", json=BUY, **to),
                visitor.post("/api/v1/trade/close-all", **to),
                visitor.get("/api/v1/trade/orders", **to),
                visitor.get("/api/v1/trade/orders/ord_0123456789abcdef", **to),
                visitor.get("/api/v1/account", **to),
                visitor.get("/api/v1/balance", **to),
                visitor.get("/api/v1/statement", **to),
            ):
                assert answer.status_code == status, (query, headers, answer.url, answer.text)
                assert said is None or answer.json() == said
        named = {"Authorization": f"Bearer {reads}", "X-Customer-Guid": guid}
        assert body(visitor.get("/api/v1/trade/orders", headers=named))["message"] == []
        assert visitor.post("/api/v1/trade/create", json=BUY, headers=named).status_code == 403
        body(visitor.post("/api/v1/trade/create", json=BUY, headers={"Authorization": f"Bearer {of_customer}"}))

    assert list(Order.objects.values_list("customer_id", flat=True)) == [mine.pk]
