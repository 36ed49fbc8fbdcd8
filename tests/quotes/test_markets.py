"""The public markets API, as a browser without any token sees it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.contrib.staticfiles import finders

from accounts import json_codec
from quotes import prices, symbols
from quotes.candles import Gatherer
from quotes.models import Instrument
from quotes.prices import Price

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def fresh_start():
    prices.forget()
    symbols.forget()
    yield
    prices.forget()
    symbols.forget()


def get(client, path: str, **query: object):
    answer = client.get(path, query)
    return answer.status_code, json_codec.loads(answer.content)


# --- supportedAssets -------------------------------------------------------------------------------


def test_the_supported_assets_tell_everything_a_client_must_know_to_place_an_order(client):
    status, assets = get(client, "/api/v1/supportedAssets")

    assert status == 200
    assert [asset["symbol"] for asset in assets] == [
        *("BTC-USD", "ETH-BTC", "ETH-USD", "EUR-GBP", "EUR-USD", "GBP-USD", "SOL-USD", "USD-JPY", "XAU-USD")
    ]
    assert assets[0] == {
        "symbol": "BTC-USD",
        "name": "Bitcoin",
        "imageUrl": "http://testserver/static/assets/btc.svg",
        "baseAsset": "BTC",
        "counterAsset": "USD",
        "decimals": 2,
        "quantityDecimals": 8,
        "minQuantity": Decimal("0.00001"),
        "maxQuantity": 1000,
        "leverageCap": 100,
        "retailLeverageCap": None,
        "leverageTiers": [],
        "hedgedMargin": "full",
        "leastDistance": 0,
        "priceAgeLimitSeconds": 10,
        "priceJumpLimit": 50,
        "priceSpreadLimit": 5,
        "swapLong": Decimal("-2.5"),
        "swapShort": Decimal("-0.5"),
        "swapTripleWeekday": None,
        "tradingHours": "always",
        "marketState": "open",
        "stateUntil": None,
        "nextOpening": None,
    }
    assert {name: assets[4][name] for name in ("swapLong", "swapShort", "swapTripleWeekday")} == {
        "swapLong": Decimal("-0.6"),
        "swapShort": Decimal("0.2"),
        "swapTripleWeekday": "Wednesday",
    }


def test_every_supported_asset_has_its_picture(client):
    _, assets = get(client, "/api/v1/supportedAssets/")

    for asset in assets:
        assert finders.find(asset["imageUrl"].partition("/static/")[2]), asset["imageUrl"]


def test_an_instrument_that_is_switched_off_is_not_offered(client):
    Instrument.objects.filter(symbol="SOL-USD").update(is_active=False)

    _, assets = get(client, "/api/v1/supportedAssets")

    assert "SOL-USD" not in [asset["symbol"] for asset in assets]


# --- prices/latest ---------------------------------------------------------------------------------


def test_the_latest_prices_are_exact_numbers_with_their_time(client):
    prices.publish([("EUR-USD", Decimal("1.0875"), Decimal("1.08761"))])
    at = prices.latest().by_symbol["EUR-USD"].at

    answer = client.get("/api/v1/prices/latest")

    stamp = json_codec.timestamp(at)
    assert answer.status_code == 200
    assert answer.content.decode() == (
        f'{{"data":[{{"symbol":"EUR-USD","bid":1.08750,"ask":1.08761,"time":"{stamp}"}}]}}'
    )


def test_without_any_fresh_price_the_feed_is_down(client):
    down = (503, {"error": "Prices are temporarily unavailable"})
    assert get(client, "/api/v1/prices/latest") == down

    prices.publish([("BTC-USD", Decimal(100), Decimal(101))], at=datetime.now(UTC) - timedelta(seconds=30))
    assert get(client, "/api/v1/prices/latest/") == down


def test_a_stale_price_is_left_out_beside_fresh_ones(client):
    prices.publish([("BTC-USD", Decimal(100), Decimal(101))], at=datetime.now(UTC) - timedelta(seconds=30))
    prices.publish([("ETH-USD", Decimal("9.9"), Decimal(10))])

    _, answer = get(client, "/api/v1/prices/latest")

    assert [price["symbol"] for price in answer["data"]] == ["ETH-USD"]


# --- candles ---------------------------------------------------------------------------------------


@pytest.fixture
def three_minutes():
    gatherer = Gatherer()
    gatherer.add(
        Price("BTC-USD", Decimal(mid) - 1, Decimal(mid) + 1, NOON + timedelta(minutes=minute, seconds=second))
        for minute, second, mid in ((0, 0, "100"), (0, 30, "100.5"), (1, 0, "102"), (2, 0, "99"))
    )
    gatherer.write()


@pytest.mark.usefixtures("three_minutes")
def test_candles_are_answered_under_the_canonical_symbol(client):
    status, answer = get(
        client, "/api/v1/candles", symbol="btcusdt", interval="1m", **{"from": "2026-03-02T12:00:00.0000000Z"}, limit=2
    )

    assert status == 200
    assert answer["to"] > answer["from"] == "2026-03-02T12:00:00.000Z"
    del answer["to"]
    assert answer == {
        "symbol": "BTC-USD",
        "interval": "1m",
        "from": "2026-03-02T12:00:00.000Z",
        "count": 2,
        "data": [
            {
                "time": "2026-03-02T12:00:00.000Z",
                "open": 100,
                "high": Decimal("100.5"),
                "low": 100,
                "close": Decimal("100.5"),
                "volume": 0,
                "tradeCount": 2,
            },
            {
                "time": "2026-03-02T12:01:00.000Z",
                "open": 102,
                "high": 102,
                "low": 102,
                "close": 102,
                "volume": 0,
                "tradeCount": 1,
            },
        ],
    }


@pytest.mark.usefixtures("three_minutes")
def test_from_is_inclusive_to_is_exclusive_and_offsets_are_understood(client):
    _, answer = get(
        client,
        "/api/v1/candles/",
        symbol="BTC",
        interval="1m",
        **{"from": "2026-03-02T13:01:00+01:00", "to": "2026-03-02T12:02:00"},
    )

    assert [candle["time"] for candle in answer["data"]] == ["2026-03-02T12:01:00.000Z"]


def test_an_instrument_without_candles_has_an_empty_list(client):
    status, answer = get(client, "/api/v1/candles", symbol="BTC", interval="1d")

    assert (status, answer["count"], answer["data"]) == (200, 0, [])


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ({}, "Missing required parameters: symbol, interval"),
        ({"symbol": "BTC"}, "Missing required parameters: symbol, interval"),
        ({"symbol": "DOGE", "interval": "1m"}, "There is no such symbol."),
        ({"symbol": "BTC", "interval": "2m"}, "Interval must be one of: 1m, 5m, 15m, 30m, 1h, 4h, 1d"),
        ({"symbol": "BTC", "interval": "1m", "limit": "0"}, "Limit must be between 1 and 1000"),
        ({"symbol": "BTC", "interval": "1m", "limit": "1001"}, "Limit must be between 1 and 1000"),
        ({"symbol": "BTC", "interval": "1m", "limit": "-1"}, "Limit must be between 1 and 1000"),
        ({"symbol": "BTC", "interval": "1m", "limit": "٣"}, "Limit must be between 1 and 1000"),
        ({"symbol": "BTC", "interval": "1m", "limit": "9" * 500}, "Limit must be between 1 and 1000"),
        ({"symbol": "BTC", "interval": "1m", "from": "yesterday"}, "'from' must be an ISO 8601 time"),
        ({"symbol": "BTC", "interval": "1m", "from": "2026-02-30"}, "'from' must be an ISO 8601 time"),
        ({"symbol": "BTC", "interval": "1m", "from": "0001-01-01T00:00:00+10:00"}, "'from' must be an ISO 8601 time"),
        ({"symbol": "BTC", "interval": "1m", "to": "9999-12-31T23:59:59-10:00"}, "'to' must be an ISO 8601 time"),
        (
            {"symbol": "BTC", "interval": "1m", "from": "2026-03-03", "to": "2026-03-02"},
            "'from' must not be after 'to'",
        ),
    ],
)
def test_a_bad_parameter_is_named_with_400(client, query, error):
    assert get(client, "/api/v1/candles", **query) == (400, {"error": error})


def test_the_markets_answer_without_a_token_and_refuse_to_be_written(client):
    for path in ("/api/v1/supportedAssets", "/api/v1/prices/latest", "/api/v1/candles"):
        assert client.post(path, {}, content_type="application/json").status_code == 405
