"""`GET /trade/orders/{id}/execution`: which price it was, beside the sources and the minute's candle."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from accounts import json_codec
from accounts.ids import uuid7
from accounts.models import Customer
from quotes import candles, prices, symbols
from quotes.services import hold_price
from tests.given import a_customer, token_of
from tests.trades.engine_steps import closes, opens, places
from tests.trades.priced import made_of_two
from tests.without_guards import without_guards
from trades.models import Order
from trades.reads.execution import executed

pytestmark = pytest.mark.django_db

PRICED = ("bid", "ask", "spread", "mid", "slippage", "slippageBps", "priceTime", "priceAgeMs", "priceHeld", "sources")


@pytest.fixture
def alice() -> Customer:
    return a_customer(with_usd="100_000.00")


def asked(by: Customer, code: str, end: str = "/execution") -> Any:
    answer = Client(headers={"Authorization": f"Bearer {token_of(by)}"}).get(f"/api/v1/trade/orders/{code}{end}")
    assert answer.status_code == 200, answer.content
    return json_codec.loads(answer.content)


def candle() -> None:
    candles.note(prices.latest().by_symbol["BTC-USD"])


def test_each_deal_is_shown_beside_its_market_its_sources_and_its_minute(alice: Customer) -> None:
    made_of_two("42000", "42010")
    candle()
    order = opens(alice)
    made_of_two("42100", "42110")
    closes(alice, order)

    said = asked(alice, order.code)
    assert {name: said[name] for name in ("orderId", "symbol", "type", "status")} == {
        "orderId": order.code,
        "symbol": "BTC-USD",
        "type": "buy",
        "status": "CLOSED",
    }
    opening, closing = said["deals"]
    assert [opening[name] for name in ("kind", "side", "price", "bid", "ask", "spread", "mid")] == [
        *("open", "buy", Decimal("42010.00"), Decimal("42000.00"), Decimal("42010.00"), Decimal("10.00")),
        Decimal("42005.00"),
    ]
    assert (opening["slippage"], opening["slippageBps"], opening["reason"]) == (
        Decimal("5.00"),
        Decimal("1.1903"),
        None,
    )
    coinbase, kraken = opening["sources"]
    assert (coinbase["source"], coinbase["ask"], coinbase["slippage"]) == (
        "coinbase",
        Decimal("42011.00"),
        Decimal("-1.00"),
    )
    assert (kraken["source"], kraken["ask"], kraken["slippage"], kraken["slippageBps"]) == (
        *("kraken_2", Decimal("42009.00")),
        *(Decimal("1.00"), Decimal("0.238")),
    )
    assert kraken["ageMs"] == opening["priceAgeMs"] == coinbase["ageMs"] + 300
    assert opening["candle"]["close"] == Decimal("42005.00")
    assert [closing[name] for name in ("kind", "side", "price", "slippage", "reason")] == [
        *("close", "sell", Decimal("42100.00"), Decimal("5.00"), "manual")
    ]
    assert [source["slippage"] for source in closing["sources"]] == [Decimal("1.00"), Decimal("-1.00")]
    assert asked(alice, order.code, "/execution/") == said


def test_a_closed_part_shows_its_orders_opening_too_and_a_waiting_order_nothing(alice: Customer) -> None:
    made_of_two("42000", "42010")
    order = opens(alice, quantity="0.3")
    part = closes(alice, order, "0.1")
    waiting = places(alice, "buy limit", "41000")

    assert [(deal["kind"], deal["quantity"]) for deal in asked(alice, part.code)["deals"]] == [
        ("open", Decimal("0.3")),
        ("close", Decimal("0.1")),
    ]
    assert [deal["kind"] for deal in asked(alice, order.code)["deals"]] == ["open"]
    assert asked(alice, waiting.code)["deals"] == []


def test_a_deal_from_before_prices_were_kept_shows_null(alice: Customer) -> None:
    """Guard: `Executed(deal, side, None, None, None)`."""
    made_of_two("42000", "42010")
    order = opens(alice)
    without_guards("trades_deal", "ALTER TABLE trades_deal DROP CONSTRAINT deal_has_its_price")
    nothing = "bid = NULL, ask = NULL, priced_at = NULL, price_age_ms = NULL, sources = NULL"
    without_guards("trades_deal", f"UPDATE trades_deal SET {nothing}")

    (deal,) = asked(alice, order.code)["deals"]
    assert {deal[name] for name in (*PRICED, "candle") if name != "sources"} == {None}
    assert deal["sources"] is None
    assert deal["price"] == Decimal("42010.00")


def test_without_a_candle_of_the_minute_there_is_none_and_a_held_price_says_so(alice: Customer) -> None:
    made_of_two("42000", "42010")
    hold_price(symbols.instrument("BTC-USD"), Decimal(41000), Decimal(41010))
    (deal,) = asked(alice, opens(alice).code)["deals"]
    assert (deal["candle"], deal["priceHeld"], deal["sources"]) == (None, True, [])


def test_somebody_elses_order_and_what_is_none_are_the_same_404_to_the_byte(alice: Customer) -> None:
    """Guard: `self.get_queryset()` in the action: only the one customer's."""
    made_of_two("42000", "42010")
    order = opens(alice)
    stranger = Client(headers={"Authorization": f"Bearer {token_of(a_customer('bob'))}"})
    names = [order.code, "ord_" + uuid7().hex[:16], "ord_1", "x" * 64, "%F0%9F%98%80"]
    answers = [stranger.get(f"/api/v1/trade/orders/{name}/execution{end}") for name in names for end in ("", "/")]
    assert {(answer.status_code, answer.content) for answer in answers} == {(404, b'{"error":"Order not found"}')}
    assert Client().get(f"/api/v1/trade/orders/{order.code}/execution").json() == {"error": "Unauthorized"}


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_it_is_only_read(alice: Customer, method: str) -> None:
    client = Client(headers={"Authorization": f"Bearer {token_of(alice)}"})
    answer = client.generic(method, f"/api/v1/trade/orders/ord_{uuid7().hex[:16]}/execution")
    assert answer.status_code == 405


def test_two_queries_tell_of_an_orders_deals(alice: Customer, django_assert_num_queries: Any) -> None:
    made_of_two("42000", "42010")
    order = Order.objects.get(pk=closes(alice, opens(alice)).pk)
    with django_assert_num_queries(2):
        assert len(executed(order)) == 2
