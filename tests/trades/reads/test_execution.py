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
from quotes.models import Instrument
from quotes.services import hold_price
from tests.given import a_customer, price_at, token_of
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


def converted(path: str, currency: str, **rate: object) -> dict[str, object]:
    found = [one.rpartition(" ") for one in path.split(" * ")]
    return {
        "currency": currency,
        "accountCurrency": "USD",
        **rate,
        "prices": [{"symbol": one.strip("1/"), "side": side, "inverse": one[:2] == "1/"} for one, _, side in found],
    }


def test_a_deal_tells_its_rate_its_prices_with_their_sides_and_its_time(alice: Customer) -> None:
    """Direct, inverse and a cross; of what is counted in dollars, none."""
    for symbol, bid, ask in (("USD-JPY", "115.00", "115.05"), ("EUR-GBP", "0.85", "0.86"), ("EUR-USD", "1.08", "1.09")):
        price_at(symbol, bid, ask)
    price_at("GBP-USD", "1.2696", "1.2698")
    yen = opens(alice, symbol="USD-JPY", quantity="1000", leverage=100)
    price_at("USD-JPY", "115.65", "115.70")
    yen = closes(alice, yen)
    pounds = opens(alice, symbol="EUR-GBP", quantity="1000", leverage=100)
    Instrument.objects.filter(pk="GBP-USD").delete()
    symbols.forget()
    crossed = opens(alice, symbol="EUR-GBP", quantity="1000", leverage=100)
    price_at("BTC-USD", "42000", "42010")

    found = [deal["conversion"] for order in (yen, pounds, crossed) for deal in asked(alice, order.code)["deals"]]

    times = [one.pop("time") for one in found]
    assert found == [
        converted("1/USD-JPY bid", "JPY", rate=Decimal("0.008695652173913043"), multiplier=1, divisor=115),
        converted("1/USD-JPY ask", "JPY", rate=Decimal("0.008643042350907519"), multiplier=1, divisor=Decimal("115.7")),
        converted("GBP-USD ask", "GBP", rate=Decimal("1.2698"), multiplier=Decimal("1.2698"), divisor=1),
        converted(
            "1/EUR-GBP bid * EUR-USD ask",
            "GBP",
            rate=Decimal("1.282352941176470588"),
            multiplier=Decimal("1.09"),
            divisor=Decimal("0.85"),
        ),
    ]
    assert times[0] < times[1]
    assert asked(alice, opens(alice).code)["deals"][0]["conversion"] is None


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
