"""A trader's order in yen, told against the running system: web, engine, PostgreSQL and Valkey."""

from __future__ import annotations

from decimal import Decimal

import httpx
import pytest

from accounts import json_codec
from tests.given import a_customer, balance, price_at, token_of, usd, what_the_audit_finds
from tests.live import Live
from trades.models import Deal

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("live")]


def said(response: httpx.Response) -> dict:
    assert response.status_code == 200, response.content
    return json_codec.loads(response.content)


def test_yen_are_told_and_booked_in_dollars(live: Live) -> None:
    """The published example: 10,000 USD-JPY lose 6,000 JPY, which are 52.42 USD at 114.45."""
    alice = a_customer(with_usd="1_000.00")
    price_at("USD-JPY", "115.00", "115.05")
    with live.client(token_of(alice)) as trader:
        listed = {one["symbol"]: one for one in said(trader.get("/api/v1/supportedAssets"))}
        assert listed["USD-JPY"]["counterAsset"] == "JPY"
        order = said(
            trader.post(
                "/api/v1/trade/create",
                json={"symbol": "USDJPY", "type": "buy", "quantity": 10000, "leverage": 100},
            )
        )["order"]
        assert (order["openPrice"], order["margin"]) == (Decimal("115.050"), Decimal("100.05"))

        price_at("USD-JPY", "114.45", "114.50")
        account = said(trader.get("/api/v1/account"))
        assert (account["equity"], account["margin"]) == (Decimal("947.58"), Decimal("100.05"))
        closed = said(trader.post("/api/v1/trade/close", json={"orderId": order["orderId"]}))["order"]
        assert (closed["closePrice"], closed["profit"]) == (Decimal("114.450"), Decimal("-52.42"))
        (past,) = said(trader.get("/api/v1/trade/close"))["message"]
        assert past["profitLoss"] == Decimal("-52.42")
        lines = said(trader.get("/api/v1/statement"))["message"]
        assert lines[-1]["balance"] == Decimal("947.58")

    assert balance(alice) == usd("947.58")
    assert Deal.objects.get(order__code=order["orderId"], kind="close").rate_path == "1/USD-JPY bid"
    assert what_the_audit_finds() == []
