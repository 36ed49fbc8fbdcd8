"""The real feed process in front of real venue servers: what reaches Redis, and what doesn't.

The faults *late* and *from the future* need a venue's own time, and so they are met here from end to end.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import redis
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection

from brokerage.stack.valkey import Valkey
from quotes.prices import Price, parsed
from tests.feeds.servers import VenueServer
from tests.feeds.test_coinbase import ticker
from tests.feeds.test_kraken import Book, levels
from tests.quotes.test_feeds import MANAGE, markets_database, soon, valkey  # noqa: F401 - fixtures

BTC = "BTC-USD"


class Market:
    """A venue server that goes on saying a price, as of its own clock, until it is told otherwise."""

    def __init__(self, says: Callable[[Market, int], str]) -> None:
        self.server = VenueServer()
        self.server.parts = [self._play]
        self.bid, self.ask = "100.00", "100.10"
        self.ahead = timedelta()
        self.is_silent = False
        self._says = says

    def _play(self, connection: ServerConnection) -> None:
        number = 0
        with suppress(ConnectionClosed):
            while True:
                if self.is_silent:
                    connection.ping()
                else:
                    connection.send(self._says(self, number))
                    number += 1
                time.sleep(0.05)

    @property
    def time(self) -> str:
        return (datetime.now(UTC) + self.ahead).isoformat().replace("+00:00", "Z")


def coinbase(market: Market, number: int) -> str:
    return json.dumps(ticker(number, market.bid, market.ask) | {"timestamp": market.time})


def kraken(market: Market, number: int) -> str:
    bids, asks = (f'[{{"price":{side},"qty":1.0}}]' for side in (market.bid, market.ask))
    book = Book()
    book.change(levels(bids), levels(asks))
    return (
        f'{{"channel":"book","type":"snapshot","data":[{{"symbol":"BTC/USD","bids":{bids},"asks":{asks},'
        f'"checksum":{book.checksum()},"timestamp":"{market.time}"}}]}}'
    )


class Running:
    """A `manage.py run_feed` of its own database and Valkey."""

    def __init__(self, database: str, url: str, log: Path, *options: str, **environ: str) -> None:
        self.url, self.log = url, log
        self.process = subprocess.Popen(
            [sys.executable, MANAGE, "run_feed", *options],
            env=os.environ
            | {"DATABASE_URL": database, "REDIS_URL": url, "STREAM_URL": url, "FEED_CANDLE_FILES": f"{log}.candles"}
            | environ,
            stdout=log.open("wb"),
            stderr=subprocess.STDOUT,
        )

    def price(self, key: str = "prices") -> Price | None:
        with redis.Redis.from_url(self.url, decode_responses=True) as client:
            return parsed(client.hgetall(key)).get(BTC)

    def bid(self) -> str:
        price = self.price()
        return str(price.bid) if price else ""

    def age_seconds(self) -> float:
        return (datetime.now(UTC) - self.price().at).total_seconds()

    def says(self, pattern: str) -> bool:
        return re.search(pattern, self.log.read_text()) is not None


@pytest.fixture
def venues() -> Iterator[tuple[Market, Market]]:
    both = Market(coinbase), Market(kraken)
    yield both
    for market in both:
        market.server.stop()


@pytest.fixture
def run(markets_database: str, valkey: Valkey, tmp_path: Path, venues: tuple[Market, Market]) -> Iterator[Callable]:  # noqa: F811
    started: list[Running] = []

    def start(sources: str, *options: str, **environ: str) -> Running:
        log = tmp_path / f"feed{len(started)}.log"
        urls = {"COINBASE_URL": venues[0].server.url, "KRAKEN_URL": venues[1].server.url}
        started.append(Running(markets_database, valkey.url, log, *options, FEED_SOURCES=sources, **urls, **environ))
        return started[-1]

    yield start
    for running in started:
        running.process.kill()
        running.process.wait()


def test_two_venues_make_one_price_that_names_both_and_one_alone_carries_on(run, venues):
    one, other = venues
    other.bid, other.ask = "100.20", "100.30"
    feed = run("coinbase=3,kraken")

    soon(lambda: feed.bid() == "100.05")
    price = feed.price()
    assert {(said.source, str(said.bid)) for said in price.sources} == {("coinbase", "100.00"), ("kraken", "100.20")}
    assert timedelta() <= price.at - min(said.at for said in price.sources) <= timedelta(seconds=1)

    other.is_silent = True
    soon(lambda: feed.bid() == "100.00", 12)
    assert feed.age_seconds() < 2
    assert [said.source for said in feed.price().sources] == ["coinbase"]

    other.is_silent = False
    one.is_silent = True
    soon(lambda: feed.bid() == "100.20", 12)
    assert feed.age_seconds() < 2


def test_a_price_from_the_future_is_none_and_the_one_before_grows_old(run, venues):
    """Guard: `Market._is_ahead`. Without it the price is told as of now."""
    one, _ = venues
    feed = run("coinbase")
    soon(lambda: feed.bid() == "100.00")

    one.ahead, one.bid, one.ask = timedelta(seconds=30), "101.00", "101.10"
    soon(lambda: feed.says("BTC-USD of coinbase: .* comes from the future"))
    time.sleep(1)
    assert feed.bid() == "100.00"
    assert feed.age_seconds() > 0.9

    one.ahead, one.bid, one.ask = timedelta(), "100.50", "100.60"
    soon(lambda: feed.bid() == "100.50")
    soon(lambda: feed.says("BTC-USD of coinbase: its price counts again"))


def test_a_venue_whose_clock_or_line_is_late_is_as_old_as_it_is(run, venues):
    """Guard: `Market._quoted`. Dated when it came, a price of a minute ago would be traded at."""
    one, _ = venues
    one.ahead = timedelta(seconds=-60)
    feed = run("coinbase")

    soon(lambda: feed.price())
    time.sleep(0.5)
    assert 59 < feed.age_seconds() < 65


def test_a_tick_older_than_the_one_before_changes_nothing(run, venues):
    """Three guards, one behind the other: `is_overtaken` (test_market), `compose` (test_composite), and the script."""
    one, _ = venues
    feed = run("coinbase")
    soon(lambda: feed.bid() == "100.00")

    one.ahead, one.bid = timedelta(seconds=-5), "99.00"
    time.sleep(1)
    assert feed.bid() == "100.00"

    one.ahead = timedelta()
    soon(lambda: feed.bid() == "99.00")


def test_of_two_that_disagree_none_counts_which_is_told_and_so_is_the_end_of_it(run, venues):
    """Guard: `_agreed`. Without it the price is 125, at which nobody buys or sells."""
    _, other = venues
    other.bid, other.ask = "150.00", "150.10"
    feed = run("coinbase,kraken", "--tick-ms", "100")
    soon(lambda: feed.says(r"BTC-USD of kraken: .* is too far from what the other sources say"))
    soon(lambda: feed.says("BTC-USD: .* is not agreed to by as many sources as the instrument wants"))
    stood = feed.bid()
    assert stood in ("", "100.00", "150.00")  # who came first was alone

    other.bid, other.ask = "100.20", "100.30"
    soon(lambda: feed.bid() == "100.10")
    soon(lambda: feed.says("BTC-USD of kraken: its price counts again"))


def test_a_held_price_stays_fresh_while_its_venue_is_silent(run, venues, markets_database):  # noqa: F811
    """Guard: `held` of `publish_ticks`. Without it an operator's price grows too old in the very outage it is for."""
    one, _ = venues
    feed = run("coinbase")
    soon(lambda: feed.bid() == "100.00")
    environ = os.environ | {"DATABASE_URL": markets_database, "REDIS_URL": feed.url, "STREAM_URL": feed.url}

    one.is_silent = True
    subprocess.run([sys.executable, MANAGE, "set_price", BTC, "101", "101.5"], env=environ, check=True)
    try:
        time.sleep(4)
        assert feed.price().is_held
        assert feed.bid() == "101"
        assert feed.age_seconds() < 1.5
    finally:
        subprocess.run([sys.executable, MANAGE, "set_price", BTC, "--release"], env=environ, check=True)


def test_how_the_sources_are_is_told(run, venues):
    one, _ = venues
    feed = run("coinbase,kraken")
    soon(lambda: feed.bid())

    def health(name: str) -> dict:
        with redis.Redis.from_url(feed.url, decode_responses=True) as client:
            return json.loads(client.hget("prices:sources", name) or "{}")

    soon(lambda: health("kraken").get("is_connected") and health("coinbase").get("messages", 0) > 3)
    one.server.stop()
    assert health("kraken")["gaps"] == 0


def test_what_came_is_recorded_and_replayed_to_the_same_prices(run, venues, tmp_path):
    day = tmp_path / "day.csv"
    feed = run("coinbase,kraken", "--record", str(day))
    soon(lambda: day.exists() and len(day.read_text().splitlines()) > 20)
    feed.process.terminate()
    assert feed.process.wait(60) == 0
    with redis.Redis.from_url(feed.url) as client:
        client.flushall()

    again = run("replay", REPLAY_FILE=str(day), REPLAY_SPEED="0")

    soon(lambda: again.bid() == "100.00")
    soon(lambda: again.says("replay: has played all"))
    assert {said.source for said in again.price().sources} == {"coinbase", "kraken"}


@pytest.mark.parametrize(
    ("sources", "why"),
    [
        ("nasdaq", "There is no source 'nasdaq'; there are ccxt, coinbase, kraken, oanda, replay, simulator."),
        ("oanda", "needs OANDA_TOKEN"),
        ("replay", "needs REPLAY_FILE"),
        ("../etc", "can't name a source"),
        ("coinbase=0", "FEED_SOURCES must name"),
        ("coinbase,coinbase", "FEED_SOURCES must name"),
        ("", "FEED_SOURCES must name"),
    ],
)
def test_a_source_that_is_none_or_lacks_something_is_said_in_a_line_and_ends_the_feed(run, sources, why):
    feed = run(sources)

    assert feed.process.wait(20) != 0
    assert why in feed.log.read_text()


def test_a_feed_of_live_venues_stops_when_it_is_told_to(run, venues):
    feed = run("coinbase,kraken")
    soon(lambda: feed.bid())

    feed.process.terminate()

    assert feed.process.wait(60) == 0


def test_the_decimals_and_the_mark_up_are_the_instruments(run, venues, markets_database):  # noqa: F811
    import psycopg

    with psycopg.connect(markets_database) as writer:
        writer.execute("UPDATE quotes_instrument SET markup_bps = 20 WHERE symbol = 'BTC-USD'")
    try:
        feed = run("coinbase")
        soon(lambda: feed.bid() == "99.90")
        assert feed.price().ask == Decimal("100.21")  # 100.10 and a thousandth of it, rounded up
        assert feed.price().sources[0][1:3] == (Decimal("100.00"), Decimal("100.10"))
    finally:
        with psycopg.connect(markets_database) as writer:
            writer.execute("UPDATE quotes_instrument SET markup_bps = 0 WHERE symbol = 'BTC-USD'")
