"""The feed before three live venues of 500 symbols each: how many ticks become prices, and how old those are when read.

    .venv/bin/python -m benchmarks feed

Two sources are Coinbase's tickers and one is Kraken's books, from two more processes on the same machine, so what these
take of it is in the figures. The feed is the product's own process; prices are read as the engine reads them.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import NamedTuple

import psycopg

from benchmarks.results import Row, percentile
from benchmarks.system import CHECKOUT, System, superuser_url
from benchmarks.venues import symbol

SOURCES = "coinbase,coinbase_2,kraken"


class Sizes(NamedTuple):
    symbols: int
    each_second: float  # how often each venue says each symbol, where ages are measured
    seconds: float


FULL = Sizes(500, 2, 20)
SMALL = Sizes(50, 2, 4)


def measure(system: System, sizes: Sizes = FULL) -> list[Row]:
    from django.db import connection

    _instruments(sizes.symbols)
    with _feed(system, sizes.symbols, 0):
        ticks, prices = _rates(sizes.seconds)
    with _feed(system, sizes.symbols, sizes.each_second):
        oldest, delays = _ages(sizes)
    connection.close()
    one, three = _cost(1), _cost(3)
    told = 3 * sizes.symbols * sizes.each_second
    return [
        Row("feed_ticks_per_s", ticks, "1/s"),
        Row("feed_prices_per_s", prices, "1/s"),
        Row("feed_age_told_per_s", told, "1/s"),
        Row("feed_age_p50_ms", percentile(oldest, 50), "ms"),
        Row("feed_age_p99_ms", percentile(oldest, 99), "ms"),
        Row("feed_delay_p50_ms", percentile(delays, 50), "ms"),
        Row("feed_delay_p99_ms", percentile(delays, 99), "ms"),
        Row("composite_us_1", one, "µs"),
        Row("composite_us_3", three, "µs", "composite_us_1", three / one),
    ]


# As BTC and BTC-USD are, but for their names. Assets are the tables' owner's to make.
_ASSETS = """
INSERT INTO accounts_asset
SELECT (jsonb_populate_record(a, jsonb_build_object('code', new, 'name', new))).*
FROM accounts_asset a CROSS JOIN unnest(%s::text[]) AS new WHERE a.code = 'BTC' ON CONFLICT DO NOTHING
"""
_INSTRUMENTS = """
INSERT INTO quotes_instrument
SELECT (jsonb_populate_record(i, jsonb_build_object(
    'symbol', new || '-USD', 'name', new, 'base_asset_id', new))).*
FROM quotes_instrument i CROSS JOIN unnest(%s::text[]) AS new WHERE i.symbol = 'BTC-USD' ON CONFLICT DO NOTHING
"""


def _instruments(count: int) -> None:
    names = [symbol(number).partition("-")[0] for number in range(count)]
    with psycopg.connect(superuser_url()) as owner:
        owner.execute(_ASSETS, [names])
        owner.execute(_INSTRUMENTS, [names])


@contextlib.contextmanager
def _feed(system: System, symbols: int, each_second: float) -> Iterator[None]:
    """The product's feed before three venues, once each has said everything."""
    from quotes import prices

    started: list[subprocess.Popen[str]] = []

    def venue(kind: str) -> str:
        command = [sys.executable, "-m", "benchmarks.venues", kind, str(symbols), str(each_second)]
        started.append(subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True))
        assert started[-1].stdout is not None
        return f"ws://127.0.0.1:{started[-1].stdout.readline().strip()}"

    urls = {"COINBASE_URL": venue("coinbase"), "KRAKEN_URL": venue("kraken")}
    environment = {**os.environ, **system.environment, **urls, "FEED_SOURCES": SOURCES}
    started.append(subprocess.Popen([sys.executable, "manage.py", "run_feed"], cwd=CHECKOUT, env=environment))
    try:
        give_up = time.monotonic() + 120
        while sum(len(price.sources) == 3 for price in prices.latest().by_symbol.values()) < symbols * 0.9:
            if time.monotonic() > give_up:
                raise RuntimeError("the feed did not tell all symbols of three sources")
            time.sleep(0.5)
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()
        prices.forget()


def _rates(seconds: float) -> tuple[float, float]:
    """Messages read from the sockets, and prices that became the latest, a second."""
    before, began = _counts(), time.monotonic()
    time.sleep(seconds)
    after, took = _counts(), time.monotonic() - began
    return (after[0] - before[0]) / took, (after[1] - before[1]) / took


def _counts() -> tuple[int, int]:
    from django.db.models import Sum

    from quotes import source_health
    from quotes.models import Candle

    _, sources = source_health.read()
    gaps = sum(source.counts["gaps"] + source.counts["garbage"] for source in sources.values())
    if gaps:
        raise RuntimeError(f"{gaps} gaps")
    return (
        sum(source.counts["messages"] for source in sources.values()),
        Candle.objects.aggregate(all=Sum("trade_count"))["all"] or 0,
    )


def _ages(sizes: Sizes) -> tuple[list[float], list[float]]:
    """Milliseconds by which prices are old as they are read; and, of those that are new since the reading before, how
    long ago the source that was last spoke."""
    from quotes import prices

    ages: list[float] = []
    delays: list[float] = []
    known: dict[str, prices.Price] = {}
    until = time.monotonic() + sizes.seconds
    while time.monotonic() < until:
        latest = prices.latest()
        for symbol_, price in latest.by_symbol.items():
            ages.append((latest.now - price.at).total_seconds() * 1000)
            if known.get(symbol_, price).made_of != price.made_of:
                last = max(said.at for said in price.sources)
                delays.append((latest.now - last).total_seconds() * 1000)
        known = dict(latest.by_symbol)
        time.sleep(0.01)
    return ages, delays


def _cost(sources: int) -> float:
    """Microseconds of a core for a tick, from what a source said to the price of so many, in one thread."""
    from quotes.feeds.composite import CompositeTerms
    from quotes.feeds.market import Market
    from quotes.feeds.venue import VenueTick

    market, terms = Market(), {"BTC-USD": CompositeTerms(price_decimals=2, markup_bps=Decimal(3))}
    names = [f"source_{number}" for number in range(sources)]

    def tick(number: int) -> Sequence[VenueTick]:
        bid = Decimal(42000 + number % 9)
        return [VenueTick("BTC-USD", bid, bid + 5, number / 1000, names[number % sources], 10**12 + number)]

    ticks = [tick(number) for number in range(20_000)]
    began = time.thread_time()
    for number, batch in enumerate(ticks):
        now = 10**12 + number
        market.take(batch, lambda came: 10**12 + round(came * 1000), now)
        market.told(["BTC-USD"], terms, lambda came: 10**12 + round(came * 1000), now)
    return (time.thread_time() - began) / len(ticks) * 1e6
