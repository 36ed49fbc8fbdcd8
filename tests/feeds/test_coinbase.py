"""Coinbase's messages, from a real WebSocket server, with everything that can be wrong with them.

The shapes are those of docs.cdp.coinbase.com: Advanced Trade API, WebSocket, pages "Overview" (subscribing, one channel
a message; errors), "Ticker" and "Heartbeats" (envelope with `sequence_num`, events).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal

import pytest

from quotes.feeds import live
from quotes.feeds.sources import Asked, made
from quotes.feeds.venue import Venue
from tests.feeds.servers import VenueServer, closes, drops, listening, says

NO_PRICE = ("0", "0")


@pytest.fixture
def server() -> Iterator[VenueServer]:
    running = VenueServer()
    yield running
    running.stop()


@pytest.fixture
def venue(server: VenueServer, settings: object, monkeypatch: pytest.MonkeyPatch) -> Venue:
    settings.COINBASE_URL = server.url
    monkeypatch.setattr(live, "FIRST_PAUSE_SECONDS", 0.05)
    return made(Asked("coinbase", lambda kinds: ["BTC-USD", "ETH-USD"], dict, 1, 0.25))


def ticker(number: int, bid: str, ask: str, product: str = "BTC-USD", kind: str = "update", **more: object) -> dict:
    """The documentation's example, with these numbers."""
    return {
        "channel": "ticker",
        "client_id": "",
        "timestamp": "2023-02-09T20:30:37.167359596Z",
        "sequence_num": number,
        "events": [
            {
                "type": kind,
                "tickers": [
                    {
                        "type": "ticker",
                        "product_id": product,
                        "price": "21932.98",
                        "volume_24_h": "16038.28770938",
                        "low_24_h": "21835.29",
                        "high_24_h": "23011.18",
                        "low_52_w": "15460",
                        "high_52_w": "48240",
                        "price_percent_chg_24_h": "-4.15775596190603",
                        "best_bid": bid,
                        "best_bid_quantity": "8000.21",
                        "best_ask": ask,
                        "best_ask_quantity": "8038.07770938",
                    }
                ],
            }
        ],
        **more,
    }


def heartbeat(number: int) -> dict:
    return {
        "channel": "heartbeats",
        "client_id": "",
        "timestamp": "2023-06-23T20:31:56.121961769Z",
        "sequence_num": number,
        "events": [
            {
                "current_time": "2023-06-23 20:31:56.121961769 +0000 UTC m=+91717.525857105",
                "heartbeat_counter": "3049",
            }
        ],
    }


def subscribed(number: int) -> dict:
    return {
        "channel": "subscriptions",
        "client_id": "",
        "timestamp": "2023-02-09T20:33:57.609931463Z",
        "sequence_num": number,
        "events": [{"subscriptions": {"ticker": ["BTC-USD"]}}],
    }


def test_a_documented_ticker_is_a_tick_with_the_venues_own_time_and_every_digit(server, venue):
    server.parts = [says(subscribed(0), heartbeat(1), ticker(2, "21931.980", "21933.98", kind="snapshot"))]

    with listening(venue) as heard:
        heard.until(lambda: heard.ticks)

    (tick,) = heard.ticks
    assert tick[:3] == ("BTC-USD", Decimal("21931.98"), Decimal("21933.98"))
    assert str(tick.bid) == "21931.980"
    assert (tick.source, tick.at) == ("coinbase", 1675974637167)
    assert venue.health.messages == 3


def test_it_subscribes_to_each_channel_and_product_by_a_message_of_its_own(server, venue):
    server.parts = [says(ticker(0, "1", "2"))]

    with listening(venue) as heard:
        heard.until(lambda: heard.ticks and len(server.asked[0]) == 3)

    assert server.asked == [
        [
            {"type": "subscribe", "channel": "heartbeats"},
            {"type": "subscribe", "channel": "ticker", "product_ids": ["BTC-USD"]},
            {"type": "subscribe", "channel": "ticker", "product_ids": ["ETH-USD"]},
        ]
    ]


def test_a_missing_number_is_a_gap_what_was_said_before_counts_no_more_and_it_subscribes_anew(server, venue):
    """Guard: `Coinbase._count`. Without it the price before the gap goes on counting until it is too old."""
    server.parts = [
        says(ticker(0, "100", "101"), then=lambda connection: says(ticker(2, "102", "103"))(connection)),
        says(ticker(0, "104", "105")),
    ]

    with listening(venue) as heard:
        heard.until(lambda: ("104", "105") in heard.prices())

    assert ("102", "103") not in heard.prices()
    if ("100", "101") in heard.prices():  # else both were read at once, and it never counted
        assert heard.prices()[1] == NO_PRICE
    assert venue.health.gaps == 1
    assert [len(asked) for asked in server.asked] == [3, 3]


def test_what_comes_twice_or_out_of_order_counts_once(server, venue):
    """Guard: Repeated. Without it the price goes back to what was overtaken."""
    late = ticker(1, "98", "99")
    server.parts = [says(ticker(0, "100", "101"), ticker(1, "102", "103"), late, ticker(0, "1", "2"), heartbeat(2))]

    with listening(venue) as heard:
        heard.until(lambda: venue.health.messages == 5)

    assert heard.prices()[-1] == ("102", "103")
    assert ("98", "99") not in heard.prices()
    assert (venue.health.repeated, venue.health.gaps) == (2, 0)


@pytest.mark.parametrize(
    "garbage",
    [
        "",
        "{",
        json.dumps(ticker(1, "1", "2"))[:-7],
        b"\xff\xfe\x00",
        b"no text either",
        "[" * 100_000,
        "[]",
        '"text"',
        "NaN",
        '{"channel": "ticker", "sequence_num": NaN}',
        '{"channel": "ticker"}',
        '{"channel": "ticker", "sequence_num": "1"}',
        '{"channel": "ticker", "sequence_num": true}',
        '{"channel": "ticker", "sequence_num": 1.0}',
        '{"channel": "ticker", "sequence_num": ' + "9" * 5000 + "}",
        '{"type": "error"}',
    ],
    ids=range(16),
)
def test_garbage_is_counted_and_read_over(server, venue, garbage):
    server.parts = [says(ticker(0, "100", "101"), garbage, ticker(1, "102", "103"))]

    with listening(venue) as heard:
        heard.until(lambda: ("102", "103") in heard.prices())

    assert venue.health.garbage == 1
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"timestamp": "yesterday"},
        {"timestamp": "2023-02-09T20:30:37"},
        {"timestamp": 1675974637167},
        {"timestamp": "9999-12-31T23:59:59Z"},
        {"events": None},
        {"events": ["ticker"]},
        {"events": [{"tickers": 1}]},
        {"events": [{"tickers": [{"product_id": "BTC-USD", "best_bid": "NaN", "best_ask": "2"}]}]},
        {"events": [{"tickers": [{"product_id": "BTC-USD", "best_bid": "1e99", "best_ask": "2"}]}]},
        {"events": [{"tickers": [{"product_id": ["BTC-USD"], "best_bid": "1", "best_ask": "2"}]}]},
    ],
    ids=range(10),
)
def test_a_ticker_with_anything_wrong_in_it_is_no_tick_and_its_number_counts(server, venue, wrong):
    server.parts = [says(ticker(0, "100", "101"), ticker(1, "1", "2") | wrong, ticker(2, "102", "103"))]

    with listening(venue) as heard:
        heard.until(lambda: ("102", "103") in heard.prices())

    assert (venue.health.garbage, venue.health.gaps) == (1, 0)
    assert ("1", "2") not in heard.prices()


def test_nothing_but_garbage_is_no_connection(server, venue):
    """Guard: MOST_GARBAGE."""
    server.parts = [says(*["{"] * live.MOST_GARBAGE), says(ticker(0, "100", "101"))]

    with listening(venue) as heard:
        heard.until(lambda: heard.ticks)

    assert len(server.asked) == 2


def test_a_message_in_partial_frames_is_one_message(server, venue):
    whole = json.dumps(ticker(0, "100", "101"))
    server.parts = [says([whole[:10], whole[10:200], whole[200:]])]

    with listening(venue) as heard:
        heard.until(lambda: heard.ticks)

    assert heard.prices() == [("100", "101")]


def test_a_venue_that_falls_silent_is_left_and_asked_anew(server, venue, monkeypatch):
    """Guard: SILENT_SECONDS. The server answers pings all the while: a connection alone says nothing."""
    monkeypatch.setattr(live, "SILENT_SECONDS", 0.5)
    server.parts = [says(ticker(0, "100", "101")), says(ticker(0, "102", "103"))]

    with listening(venue) as heard:
        heard.until(lambda: ("102", "103") in heard.prices())

    assert len(server.asked) >= 2


@pytest.mark.parametrize("ends", [closes, drops])
def test_it_comes_back_after_a_closing_handshake_and_after_none(server, venue, ends):
    server.parts = [says(ticker(0, "100", "101"), then=ends), says(ticker(0, "102", "103"))]

    with listening(venue) as heard:
        heard.until(lambda: ("102", "103") in heard.prices())

    assert heard.prices() == [("100", "101"), ("102", "103")]
    assert venue.health.is_connected
    assert venue.health.connections == 2


def test_a_product_that_is_not_traded_there_is_told_once_and_the_others_go_on(server, venue, caplog):
    refused = {"type": "error", "message": "ETH-USD is not a valid product"}
    server.parts = [says(refused, refused, ticker(0, "100", "101"))]

    with listening(venue) as heard:
        heard.until(lambda: heard.ticks)

    told = [record.getMessage() for record in caplog.records if "valid product" in record.getMessage()]
    assert told == ["coinbase: ETH-USD is not a valid product"]


def test_a_product_that_was_not_asked_for_is_read_over_and_one_without_a_side_has_no_price(server, venue):
    server.parts = [says(ticker(0, "1", "2", "DOGE-USD"), ticker(1, "", "101"), ticker(2, "100", "101", "ETH-USD"))]

    with listening(venue) as heard:
        heard.until(lambda: heard.ticks and heard.ticks[-1].symbol == "ETH-USD")

    assert [(tick.symbol, *said) for tick, said in zip(heard.ticks, heard.prices(), strict=True)] == [
        ("BTC-USD", *NO_PRICE),
        ("ETH-USD", "100", "101"),
    ]


def test_pauses_grow_are_spread_and_begin_anew_after_a_connection_that_lasted():
    venue = made(Asked("coinbase", lambda kinds: [], dict, 1, 0.25))

    pauses = [venue._next_pause(0.0) for _ in range(9)]

    for pause, whole in zip(pauses, [0.5, 1, 2, 4, 8, 16, 30, 30, 30], strict=True):
        assert whole / 2 <= pause <= whole
    assert venue._next_pause(live.SETTLED_SECONDS) <= live.FIRST_PAUSE_SECONDS


def test_a_venue_that_is_not_there_is_told_once_and_tried_on(settings, monkeypatch, caplog):
    settings.COINBASE_URL = "ws://127.0.0.1:1"
    monkeypatch.setattr(live, "FIRST_PAUSE_SECONDS", 0.02)
    venue = made(Asked("coinbase", lambda kinds: ["BTC-USD"], dict, 1, 0.25))

    with listening(venue) as heard:
        heard.until(lambda: venue._pause_seconds > 0.05)

    assert len([record for record in caplog.records if "trying again" in record.getMessage()]) == 1
    assert not venue.health.is_connected


def test_a_new_instrument_is_subscribed_to(server, settings):
    settings.COINBASE_URL = server.url
    symbols = ["BTC-USD"]
    venue = made(Asked("coinbase", lambda kinds: list(symbols), dict, 1, 0.25))
    server.parts = [says(ticker(0, "100", "101"))]

    with listening(venue) as heard:
        heard.until(lambda: heard.ticks)
        symbols.append("SOL-USD")
        heard.until(lambda: len(server.asked) == 2 and len(server.asked[1]) == 3)
