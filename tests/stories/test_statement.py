"""What an order cost and brought, read from the statement: against the running system."""

from __future__ import annotations

import csv
from decimal import Decimal
from typing import Any

import httpx
import pytest

from accounts import json_codec
from tests.given import a_customer, btc_at, deposit, token_of
from tests.live import Live

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("live")]


def said(response: httpx.Response) -> Any:
    assert response.status_code == 200, response.text
    return json_codec.loads(response.content)


def test_a_day_of_trading_as_the_statement_tells_it(live: Live) -> None:
    alice = a_customer(with_usd="1_000.00")
    btc_at("41_095.75")
    with live.client(token_of(alice)) as trader:
        body = {"symbol": "BTC-USD", "type": "buy", "quantity": 0.1, "leverage": 10}
        order_id = said(trader.post("/api/v1/trade/create", json=body))["orderId"]
        btc_at("42_350.75")
        said(trader.post("/api/v1/trade/close", json={"orderId": order_id}))
        deposit(alice, "USD", "5.00")

        statement = said(trader.get("/api/v1/statement/"))
        pages = [said(trader.get("/api/v1/statement?limit=2"))]
        while cursor := pages[-1]["nextCursor"]:
            pages.append(said(trader.get("/api/v1/statement", params={"limit": 2, "cursor": cursor})))
        download = trader.get("/api/v1/statement?format=csv")
        account = said(trader.get("/api/v1/account"))

    rows = statement["message"]
    assert [(row["kind"], row["orderId"], row["amount"], row["reserved"], row["balance"]) for row in rows] == [
        ("deposit", None, Decimal("1000.00"), 0, Decimal("1000.00")),
        ("order_margin", order_id, 0, Decimal("410.96"), Decimal("1000.00")),
        ("order_margin_release", order_id, 0, Decimal("-410.96"), Decimal("1000.00")),
        ("order_profit", order_id, Decimal("125.50"), 0, Decimal("1125.50")),
        ("deposit", None, Decimal("5.00"), 0, Decimal("1130.50")),
    ]
    assert rows[3]["text"] == "Profit of an order"
    assert (statement["openingBalance"], statement["closingBalance"]) == (0, account["balance"])
    assert [row for page in pages for row in page["message"]] == rows
    lines = list(csv.DictReader(download.text.splitlines()))
    assert [line["balance"] for line in lines] == ["0.00", *(str(row["balance"]) for row in rows), "1130.50"]
    assert "attachment" in download.headers["Content-Disposition"]


def test_a_statement_is_the_traders_own(live: Live) -> None:
    with live.client() as nobody:
        assert nobody.get("/api/v1/statement").status_code == 401
    with live.client(token_of(a_customer())) as stranger:
        assert said(stranger.get("/api/v1/statement"))["message"] == []
        assert stranger.post("/api/v1/statement").status_code == 405
