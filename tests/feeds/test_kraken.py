"""Kraken's messages, from a real WebSocket server: books, their checksums, and what a heartbeat says of them.

The shapes are those of docs.kraken.com, WebSocket v2: pages "Book" and "Heartbeat", and the guide "Book checksum
(WebSocket v2)", whose worked example is here with its checksum.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise

import pytest

from quotes.feeds import live
from quotes.feeds.sources import Asked, made
from quotes.feeds.venue import Venue
from quotes.feeds.venues.kraken import Book
from tests.feeds.servers import VenueServer, listening, says

# As it is on the wire: JSON numbers, whose last zeros count.
SNAPSHOT = """{"channel":"book","type":"snapshot","data":[{"symbol":"BTC/USD",
"bids":[{"price":45283.5,"qty":0.10000000},{"price":45283.4,"qty":1.54582015},{"price":45282.1,"qty":0.10000000},
{"price":45281.0,"qty":0.10000000},{"price":45280.3,"qty":1.54592586},{"price":45279.0,"qty":0.07990000},
{"price":45277.6,"qty":0.03310103},{"price":45277.5,"qty":0.30000000},{"price":45277.3,"qty":1.54602737},
{"price":45276.6,"qty":0.15445238}],
"asks":[{"price":45285.2,"qty":0.00100000},{"price":45286.4,"qty":1.54571953},{"price":45286.6,"qty":1.54571109},
{"price":45289.6,"qty":1.54560911},{"price":45290.2,"qty":0.15890660},{"price":45291.8,"qty":1.54553491},
{"price":45294.7,"qty":0.04454749},{"price":45296.1,"qty":0.35380000},{"price":45297.5,"qty":0.09945542},
{"price":45299.5,"qty":0.18772827}],"checksum":3310070434}]}"""
HEARTBEAT = '{"channel":"heartbeat"}'
STATUS = (
    '{"channel":"status","type":"update","data":[{"version":"2.0.0","system":"online","api_version":"v2",'
    '"connection_id":12834581230}]}'
)
HALTS = [STATUS.replace("online", system) for system in ("maintenance", "cancel_only", "post_only")]
NO_PRICE = ("0", "0")


def levels(text: str) -> list[dict]:
    return json.loads(text, parse_float=Decimal)


def the_book(*changes: tuple[str, str]) -> Book:
    """The example's, after these changes of bids and asks."""
    data = json.loads(SNAPSHOT, parse_float=Decimal)["data"][0]
    book = Book()
    book.change(data["bids"], data["asks"])
    for bids, asks in changes:
        book.change(levels(bids), levels(asks))
    return book


def update(bids: str = "[]", asks: str = "[]", checksum: int | None = None) -> str:
    found = the_book((bids, asks)).checksum() if checksum is None else checksum
    return (
        f'{{"channel":"book","type":"update","data":[{{"symbol":"BTC/USD","bids":{bids},"asks":{asks},'
        f'"checksum":{found},"timestamp":"2023-10-06T17:35:55.440295Z"}}]}}'
    )


@pytest.fixture
def server() -> Iterator[VenueServer]:
    running = VenueServer()
    yield running
    running.stop()


@pytest.fixture
def venue(server: VenueServer, settings: object, monkeypatch: pytest.MonkeyPatch) -> Venue:
    settings.KRAKEN_URL = server.url
    monkeypatch.setattr(live, "FIRST_PAUSE_SECONDS", 0.05)
    return made(Asked("kraken", lambda kinds: ["BTC-USD", "ETH-USD"], dict, 1, 0.25))


def test_the_documented_example_has_the_documented_checksum():
    assert the_book().checksum() == 3310070434


def test_a_book_keeps_the_best_ten_forgets_what_is_gone_and_the_digits_of_now():
    book = the_book(
        ('[{"price":45284.0,"qty":0.5}]', '[{"price":45285.2,"qty":0}]'),
        ('[{"price":45284.0,"qty":0.50000000}]', "[]"),
    )

    assert book.best() == (Decimal("45284.0"), Decimal("45286.4"))
    assert len(book._bids) == 10
    assert len(book._asks) == 9
    assert str(book._bids[Decimal("45284.0")]) == "0.50000000"


def test_a_snapshot_and_a_change_of_it_are_ticks(server, venue):
    server.parts = [says(STATUS, SNAPSHOT, HEARTBEAT, then=says(update('[{"price":45284.1,"qty":1.00000000}]')))]

    with listening(venue) as heard:
        heard.until(lambda: ("45284.1", "45285.2") in heard.prices())

    last = heard.ticks[-1]
    assert (last.symbol, last.source, last.at) == ("BTC-USD", "kraken", 1696613755440)
    assert server.asked == [
        [
            {
                "method": "subscribe",
                "params": {"channel": "book", "symbol": ["BTC/USD", "ETH/USD"], "depth": 10, "snapshot": True},
            }
        ]
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        update('[{"price":45284.1,"qty":1.0}]', checksum=1),
        update('[{"price":45284.1,"qty":1.0}]', checksum=-1),
        update().replace('"checksum"', '"sum"'),
        update('[{"price":45284.1,"qty":null}]', checksum=1),
        update('[{"price":"NaN","qty":1}]', checksum=1),
        update().replace("BTC/USD", "ETH/USD"),
    ],
    ids=["another book", "negative", "no checksum", "no size", "no price", "of a book never sent"],
)
def test_a_book_that_is_not_the_venues_has_no_price_any_more_and_is_asked_for_anew(server, venue, wrong):
    """Guard: the checksum, and that a change which can't be read is a gap. Else a wrong book goes on."""
    server.parts = [says(SNAPSHOT, then=lambda connection: (time.sleep(0.2), says(wrong)(connection))), says(SNAPSHOT)]

    with listening(venue) as heard:
        heard.until(lambda: len(server.asked) == 2 and heard.prices()[-1] != NO_PRICE)

    best = ("45283.5", "45285.2")
    assert heard.prices() == [best, NO_PRICE, best]
    assert venue.health.gaps == 1


def test_what_was_not_changed_is_told_again_while_anything_comes(server, venue, monkeypatch):
    """Guard: `_confirmed`. Else a quiet market's price grows too old, though the venue would have said a change."""
    monkeypatch.setattr(live, "CONFIRM_SECONDS", 0.2)

    def beats(connection: object) -> None:
        for _ in range(20):
            time.sleep(0.05)
            connection.send(HEARTBEAT)

    server.parts = [says(SNAPSHOT, then=beats)]

    with listening(venue) as heard:
        heard.until(lambda: len(heard.ticks) >= 4)

    assert set(heard.prices()) == {("45283.5", "45285.2")}
    times = [tick.came for tick in heard.ticks]
    assert all(0.2 <= later - before < 1 for before, later in pairwise(times))


def test_a_symbol_that_is_not_traded_there_is_told_and_the_others_go_on(server, venue, caplog):
    refused = {
        "error": "Currency pair not supported ETH/USD",
        "method": "subscribe",
        "success": False,
        "symbol": "ETH/USD",
        "time_in": "2023-09-25T09:04:31.742599Z",
        "time_out": "2023-09-25T09:04:31.742648Z",
    }
    server.parts = [says(refused, SNAPSHOT)]

    with listening(venue) as heard:
        heard.until(lambda: heard.ticks)

    assert "kraken: Currency pair not supported ETH/USD" in [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize("halt", HALTS, ids=["maintenance", "cancel_only", "post_only"])
def test_while_nothing_is_matched_there_is_no_price(server, venue, caplog, halt):
    """Guard: `system`. Else the last price before a halt is told as of now as long as heartbeats come."""
    caplog.set_level("INFO", "feed")
    halted = says(halt, *[HEARTBEAT] * 5)
    server.parts = [
        says(STATUS, SNAPSHOT, then=lambda connection: (time.sleep(0.2), halted(connection))),
        says(halt, SNAPSHOT, HEARTBEAT),
        says(STATUS, SNAPSHOT),
    ]

    with listening(venue) as heard:
        heard.until(lambda: len(server.asked) == 3 and heard.prices()[-1] != NO_PRICE)

    best = ("45283.5", "45285.2")
    assert heard.prices() == [best, NO_PRICE, best]
    assert venue.health.gaps == 0
    said = [record.getMessage() for record in caplog.records if "kraken" in record.getMessage()]
    system = json.loads(halt)["data"][0]["system"]
    assert said == ["kraken: connected", f"kraken: the venue is {system}; trying again", "kraken: connected"]


def test_an_empty_side_is_no_price(server, venue):
    empty = '{"channel":"book","type":"snapshot","data":[{"symbol":"BTC/USD","bids":[],"asks":[],"checksum":0}]}'
    server.parts = [says(empty)]

    with listening(venue) as heard:
        heard.until(lambda: heard.ticks)

    assert heard.prices() == [NO_PRICE]


@pytest.mark.parametrize("garbage", ["", SNAPSHOT[:-40], b"\x80", '{"channel":"book","type":"snapshot","data":7}'])
def test_garbage_takes_the_prices_away_and_they_are_asked_for_anew(server, venue, garbage):
    """Guard: garbage is a gap where what was not changed is confirmed: it could have been a change of any book."""
    broken = says(garbage, *[HEARTBEAT] * 5)
    server.parts = [says(SNAPSHOT, then=lambda connection: (time.sleep(0.2), broken(connection))), says(SNAPSHOT)]

    with listening(venue) as heard:
        heard.until(lambda: len(server.asked) == 2 and heard.prices()[-1] != NO_PRICE)

    best = ("45283.5", "45285.2")
    assert heard.prices() == [best, NO_PRICE, best]
    assert venue.health.garbage == 1
