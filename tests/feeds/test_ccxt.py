"""The source that asks an exchange again and again, through the library ccxt, from a real HTTP server: Bitstamp's API.

The shapes are those of bitstamp.net/api, v2: "Market info" (`/markets/`), "Tickers" (`/ticker/`) and "Order book"
(`/order_book/{market_symbol}/`). The package is an extra, so `make test` passes these by; `make extras` runs them.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from quotes.feeds.sources import Asked, UnknownSource, made
from quotes.feeds.venue import VenueTick
from quotes.feeds.venues import ccxt as polled
from tests.feeds.servers import JsonServer, listening

MARKETS, TICKERS = "/gateway/api/v2/markets/", "/gateway/api/v2/ticker/"
BOOK = "/gateway/api/v2/order_book/ethusd/"
EXACT = "26208.123456789012345678"


def asked(name: str = "ccxt_bitstamp") -> Asked:
    return Asked(name, lambda kinds: ["BTC-USD", "ETH-USD", "SOL-USD"] if "crypto" in kinds else [], dict, 1, 0.25)


def market(name: str, *, trading: str = "Enabled") -> dict[str, object]:
    """The documentation's example, of this pair."""
    base, counter = name.split("/")
    return {
        "name": name,
        "market_symbol": f"{base}{counter}".lower(),
        "base_currency": base,
        "base_decimals": 8,
        "counter_currency": counter,
        "counter_decimals": 0,
        "minimum_order_value": "10",
        "trading": trading,
        "instant_order_counter_decimals": 2,
        "instant_and_market_orders": "Enabled",
        "description": name.replace("/", " / "),
        "market_type": "SPOT",
    }


def ticker(pair: str, bid: str | None, ask: str | None, **more: object) -> dict[str, object]:
    """The same of a ticker, with these numbers."""
    said = {
        "timestamp": "1686068944",
        "high": "26252",
        "last": "26216",
        "bid": bid,
        "vwap": "25681",
        "volume": "3563.13819902",
        "low": "25350",
        "ask": ask,
        "open": "25730",
        "open_24": "25895",
        "percent_change_24": "1.24",
        "pair": pair,
    }
    return said | more


@pytest.fixture
def exchange(settings: Any) -> Iterator[JsonServer]:
    pytest.importorskip("ccxt", reason="an extra package: make extras")
    answers = {
        MARKETS: [market("BTC/USD"), market("ETH/USD")],
        TICKERS: [ticker("BTC/USD", EXACT, "26211"), ticker("ETH/USD", "1800.5", "1801")],
    }
    server = JsonServer(answers)
    settings.CCXT_URL, settings.CCXT_SECONDS = f"{server.url}/gateway/", 0.05
    yield server
    server.stop()


def newest(ticks: list[VenueTick], symbol: str) -> VenueTick | None:
    return next((tick for tick in reversed(ticks) if tick.symbol == symbol), None)


def test_the_documented_ticker_is_a_price_with_every_digit_and_the_exchanges_time(exchange):
    """Guard: `number: str`; as the float that the library reads by itself the last digits are gone."""
    venue = made(asked())

    with listening(venue) as heard:
        heard.until(lambda: newest(heard.ticks, "ETH-USD"))

    tick = newest(heard.ticks, "BTC-USD")
    assert tick[1:3] == (Decimal(EXACT), Decimal(26211))
    assert (tick.source, tick.at) == ("ccxt_bitstamp", 1686068944000)
    assert venue.health.is_connected
    assert set(exchange.asked) == {MARKETS, TICKERS}


def test_what_the_exchange_does_not_list_is_said_once_and_left_out(exchange, caplog):
    with listening(made(asked())) as heard:
        heard.until(lambda: len(exchange.asked) > 5)

    assert newest(heard.ticks, "SOL-USD")[1:3] == (0, 0)  # no price, said once
    assert [tick.symbol for tick in heard.ticks].count("SOL-USD") == 1
    said = [record.getMessage() for record in caplog.records if "doesn't trade" in record.getMessage()]
    assert said == ["ccxt_bitstamp: doesn't trade SOL/USD"]


def test_a_market_that_is_no_longer_traded_has_no_price(exchange, monkeypatch):
    """Guard: `active` in `_is_traded`, and that what is newly left out is told as no price."""
    monkeypatch.setattr(polled, "MARKETS_SECONDS", 0.0)
    with listening(made(asked())) as heard:
        heard.until(lambda: newest(heard.ticks, "ETH-USD"))
        exchange.answers[MARKETS] = [market("BTC/USD"), market("ETH/USD", trading="Disabled")]
        heard.until(lambda: newest(heard.ticks, "ETH-USD").bid == 0)
        heard.until(lambda: len(exchange.asked) > 12)

    assert newest(heard.ticks, "ETH-USD").bid == 0
    assert newest(heard.ticks, "BTC-USD").bid == Decimal(EXACT)


def test_a_ticker_without_bid_or_ask_is_looked_up_in_the_book(exchange):
    exchange.answers[TICKERS] = [ticker("BTC/USD", EXACT, "26211"), ticker("ETH/USD", None, None)]
    exchange.answers[BOOK] = {
        "timestamp": "1643643584",
        "microtimestamp": "1643643584684047",
        "bids": [["999.10", "1.5"], ["1000.20", "2"]],
        "asks": [["1000.90", "0.5"]],
    }

    with listening(made(asked())) as heard:
        heard.until(lambda: newest(heard.ticks, "ETH-USD"))

    assert newest(heard.ticks, "ETH-USD")[1:3] == (Decimal("1000.2"), Decimal("1000.9"))
    assert newest(heard.ticks, "ETH-USD").at == 1643643584684


@pytest.mark.parametrize(
    "ticks",
    [
        [ticker("BTC/USD", EXACT, "26211")],
        [ticker("BTC/USD", EXACT, "26211"), ticker("ETH/USD", "NaN", "1801")],
        [ticker("BTC/USD", EXACT, "26211"), ticker("ETH/USD", "-1", "1801")],
        [ticker("BTC/USD", EXACT, "26211"), ticker("ETH/USD", "1e400", "1801")],
        [ticker("BTC/USD", EXACT, "26211"), ticker("ETH/USD", "0.0", "0.0")],
    ],
    ids=["left out", "not a number", "below zero", "beyond all numbers", "zero"],
)
def test_one_symbol_without_a_sound_price_takes_no_other_with_it(exchange, ticks):
    exchange.answers[BOOK] = {"timestamp": "1643643584", "microtimestamp": "1643643584684047", "bids": [], "asks": []}
    with listening(made(asked())) as heard:
        heard.until(lambda: newest(heard.ticks, "ETH-USD"))
        exchange.answers[TICKERS] = ticks
        before = len(exchange.asked)
        heard.until(lambda: len(exchange.asked) > before + 4)

    assert not newest(heard.ticks, "ETH-USD").bid > 0
    assert newest(heard.ticks, "BTC-USD").bid == Decimal(EXACT)


@pytest.mark.parametrize("answer", [(500, "oh no"), (200, "<html>"), {"bids": [[]], "asks": 7}, [7]])
def test_an_order_book_that_cannot_be_had_takes_no_other_price_with_it(exchange, answer):
    """Guard: `_troubles` in `_tick`. Without it the exchange is away as long as one of its books is."""
    exchange.answers[TICKERS] = [ticker("BTC/USD", EXACT, "26211"), ticker("ETH/USD", None, None)]
    exchange.answers[BOOK] = answer
    venue = made(asked())

    with listening(venue) as heard:
        heard.until(lambda: newest(heard.ticks, "ETH-USD"))

    assert newest(heard.ticks, "ETH-USD")[1:3] == (0, 0)
    assert newest(heard.ticks, "BTC-USD").bid == Decimal(EXACT)
    assert venue.health.is_connected
    assert (venue.health.garbage > 0, bool(venue.health.trouble)) == (True, True)


def one_by_one(venue: Any) -> None:
    """As the library has it of an exchange that tells no tickers together."""
    venue._exchange.has["fetchTickers"] = False


def test_of_an_exchange_that_is_asked_for_each_ticker_one_takes_no_other_with_it(exchange, caplog):
    """Guard: `_troubles` in `_each_ticker`; and where there is none at all the exchange is away."""
    exchange.answers[f"{TICKERS}btcusd/"] = ticker("BTC/USD", EXACT, "26211")
    exchange.answers[f"{TICKERS}ethusd/"] = (500, "oh no")
    venue = made(asked())
    one_by_one(venue)

    with listening(venue) as heard:
        heard.until(lambda: newest(heard.ticks, "ETH-USD"))
        assert newest(heard.ticks, "ETH-USD")[1:3] == (0, 0)
        assert newest(heard.ticks, "BTC-USD").bid == Decimal(EXACT)
        assert venue.health.is_connected

        exchange.answers[f"{TICKERS}btcusd/"] = (500, "oh no")
        heard.until(lambda: not venue.health.is_connected)
    assert sum("trying again" in record.getMessage() for record in caplog.records) == 1


@pytest.mark.parametrize("answer", [(500, "oh no"), (403, "<html>not from there</html>")])
def test_a_list_of_markets_that_cannot_be_read_again_leaves_the_one_before(exchange, monkeypatch, caplog, answer):
    """Guard: `_list_anew`. Without it there is no price until the list is there again."""
    monkeypatch.setattr(polled, "MARKETS_SECONDS", 0.0)
    venue = made(asked())
    with listening(venue) as heard:
        heard.until(lambda: newest(heard.ticks, "BTC-USD"))
        exchange.answers[MARKETS] = answer
        before = len(exchange.asked)
        heard.until(lambda: exchange.asked[before:].count(MARKETS) > 3)
        told = len(heard.ticks)
        heard.until(lambda: len(heard.ticks) > told + 4)

    assert newest(heard.ticks, "BTC-USD").bid == Decimal(EXACT)
    assert venue.health.is_connected
    assert sum("what it did before counts" in record.getMessage() for record in caplog.records) == 1


def test_without_a_first_list_the_exchange_is_away(exchange):
    exchange.answers[MARKETS], good = (500, "oh no"), exchange.answers[MARKETS]
    venue = made(asked())
    with listening(venue) as heard:
        heard.until(lambda: venue.health.trouble)
        assert not venue.health.is_connected
        exchange.answers[MARKETS] = good
        heard.until(lambda: newest(heard.ticks, "BTC-USD"))


@pytest.mark.parametrize(
    "answer",
    [
        (500, "oh no"),
        (429, "slow down"),
        (403, "<html>not from there</html>"),
        (200, "<html>maintenance</html>"),
        (200, ""),
        (200, "[{"),
        (200, "7"),
        (200, '[[["deep"]]]'),
        (200, '[{"pair": {"no": "text"}, "bid": []}]'),
    ],
)
def test_an_exchange_that_answers_anything_else_is_away_and_comes_back(exchange, answer):
    """Guard: `_NONSENSE`: the library raises of an odd answer whatever its own code runs into."""
    venue = made(asked())
    with listening(venue) as heard:
        heard.until(lambda: newest(heard.ticks, "BTC-USD"))
        good, exchange.answers[TICKERS] = exchange.answers[TICKERS], answer
        heard.until(lambda: not venue.health.is_connected or newest(heard.ticks, "BTC-USD").bid == 0)
        exchange.answers[TICKERS] = good
        heard.until(lambda: venue.health.is_connected and newest(heard.ticks, "BTC-USD").bid > 0)

    assert heard.failed is None


def test_a_price_without_a_time_is_as_old_as_the_question(exchange, monkeypatch):
    """Guard: `asked_at`. The answer may have been on its way for as long as the question took."""
    exchange.answers[TICKERS] = [ticker("BTC/USD", "1", "2", timestamp=None)]
    venue = made(asked())
    questions: list[float] = []
    asks = venue._tickers
    monkeypatch.setattr(
        venue, "_tickers", lambda names: (questions.append(polled.uptime()), time.sleep(0.2), asks(names))[2]
    )

    with listening(venue) as heard:
        heard.until(lambda: newest(heard.ticks, "BTC-USD"))

    tick = next(tick for tick in heard.ticks if tick.symbol == "BTC-USD")
    assert tick.at is None
    assert tick.came <= questions[0]


def test_an_exchange_that_ccxt_does_not_know_is_no_source(exchange):
    with pytest.raises(ImproperlyConfigured, match="doesn't know the exchange 'bitstump'"):
        made(asked("ccxt_bitstump"))
    with pytest.raises(ImproperlyConfigured, match="name one as in ccxt_bitstamp"):
        made(asked("ccxt"))


def test_without_the_package_it_says_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "ccxt", None)
    with pytest.raises(ImproperlyConfigured, match=r"pip install 'brokerage\[ccxt\]'"):
        made(asked())


def test_other_sources_take_no_name_behind_theirs():
    """Guard: `_NAMED`; a mistyped source must not begin quietly as another one."""
    with pytest.raises(UnknownSource):
        made(asked("coinbase_eu"))
