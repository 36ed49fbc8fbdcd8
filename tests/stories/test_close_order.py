"""The seed page "Close Order", told against the running system: web, engine, PostgreSQL and Valkey."""

from __future__ import annotations

from decimal import Decimal

import httpx
import orjson
import pytest

from accounts import json_codec
from accounts.ledger import MARGIN
from tests.given import a_customer, balance, btc_at, deposit, token_of, usd
from tests.live import Live

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("live")]

MISSING = b'{"error":"Missing required parameters: orderId"}'
LONG = b"x" * 10_000
NOT_FOUND = b'{"error":"Order not found or already closed","message":"Order not found or already closed"}'


def said(response: httpx.Response) -> dict:
    return json_codec.loads(response.content)


def test_a_trader_opens_looks_closes_and_reads_the_history(live: Live) -> None:
    with live.client() as visitor:
        signed_up = visitor.post(
            "/api/v1/auth/signup", json={"email": "Ada@Example.com", "password": "a long password", "name": "Ada"}
        )
        assert signed_up.status_code == 201
        logged_in = visitor.post("/api/v1/auth/login", json={"email": "ada@example.com", "password": "a long password"})
        token = logged_in.json()["access"]
    from accounts.models import Customer

    ada = Customer.objects.get(user__email="ada@example.com")
    deposit(ada, "USD", "10_000.00")
    btc_at("41_095.75", "41_095.75")

    with live.client(token) as trader:
        created = trader.post(
            "/api/v1/trade/create", json={"symbol": "BTCUSDT", "type": "buy", "quantity": 0.1, "leverage": 10}
        )
        assert created.status_code == 200
        order_id = created.json()["orderId"]
        assert said(created)["message"] == "Order created successfully"

        btc_at("42_350.75", "42_360.00")
        (shown,) = said(trader.get("/api/v1/trade/orders"))["message"]
        assert (shown["orderId"], shown["status"], shown["currentPrice"]) == (order_id, "OPEN", Decimal("42350.75"))
        assert shown["profit"] == Decimal("125.50")
        account = said(trader.get("/api/v1/account"))
        assert account["equity"] == Decimal("10125.50")
        assert said(trader.get("/api/v1/balance")) == {"status": "success", "message": Decimal("9589.04")}

        closed = trader.post("/api/v1/trade/close", json={"orderId": order_id})
        assert closed.status_code == 200
        assert closed.headers["content-type"] == "application/json"
        assert closed.content.startswith(
            b'{"message":"Order closed successfully","order":{"orderId":"' + order_id.encode() + b'",'
            b'"status":"CLOSED","closePrice":42350.75,"profit":125.50,'
        )

        assert said(trader.get("/api/v1/trade/open"))["message"] == []
        (past,) = said(trader.get("/api/v1/trade/close"))["message"]
        assert (past["orderId"], past["closeReason"], past["profitLoss"]) == (order_id, "manual", Decimal("125.50"))
        again = trader.post("/api/v1/trade/close/", json={"orderId": order_id})
        assert (again.status_code, again.content) == (400, NOT_FOUND)

    assert balance(ada) == usd("10_125.50")
    assert balance(ada, MARGIN) == 0


def test_the_seed_pages_refusals_to_the_byte(live: Live) -> None:
    alice = a_customer(with_usd="1_000.00")
    with live.client(token_of(alice)) as trader:
        for body in ({}, {"orderId": ""}, {"orderId": None}):
            missing = trader.post("/api/v1/trade/close", json=body)
            assert (missing.status_code, missing.content) == (400, MISSING)
        unknown = trader.post("/api/v1/trade/close", json={"orderId": "ord_nonexistent"})
        assert (unknown.status_code, unknown.content) == (400, NOT_FOUND)
    with live.client() as nobody:
        refused = nobody.post("/api/v1/trade/close", json={"orderId": "ord_nonexistent"})
        assert (refused.status_code, refused.content) == (401, b'{"error":"Unauthorized"}')
    with live.client("not.a.token") as forger:
        refused = forger.post("/api/v1/trade/close", json={"orderId": "ord_nonexistent"})
        assert (refused.status_code, refused.content) == (401, b'{"error":"Token expired or invalid"}')


@pytest.mark.parametrize("path", ["/api/v1/trade/close", "/api/v1/trade/create"])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"ord_1"',
        b'{"orderId": NaN, "symbol": NaN}',
        b'{"orderId": 1e400, "symbol": 1e400}',
        b'{"orderId": true, "symbol": "BTC", "type": "buy", "quantity": true, "leverage": 1}',
        b'{"orderId": ["ord_1"], "symbol": ["BTC"], "type": "buy", "quantity": 1, "leverage": 1}',
        b'{"orderId": {"a": 1}, "symbol": "BTC", "type": {"a": 1}, "quantity": 1, "leverage": 1}',
        b'{"orderId": "ord_\\u0000", "symbol": "BTC\\u0000", "type": "buy", "quantity": 1, "leverage": 1}',
        b'{"orderId": "ord_\\ud800", "symbol": "\\ud800", "type": "buy", "quantity": 1, "leverage": 1}',
        b'{"orderId": "'
        + b"x" * 10_000
        + b'", "symbol": "'
        + b"x" * 10_000
        + b'", "type": "buy", "quantity": 1, "leverage": 1}',
        b"[" * 50_000,
        b"\xff\xfe",
    ],
)
def test_bad_bodies_are_400_and_change_nothing(live: Live, path: str, body: bytes) -> None:
    alice = a_customer(with_usd="1_000.00")
    with live.client(token_of(alice)) as trader:
        answer = trader.post(path, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert next(iter(orjson.loads(answer.content))) == "error"
    assert balance(alice) == usd("1_000.00")


def test_a_body_that_is_not_json_by_its_type_is_415(live: Live) -> None:
    alice = a_customer()
    with live.client(token_of(alice)) as trader:
        answer = trader.post("/api/v1/trade/close", data={"orderId": "ord_1"})
    assert answer.status_code == 415
    assert "error" in answer.json()


def test_the_same_key_and_body_get_the_same_bytes_again(live: Live) -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    with live.client(token_of(alice)) as trader:
        wanted = {"symbol": "BTC-USD", "type": "buy", "quantity": "0.01", "leverage": "10"}
        first = trader.post("/api/v1/trade/create", json=wanted, headers={"Idempotency-Key": "one"})
        again = trader.post("/api/v1/trade/create", json=wanted, headers={"Idempotency-Key": "one"})
        other = trader.post(
            "/api/v1/trade/create", json=wanted | {"quantity": "0.02"}, headers={"Idempotency-Key": "one"}
        )
        too_long = trader.post("/api/v1/trade/create", json=wanted, headers={"Idempotency-Key": "k" * 129})
    assert (again.status_code, again.content) == (200, first.content)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    assert other.status_code == 422
    assert too_long.status_code == 400
    assert alice.orders.count() == 1
