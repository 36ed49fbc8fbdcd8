"""The feed process: one venue's prices into Redis, their candles into PostgreSQL.

The loop that publishes touches Redis alone, the thread beside it PostgreSQL alone, so neither server's
absence holds up the other's work. Nothing is kept that a restart would miss.
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
import threading
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import redis
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import Error as DatabaseError
from django.db import connection

from quotes import prices, symbols
from quotes.candles import Gatherer
from quotes.feeds.outage import Outage
from quotes.feeds.refusals import Refusals
from quotes.feeds.simulator import Simulator, Terms
from quotes.feeds.venue import Tick, Venue

log = logging.getLogger("feed")

WRITE_SECONDS = 1.0  # between two writings of candles, so a minute is complete a second after its end
STOP_SECONDS = 0.5  # for the last candles; past it they are given up


class Command(BaseCommand):
    help = "Publish prices and record candles, until SIGTERM or SIGINT."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--seed", type=int, default=settings.FEED_SEED, help="The same walk again.")
        parser.add_argument("--tick-ms", type=int, default=settings.FEED_TICK_MILLISECONDS)

    def handle(self, *args: Any, seed: int | None, tick_ms: int, **options: Any) -> None:
        if tick_ms < 1:
            raise CommandError("--tick-ms must be at least 1.")
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: _stop(stop))
        Feed(seed if seed is not None else secrets.randbelow(1_000_000), tick_ms / 1000, stop).run()


def _stop(stop: threading.Event) -> None:
    """Ask both loops to end; a call that hangs in a server that doesn't answer is not waited for."""
    stop.set()
    last = threading.Timer(STOP_SECONDS + 0.3, os._exit, (0,))
    last.daemon = True
    last.start()


class Feed:
    """The two loops and what they share: the instruments' terms and the candles being gathered."""

    def __init__(self, seed: int, tick_seconds: float, stop: threading.Event) -> None:
        self.venue: Venue = Simulator(lambda: self._terms, seed, tick_seconds)
        self._stop = stop
        self._terms: Mapping[str, Terms] = {}
        self._limits: Mapping[str, Decimal] = {}
        self._refusals = Refusals()
        self._candles = Gatherer()
        self._redis = Outage("Redis")
        self._postgres = Outage("PostgreSQL")

    def run(self) -> None:
        log.info("running: %s", self.venue.name)
        keeper = threading.Thread(target=self._keep_books, name="candles", daemon=True)
        keeper.start()
        for batch in self.venue.batches(self._stop.wait):
            self._publish(batch)
        keeper.join(STOP_SECONDS)

    def _publish(self, batch: Sequence[Tick]) -> None:
        """Publish, and gather what then stands there: a held price is recorded, not the one it replaced.

        A refused price is none, so it leaves no trace in the candles either.
        """
        if not batch or self._redis.lasts:
            return
        try:
            faults = prices.publish(batch, limits=self._limits)
            latest = prices.latest().by_symbol
        except redis.RedisError as error:
            self._redis.failed(error)
            return
        self._redis.worked()
        self._refusals.saw(batch, faults)
        self._candles.add(latest[symbol] for symbol, *_ in batch if symbol in latest and symbol not in faults)

    def _keep_books(self) -> None:
        """Read the terms and write the candles, each second and once more at the end."""
        pause = 0.0
        while not self._stop.wait(pause):
            pause = self._touch_database()
        if not self._postgres.lasts:
            self._touch_database()

    def _touch_database(self) -> float:
        """One turn; returns the seconds until the next."""
        try:
            self._limits = jump_limits()  # first: no price is published before both are known
            self._terms = simulated_terms()
            self._candles.write()
        except DatabaseError as error:
            self._postgres.failed(error)
            return self._postgres.pause_seconds
        finally:
            connection.close()
        self._postgres.worked()
        return WRITE_SECONDS


def simulated_terms() -> dict[str, Terms]:
    """The simulator's terms of every instrument. The inactive stay priced: their positions can be closed."""
    return {
        symbol: Terms(row.simulator_price, row.simulator_step_bps, row.spread_bps, row.price_decimals)
        for symbol, row in symbols.instruments().items()
    }


def jump_limits() -> dict[str, Decimal]:
    """How far each instrument's price may jump, in percent of the one before."""
    return {symbol: row.jump_limit_percent for symbol, row in symbols.instruments().items()}
