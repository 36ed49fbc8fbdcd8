"""The simulated market, and the process that publishes it whatever happens around it."""

from __future__ import annotations

import csv
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from brokerage.stack.valkey import Valkey
from quotes.feeds.outage import LONGEST_PAUSE_SECONDS, Outage
from quotes.feeds.simulator import Simulator, SimulatorTerms, quoted, step
from quotes.prices import parsed

BTC = SimulatorTerms(Decimal(42350), Decimal(2), Decimal(5), 2)
EUR = SimulatorTerms(Decimal("1.0875"), Decimal(2), Decimal(1), 5)
MANAGE = str(Path(__file__).parents[2] / "manage.py")
OWNER = os.environ.get("MIGRATION_DATABASE_URL") or os.environ["DATABASE_URL"]


def walk(seed: int, terms: dict[str, SimulatorTerms], batches: int) -> list[list[tuple[str, Decimal, Decimal]]]:
    """So many batches of a simulator that never waits."""
    simulator = Simulator(lambda: terms, seed, 0.25)
    return [[tuple(tick)[:3] for tick in batch] for batch in islice(simulator.batches(lambda seconds: False), batches)]


# --- the walk --------------------------------------------------------------------------------------


def test_the_same_seed_walks_the_same_way_and_another_seed_another_way():
    assert walk(7, {"BTC-USD": BTC}, 50) == walk(7, {"BTC-USD": BTC}, 50)
    assert walk(7, {"BTC-USD": BTC}, 50) != walk(8, {"BTC-USD": BTC}, 50)


def test_a_new_instrument_changes_no_other_ones_walk():
    alone = walk(7, {"BTC-USD": BTC}, 50)
    joined = walk(7, {"EUR-USD": EUR, "BTC-USD": BTC}, 50)

    assert [batch[0] for batch in alone] == [batch[1] for batch in joined]


def test_the_first_price_stands_around_the_starting_price_with_the_instruments_spread():
    ((symbol, bid, ask),) = walk(7, {"BTC-USD": BTC}, 1)[0]

    assert (symbol, bid, ask) == ("BTC-USD", Decimal("42339.41"), Decimal("42360.59"))  # 5 bps, rounded outward


def test_the_walk_moves_but_does_not_drift_away():
    middles = [(bid + ask) / 2 for ((_, bid, ask),) in walk(7, {"BTC-USD": BTC}, 20_000)]

    assert len(set(middles)) > 1_000
    assert max(abs(middle - BTC.start) for middle in middles) < BTC.start * Decimal("0.05")


@given(
    st.decimals("0.000000000000000001", "99999999999999999999", places=18),
    st.decimals(0, 500, places=3),
    st.integers(0, 18),
)
def test_whatever_the_terms_a_bid_is_above_zero_and_not_above_the_ask(mid, spread, decimals):
    bid, ask = quoted(mid, SimulatorTerms(mid, Decimal(2), spread, decimals))

    assert 0 < bid <= ask
    assert ask >= mid
    assert bid <= mid or bid == Decimal(1).scaleb(-decimals)


def test_a_walk_is_held_within_half_and_twice_its_start():
    wild = SimulatorTerms(Decimal(100), Decimal(10_000), Decimal(5), 2)

    assert step(Decimal(190), Decimal(1), wild) == 200
    assert step(Decimal(51), Decimal(-1), wild) == 50


def test_a_venue_ends_as_soon_as_its_pause_says_stop():
    asked: list[float] = []

    def pause(seconds: float) -> bool:
        asked.append(seconds)
        return len(asked) == 3

    assert len(list(Simulator(lambda: {"BTC-USD": BTC}, 7, 0.25).batches(pause))) == 3
    assert asked == [0.25, 0.25, 0.25]


# --- a server that is away -------------------------------------------------------------------------


def test_an_outage_is_logged_once_paused_longer_and_longer_and_its_end_is_logged(caplog):
    now = [100.0]
    outage = Outage("Redis", lambda: now[0])
    assert not outage.lasts

    with caplog.at_level(logging.INFO, "feed"):
        pauses = []
        for _ in range(6):
            outage.failed(ConnectionError("refused\nat length"))
            assert outage.lasts
            pauses.append(outage.pause_seconds)
            now[0] += outage.pause_seconds
            assert not outage.lasts
        outage.worked()
        outage.worked()

    assert pauses == [0.25, 0.5, 1, 2, 2, 2]
    assert pauses[-1] == LONGEST_PAUSE_SECONDS
    assert [record.getMessage() for record in caplog.records] == [
        "Redis is away, trying on: refused",
        "Redis is back",
    ]


# --- the process -----------------------------------------------------------------------------------


class Running:
    """A real `manage.py run_feed` with a database and a Valkey of its own."""

    def __init__(self, database: str, valkey: Valkey, log: Path, *options: str) -> None:
        self.valkey, self.log = valkey, log
        servers = {"DATABASE_URL": database, "REDIS_URL": valkey.url, "STREAM_URL": valkey.url}
        self.process = subprocess.Popen(
            [sys.executable, MANAGE, "run_feed", "--seed", "7", "--tick-ms", "50", *options],
            env=os.environ | servers | {"FEED_CANDLE_FILES": str(log.parent / "candles")},
            stdout=log.open("wb"),
            stderr=subprocess.STDOUT,
        )

    def published(self) -> str | None:
        """The latest price as it stands in Redis, with its time."""
        with redis.Redis.from_url(self.valkey.url, decode_responses=True) as client:
            return client.hget("prices", "BTC-USD")

    def lines(self) -> list[str]:
        return self.log.read_text().splitlines()


def soon(wanted: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if wanted():
                return
        except redis.RedisError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s")


@pytest.fixture(scope="module")
def markets_database(django_db_setup: None, django_db_blocker: object) -> Iterator[str]:
    """A database that may be shut for a while without disturbing the other tests."""
    url = OWNER
    name = f"feed_{os.getpid()}"
    own = urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}"')
    for app in ("accounts", "quotes"):
        subprocess.run(
            [sys.executable, MANAGE, "migrate", app, "-v0"], env=os.environ | {"DATABASE_URL": own}, check=True
        )
    keeps_hours(own, "EUR-USD", "always")
    keeps_hours(own, "XAU-USD", "always")
    yield own
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def keeps_hours(database: str, symbol: str, name: str) -> None:
    with psycopg.connect(database) as owner:
        owner.execute("UPDATE quotes_instrument SET trading_hours_id = %s WHERE symbol = %s", [name, symbol])


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    server = Valkey(tmp_path / "valkey", say=lambda line: None)
    server.data.mkdir()
    server.start()
    yield server
    server.stop(1)


@pytest.fixture
def feed(markets_database: str, valkey: Valkey, tmp_path: Path) -> Iterator[Running]:
    running = Running(markets_database, valkey, tmp_path / "feed.log")
    try:
        soon(running.published)
        yield running
    finally:
        running.process.kill()
        running.process.wait()


def count_updates(database: str) -> int:
    with psycopg.connect(database) as reader:
        return reader.execute("SELECT coalesce(sum(trade_count), 0) FROM quotes_candle").fetchone()[0]


@contextmanager
def shut(database: str, others: str) -> Iterator[None]:
    """PostgreSQL as good as away for this one database: connections are cut, new ones refused."""
    name = urlsplit(database).path[1:]
    with psycopg.connect(others, autocommit=True) as server:
        server.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        try:
            yield
        finally:
            server.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')


def test_the_feed_publishes_sound_prices_of_every_instrument_says_one_line_and_stops(feed):
    with redis.Redis.from_url(feed.valkey.url, decode_responses=True) as client:
        prices = parsed(client.hgetall("prices"))
    assert set(prices) == {
        *("BTC-USD", "ETH-USD", "SOL-USD", "EUR-USD", "XAU-USD", "USD-JPY", "EUR-GBP", "GBP-USD", "ETH-BTC")
    }

    feed.process.send_signal(signal.SIGTERM)

    assert feed.process.wait(60) == 0
    assert feed.lines() == ["INFO    feed: running: simulator, seed 7, a tick every 50 ms, epoch 1"]


def test_what_is_said_of_a_closed_market_is_no_price(markets_database, valkey, tmp_path):
    """Guards: `_due` without what rests, and `forget_refused`: the price refused last would hold up the opening."""
    another_day = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")[(datetime.now(UTC).weekday() + 3) % 7]
    with psycopg.connect(markets_database) as owner:
        owner.execute(
            "INSERT INTO quotes_tradinghours (name, time_zone, sessions, calendar, closed_days, pre_open_minutes)"
            " VALUES ('another-day', 'UTC', %s, '', '', 0)",
            [f"{another_day} 09:00-10:00"],
        )
    keeps_hours(markets_database, "EUR-USD", "another-day")
    stood = "1.0874|1.0876|1700000000000"
    with redis.Redis.from_url(valkey.url, decode_responses=True) as client:
        client.hset("prices", mapping={"EUR-USD": stood})
        client.hset("prices:refused", mapping={"EUR-USD": "9.5|9.6|1700000000001"})
        running = Running(markets_database, valkey, tmp_path / "feed.log")
        try:
            soon(running.published)
            first = running.published()
            soon(lambda: running.published() != first)
            assert (client.hget("prices", "EUR-USD"), client.hget("prices:refused", "EUR-USD")) == (stood, None)
            assert "INFO    feed: EUR-USD: closed" in running.lines()

            keeps_hours(markets_database, "EUR-USD", "always")
            soon(lambda: client.hget("prices", "EUR-USD") != stood)
        finally:
            keeps_hours(markets_database, "EUR-USD", "always")
            running.process.kill()
            running.process.wait()


def test_the_feed_writes_its_last_candles_when_it_is_stopped(feed, markets_database):
    before = count_updates(markets_database)
    time.sleep(0.3)

    feed.process.send_signal(signal.SIGINT)
    feed.process.wait(60)

    assert count_updates(markets_database) > before


def test_the_feed_stops_even_when_redis_hangs(feed):
    feed.valkey.process.signal(signal.SIGSTOP)
    try:
        time.sleep(0.2)
        feed.process.send_signal(signal.SIGTERM)
        feed.process.wait(60)
    finally:
        feed.valkey.process.signal(signal.SIGCONT)


def test_the_feed_outlives_redis_and_publishes_again_by_itself(feed):
    feed.valkey.stop(1)
    soon(lambda: any("Redis is away" in line for line in feed.lines()))
    time.sleep(1)
    assert feed.process.poll() is None

    feed.valkey.start()

    soon(feed.published)
    soon(lambda: any("Redis is back" in line for line in feed.lines()))
    assert len(feed.lines()) == 3


def test_the_feed_outlives_postgresql_publishes_meanwhile_and_loses_no_candle(feed, markets_database):
    soon(lambda: count_updates(markets_database) > 0)
    with shut(markets_database, OWNER):
        soon(lambda: any("PostgreSQL is away" in line for line in feed.lines()))
        stood = feed.published()
        soon(lambda: feed.published() != stood, 2)
    before = count_updates(markets_database)

    soon(lambda: any("PostgreSQL is back" in line for line in feed.lines()))
    soon(lambda: count_updates(markets_database) > before)
    assert len(feed.lines()) == 3


def test_each_price_is_counted_once_where_a_feed_is_killed_in_the_middle_of_a_minute(
    markets_database, valkey, tmp_path
):
    """Guard: `_recover_candles`. The record has what was said; a kill may come between saying and gathering."""
    with psycopg.connect(markets_database, autocommit=True) as writer:
        writer.execute("DELETE FROM quotes_candle")
    record = tmp_path / "ticks.csv"
    for _ in range(2):
        killed = Running(markets_database, valkey, tmp_path / "killed.log", "--record", str(record))
        soon(killed.published)
        time.sleep(1.3)
        killed.process.kill()
        killed.process.wait()
    last = Running(markets_database, valkey, tmp_path / "last.log", "--record", str(record))
    soon(lambda: any("a feed that was killed" in line for line in last.lines()))
    files = tmp_path / "candles"
    for _ in range(5):  # on a busy machine a feed that stops leaves what it has gathered to the next one
        soon(lambda: len(list(files.iterdir())) <= 1)  # its own
        last.process.send_signal(signal.SIGTERM)
        assert last.process.wait(60) == 0
        if not list(files.iterdir()):
            break
        last = Running(markets_database, valkey, tmp_path / "last.log", "--record", str(record))
        soon(last.published)

    said: dict[str, list[Decimal]] = {}
    for row in csv.DictReader(record.open()):
        said.setdefault(row["symbol"], []).append((Decimal(row["bid"]) + Decimal(row["ask"])) / 2)
    with psycopg.connect(markets_database) as reader:
        found = reader.execute(
            "SELECT instrument_id, sum(trade_count), max(high), min(low) FROM quotes_candle GROUP BY 1"
        ).fetchall()
    assert {symbol for symbol, *_ in found} == set(said)
    for symbol, count, high, low in found:
        assert len(said[symbol]) - 3 <= count <= len(said[symbol]), symbol  # at most the one in hand of each feed
        assert high <= max(said[symbol])
        assert low >= min(said[symbol])
    assert sum(count for _, count, _, _ in found) > 100
    assert list(files.iterdir()) == []


def test_a_held_price_is_published_and_recorded_instead_of_the_walk(feed, markets_database):
    environ = os.environ | {"DATABASE_URL": markets_database, "REDIS_URL": feed.valkey.url}
    command = [sys.executable, MANAGE, "set_price", "xau", "3000", "3001", "--json"]
    answer = subprocess.run(command, env=environ, capture_output=True, check=True).stdout
    assert json.loads(answer) == {"symbol": "XAU-USD", "held": True, "bid": 3000, "ask": 3001}

    def highest() -> Decimal:
        with psycopg.connect(markets_database) as reader:
            return reader.execute("SELECT max(high) FROM quotes_candle WHERE instrument_id = 'XAU-USD'").fetchone()[0]

    soon(lambda: highest() == Decimal("3000.5"), 5)
    with redis.Redis.from_url(feed.valkey.url, decode_responses=True) as client:
        assert client.hget("prices", "XAU-USD").startswith("3000|3001|")


def test_a_jump_is_told_once_stays_out_of_prices_and_candles_and_counts_once_accepted(
    feed, markets_database, valkey, tmp_path
):
    """The venue, started anew, says a hundred times the price."""

    def starts_at(price: int) -> None:
        with psycopg.connect(markets_database) as writer:
            writer.execute("UPDATE quotes_instrument SET simulator_price = %s WHERE symbol = 'SOL-USD'", [price])

    def highest() -> Decimal:
        with psycopg.connect(markets_database) as reader:
            return reader.execute("SELECT max(high) FROM quotes_candle WHERE instrument_id = 'SOL-USD'").fetchone()[0]

    def price_in(key: str) -> Decimal:
        with redis.Redis.from_url(valkey.url, decode_responses=True) as client:
            found = parsed(client.hgetall(key))
        return found["SOL-USD"].mid if "SOL-USD" in found else Decimal(0)

    soon(lambda: price_in("prices"))
    feed.process.send_signal(signal.SIGTERM)
    feed.process.wait(60)
    starts_at(9800)
    try:
        jumping = Running(markets_database, valkey, tmp_path / "jumping.log")
        try:
            soon(lambda: price_in("prices:refused") > 9000)
            time.sleep(1.5)
            assert price_in("prices") < 110
            assert highest() < 110
            assert len([line for line in jumping.lines() if "SOL-USD" in line]) == 1

            with redis.Redis.from_url(valkey.url) as client:
                client.hset("prices", "SOL-USD", client.hget("prices:refused", "SOL-USD"))  # as accepting does

            soon(lambda: any("SOL-USD: its price counts again" in line for line in jumping.lines()))
            soon(lambda: price_in("prices") > 9000)
            assert price_in("prices:refused") == 0
        finally:
            jumping.process.kill()
            jumping.process.wait()
    finally:
        starts_at(98)
