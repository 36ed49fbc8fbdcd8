"""Closing everything at once: against the running system."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import httpx
import pytest

from accounts import json_codec
from accounts.ledger import MARGIN
from tests.given import a_customer, balance, btc_at, price_at, token_of, usd
from tests.live import Live
from trades.models import Order

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("live")]

ALL = "/api/v1/trade/close-all"


def said(response: httpx.Response) -> Any:
    assert response.status_code == 200, response.text
    return json_codec.loads(response.content)


def opens(trader: httpx.Client, symbol: str, side: str, quantity: str, **wanted: Any) -> str:
    body = {"symbol": symbol, "type": side, "quantity": quantity, "leverage": 10} | wanted
    return str(said(trader.post("/api/v1/trade/create", json=body))["orderId"])


def test_all_orders_of_a_symbol_then_all_there_are(live: Live) -> None:
    alice, bob = a_customer(with_usd="10_000.00"), a_customer("bob", with_usd="10_000.00")
    btc_at("42_000.00")
    price_at("ETH-USD", "3_000.00")
    with live.client(token_of(bob)) as other:
        kept = opens(other, "BTC-USD", "buy", "0.1")
    with live.client(token_of(alice)) as trader:
        long, short = opens(trader, "BTC-USD", "buy", "0.1"), opens(trader, "BTC-USD", "sell", "0.05")
        ether = opens(trader, "ETH-USD", "buy", "1")
        waiting = opens(trader, "BTC-USD", "buy", "0.1", orderType="limit", price=41_000)
        btc_at("42_100.00", "42_110.00")

        first = trader.post(ALL, json={"symbol": "btcusdt"}, headers={"Idempotency-Key": "all"})
        results = {one["orderId"]: one for one in said(first)["results"]}
        assert set(results) == {long, short}
        assert (results[long]["status"], results[long]["profit"]) == ("CLOSED", Decimal("10.00"))
        assert results[short]["profit"] == Decimal("-5.50")

        again = trader.post(ALL, json={"symbol": "BTC-USD"}, headers={"Idempotency-Key": "all"})
        assert (again.content, again.headers["Idempotent-Replayed"]) == (first.content, "true")
        other_body = trader.post(f"{ALL}/", json={}, headers={"Idempotency-Key": "all"})
        assert other_body.status_code == 422

        price_at("ETH-USD", "3_000.00")
        assert [one["orderId"] for one in said(trader.post(f"{ALL}/", json={}))["results"]] == [ether]
        assert said(trader.post(ALL, json={"symbol": None}))["results"] == []
        reasons = {row["orderId"]: row["closeReason"] for row in said(trader.get("/api/v1/trade/close"))["message"]}
        assert reasons == dict.fromkeys((long, short, ether), "close_all")

    assert balance(alice) == usd("10_004.50")
    assert balance(alice, MARGIN) == 0
    assert dict(Order.objects.filter(code__in=[kept, waiting]).values_list("code", "status")) == {
        kept: "OPEN",
        waiting: "PENDING",
    }


def test_an_unknown_symbol_closes_nothing(live: Live) -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    with live.client(token_of(alice)) as trader:
        code = opens(trader, "BTC-USD", "buy", "0.1")
        refused = trader.post(ALL, json={"symbol": "DOGE-USD"})
        assert (refused.status_code, refused.content) == (400, b'{"error":"symbol is unknown"}')
        for body in (b" ", b"[]", b"null", b'{"orderId": "x"}', b'{"Symbol": "BTC"}'):
            answer = trader.post(ALL, content=body, headers={"Content-Type": "application/json"})
            assert answer.status_code == 400
    assert Order.objects.get(code=code).status == "OPEN"


def test_without_a_body_all_orders_are_closed(live: Live) -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    with live.client(token_of(alice)) as trader:
        first = opens(trader, "BTC-USD", "buy", "0.1")
        assert [one["orderId"] for one in said(trader.post(ALL))["results"]] == [first]

        btc_at("42_000.00")
        second = opens(trader, "BTC-USD", "sell", "0.1")
        empty = {"Content-Type": "application/json", "Idempotency-Key": "all"}
        told = trader.post(f"{ALL}/", content=b"", headers=empty)
        assert [one["orderId"] for one in said(told)["results"]] == [second]
        again = trader.post(ALL, json={}, headers={"Idempotency-Key": "all"})  # it says the same
        assert (again.content, again.headers["Idempotent-Replayed"]) == (told.content, "true")
