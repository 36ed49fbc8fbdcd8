"""Orders that wait for their price, and how they are changed and cancelled: against the running system."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any

import httpx
import pytest

from accounts import json_codec
from accounts.ledger import MARGIN
from tests.given import a_customer, balance, btc_at, token_of, usd
from tests.live import Live
from trades.models import Order

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("live")]

BUY_LOW = {
    "symbol": "BTC-USD",
    "type": "buy",
    "quantity": "0.1",
    "leverage": 10,
    "orderType": "limit",
    "price": "41000",
    "stopLoss": "40000",
}


def said(response: httpx.Response, status: int = 200) -> Any:
    assert response.status_code == status, response.text
    return json_codec.loads(response.content)


def becomes(trader: httpx.Client, order_id: str, status: str) -> dict[str, Any]:
    """The order, once the engine has seen the price."""
    give_up = time.monotonic() + 5
    while True:
        order: dict[str, Any] = said(trader.get(f"/api/v1/trade/orders/{order_id}"))
        if order["status"] == status or time.monotonic() > give_up:
            assert order["status"] == status, order
            return order
        time.sleep(0.05)


def test_a_limit_order_waits_is_moved_opens_and_is_closed_in_two_parts(live: Live) -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00", "42_005.00")
    with live.client(token_of(alice)) as trader:
        placed = said(trader.post("/api/v1/trade/create", json=BUY_LOW))
        assert list(placed) == ["message", "orderId"]
        order_id = placed["orderId"]

        # It waits: listed as pending, without margin or an open price, and free cash is as before.
        (waiting,) = said(trader.get("/api/v1/trade/orders?status=pending"))["message"]
        assert (waiting["orderId"], waiting["status"], waiting["orderType"]) == (order_id, "PENDING", "limit")
        assert (waiting["price"], waiting["openPrice"], waiting["margin"]) == (Decimal("41000.00"), None, 0)
        assert said(trader.get("/api/v1/trade/orders"))["message"] == []
        assert said(trader.get("/api/v1/balance"))["message"] == Decimal("10000.00")

        # It is moved, and protected otherwise; what isn't named stays.
        path = f"/api/v1/trade/orders/{order_id}"
        changed = said(trader.patch(path, json={"price": 41_500, "takeProfit": "43000", "trailingStop": None}))
        assert changed["message"] == "Order changed successfully"
        assert (changed["order"]["price"], changed["order"]["stopLoss"]) == (Decimal("41500.00"), Decimal("40000.00"))

        # Its price comes: it opens at the available price.
        btc_at("41_390.00", "41_400.00")
        opened = becomes(trader, order_id, "OPEN")
        assert (opened["openPrice"], opened["margin"]) == (Decimal("41400.00"), Decimal("414.00"))
        assert said(trader.get(f"{path}/")) == opened

        # A part is closed; the rest keeps its name.
        btc_at("41_800.00", "41_805.00")
        part = said(trader.post("/api/v1/trade/close", json={"orderId": order_id, "quantity": 0.04}))["order"]
        assert (part["quantity"], part["parentOrderId"]) == (Decimal("0.04"), order_id)
        assert part["orderId"] != order_id
        rest = becomes(trader, order_id, "OPEN")
        assert (rest["quantity"], rest["margin"]) == (Decimal("0.06"), Decimal("248.40"))
        too_much = trader.post("/api/v1/trade/close", json={"orderId": order_id, "quantity": "0.07"})
        assert too_much.status_code == 400

        said(trader.post("/api/v1/trade/close", json={"orderId": order_id}))
        last, first = said(trader.get("/api/v1/trade/close"))["message"]
        assert (first["orderId"], first["parentOrderId"]) == (part["orderId"], order_id)
        assert (last["orderId"], last["parentOrderId"]) == (order_id, None)
        assert said(trader.get(f"/api/v1/trade/orders/{part['orderId']}")) == first
    assert balance(alice) == usd("10_040.00")
    assert balance(alice, MARGIN) == 0


def test_a_pending_order_is_cancelled_once(live: Live) -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    with live.client(token_of(alice)) as trader:
        order_id = said(trader.post("/api/v1/trade/create", json=BUY_LOW | {"orderType": "STOP", "price": 43_000}))[
            "orderId"
        ]
        path = f"/api/v1/trade/orders/{order_id}"
        cancelled = said(trader.delete(path, headers={"Idempotency-Key": "c"}))
        assert (cancelled["message"], cancelled["order"]["status"]) == ("Order cancelled successfully", "CANCELLED")

        again = trader.delete(path, headers={"Idempotency-Key": "c"})
        assert (again.content, again.headers["Idempotent-Replayed"]) == (json_codec.dumps(cancelled), "true")
        assert trader.delete(path).status_code == 400
        assert trader.patch(path, json={"stopLoss": 1}).status_code == 400
        closed = trader.post("/api/v1/trade/close", json={"orderId": order_id})
        assert said(closed, 400)["error"] == "Order not found or already closed"

        shown = said(trader.get(path))
        assert (shown["status"], shown["closeReason"]) == ("CANCELLED", "manual")
        assert said(trader.get("/api/v1/trade/orders?status=pending"))["message"] == []
    assert balance(alice) == usd("10_000.00")


def test_an_open_orders_stops_are_set_and_taken_away(live: Live) -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    market = {name: BUY_LOW[name] for name in ("symbol", "type", "quantity", "leverage")}
    with live.client(token_of(alice)) as trader:
        order_id = said(trader.post("/api/v1/trade/create", json=market))["orderId"]
        path = f"/api/v1/trade/orders/{order_id}"

        order = said(trader.patch(path, json={"stopLoss": 41_000, "takeProfit": "44000.00"}))["order"]
        assert (order["stopLoss"], order["takeProfit"]) == (Decimal("41000.00"), Decimal("44000.00"))
        order = said(trader.patch(path, json={"stopLoss": "", "trailingStop": 250}))["order"]
        assert (order["stopLoss"], order["takeProfit"]) == (None, Decimal("44000.00"))
        assert order["trailingStop"] == Decimal("250.00")

        wrong_side = trader.patch(path, json={"stopLoss": 43_000, "takeProfit": None})
        assert wrong_side.status_code == 400
        assert said(trader.get(path))["takeProfit"] == Decimal("44000.00")  # all or nothing
        assert trader.patch(path, json={"price": 41_000}).status_code == 400
        assert trader.delete(path).status_code == 400
    assert Order.objects.get(code=order_id).status == "OPEN"


def test_somebody_elses_order_looks_like_none_at_all(live: Live) -> None:
    alice, mallory = a_customer(with_usd="10_000.00"), a_customer("mallory")
    btc_at("42_000.00")
    with live.client(token_of(alice)) as trader:
        theirs = said(trader.post("/api/v1/trade/create", json=BUY_LOW))["orderId"]
    names = (theirs, "ord_0123456789abcdef", "ord_1")
    with live.client(token_of(mallory)) as stranger:
        for method in ("GET", "PATCH", "DELETE"):
            answers = [stranger.request(method, f"/api/v1/trade/orders/{name}", json={"stopLoss": 1}) for name in names]
            assert {(answer.status_code, answer.content) for answer in answers} == {
                (404, b'{"error":"Order not found"}')
            }
    assert Order.objects.get(code=theirs).status == "PENDING"
