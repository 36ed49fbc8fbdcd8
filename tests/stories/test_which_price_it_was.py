"""Which price it was, told against the running system: the engine keeps it, the API shows it, the audit believes it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from accounts import json_codec
from tests.given import a_customer, token_of, what_the_audit_finds
from tests.live import Live
from tests.trades.priced import OLDEST, made_of_two

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("live")]


def test_a_trader_asks_at_which_price_an_order_was_opened_and_closed(live: Live) -> None:
    alice = a_customer(with_usd="10_000.00")
    made_of_two("42000", "42010")
    with live.client(token_of(alice)) as trader:
        wanted = {"symbol": "BTC-USD", "type": "sell", "quantity": "0.1", "leverage": 10}
        order = trader.post("/api/v1/trade/create", json=wanted).json()["orderId"]
        made_of_two("41000", "41010")
        assert trader.post("/api/v1/trade/close", json={"orderId": order}).status_code == 200
        said = json_codec.loads(trader.get(f"/api/v1/trade/orders/{order}/execution").content)

    opening, closing = said["deals"]
    assert (opening["side"], opening["price"], opening["mid"]) == ("sell", Decimal(42000), Decimal(42005))
    assert (closing["side"], closing["price"], closing["slippage"]) == ("buy", Decimal(41010), Decimal(5))
    for deal in (opening, closing):
        assert [source["source"] for source in deal["sources"]] == ["coinbase", "kraken_2"]
        assert OLDEST <= deal["priceAgeMs"] < 10_000
    assert what_the_audit_finds() == []
