"""The feed process: one venue's prices into Redis, their candles into PostgreSQL.

The loop that publishes touches Redis alone, the threads beside it PostgreSQL alone, so neither server's
absence holds up the other's work. Nothing is kept that a restart would miss. One feed publishes; others stand by.
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
import threading
from argparse import ArgumentParser
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import redis
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import Error as DatabaseError
from django.db import connection

from accounts import holders
from accounts.clock import uptime
from quotes import prices, symbols
from quotes.candles import Gatherer
from quotes.feeds.lease import LOOK_SECONDS, PublisherLease, PublisherLeaseLost
from quotes.feeds.outage import Outage
from quotes.feeds.redis_time import RedisTime
from quotes.feeds.refusals import Refusals
from quotes.feeds.simulator import Simulator, SimulatorTerms
from quotes.feeds.venue import Venue, VenueTick
from quotes.judging import PriceLimits
from quotes.prices import HoldState, Price, held_at
from quotes.selectors import hold_states
from quotes.services import limits_of

log = logging.getLogger("feed")

WRITE_SECONDS = 1.0  # between two writings of candles, so a minute is complete a second after its end
SILENT_SECONDS = 5.0  # without a price that Redis took: then the lease runs out, and a standby may try
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
    """The loops and what they share: who publishes, the instruments' terms and holds, the candles being gathered."""

    def __init__(self, seed: int, tick_seconds: float, stop: threading.Event) -> None:
        self.venue: Venue = Simulator(lambda: self._terms, seed, tick_seconds)
        self._stop = stop
        self._terms: Mapping[str, SimulatorTerms] = {}
        self._limits: Mapping[str, PriceLimits] = {}
        self._hold_states: Mapping[str, HoldState] = {}
        self._seen_holds: Mapping[str, int] = {}
        self._refusals = Refusals()
        self._candles = Gatherer()
        self._time = RedisTime()
        self._lease_keeper = LeaseKeeper(self.venue.name)
        self._redis = Outage("Redis")
        self._postgres = Outage("PostgreSQL")

    def run(self) -> None:
        threads = [
            threading.Thread(target=self._lease_keeper.keep, args=(self._stop,), name="lease", daemon=True),
            threading.Thread(target=self._sync_with_database, name="candles", daemon=True),
        ]
        for thread in threads:
            thread.start()
        for batch in self.venue.batches(self._stop.wait):
            self._publish(batch)
        for thread in threads:
            thread.join(STOP_SECONDS / len(threads))

    def _publish(self, batch: Sequence[VenueTick]) -> None:
        """Publish, and gather what then stands there: a held price is recorded, not the one it replaced.

        A refused price is none, so it leaves no trace in the candles either. Nor does what Redis says and neither this
        feed nor PostgreSQL has said: by candles the prices in Redis are judged.
        """
        epoch = self._lease_keeper.epoch
        if not batch or epoch is None or self._redis.lasts:
            return
        try:
            published = self._publish_ticks(batch, epoch)
        except prices.Fenced as fenced:
            self._lease_keeper.was_refused(fenced.stood)
            return
        except redis.RedisError as error:
            self._redis.failed(error)
            return
        self._redis.worked()
        self._lease_keeper.has_published()
        self._seen_holds = published.holds
        self._refusals.saw(batch, published.faults)
        said = {tick.symbol: tick for tick in batch}
        self._candles.add(price for price in published.stands.values() if self._is_ours(price, said[price.symbol]))

    def _is_ours(self, price: Price, said: VenueTick) -> bool:
        """Whether it is what this feed has just said, or held by the last row of its symbol."""
        if not price.is_held:
            return (price.bid, price.ask) == (said.bid, said.ask)
        state = self._hold_states.get(price.symbol)
        return state is not None and (state.number, state.price) == (price.hold, held_at(price.bid, price.ask))

    def _publish_ticks(self, batch: Sequence[VenueTick], epoch: int) -> prices.Published:
        """Each price as of when it came: one that waited, here or on its way, is as old as it is."""
        if not self._time.is_known:
            asked = uptime()
            self._time.read(prices.clock(), asked)
        if not self._time.is_known:
            raise redis.TimeoutError("its clock took too long to read")
        dated = [prices.PriceTick(tick.symbol, tick.bid, tick.ask, self._time.of(tick.came)) for tick in batch]
        asked = uptime()
        published = prices.publish_ticks(dated, self._limits, self._hold_states, epoch)
        self._time.read(published.now, asked)
        return published

    def _sync_with_database(self) -> None:
        """Read the terms and the holds and write the candles, each second and once more at the end."""
        pause = 0.0
        while not self._stop.wait(pause):
            pause = self._sync_once()
        if not self._postgres.lasts:
            self._sync_once()

    def _sync_once(self) -> float:
        """One round; returns the seconds until the next."""
        try:
            self._hold_states = hold_states(self._seen_holds)
            self._limits = {symbol: limits_of(row) for symbol, row in symbols.instruments().items()}
            self._terms = simulated_terms()  # last: no price is published before all of it is known
            self._candles.write()
        except DatabaseError as error:
            self._postgres.failed(error)
            return self._postgres.pause_seconds
        finally:
            connection.close()
        self._postgres.worked()
        return WRITE_SECONDS


class LeaseKeeper:
    """Keeps the publisher lease, in a thread of its own: `epoch` while this feed may publish, else None.

    What the loop reads here is not what stops a feed that was paused: the script looks at the epoch.
    """

    def __init__(self, what: str) -> None:
        self.epoch: int | None = None
        self._what = what
        self._lease = PublisherLease()
        self._stood: int | None = None
        self._published_at = 0.0
        self._waits_for = ""
        self._postgres = Outage("PostgreSQL", is_told=False)  # the other loop says so

    def has_published(self) -> None:
        """Redis took prices: who reaches PostgreSQL and not Redis keeps no other from publishing."""
        self._published_at = uptime()

    def was_refused(self, stood: int) -> None:
        """Redis has seen a higher epoch: publish nothing until PostgreSQL has said whose it is."""
        self._stood, self.epoch = stood, None

    def keep(self, stop: threading.Event) -> None:
        """Take the lease, or wait for it, and say every LOOK_SECONDS that this feed lives; give it back at the end."""
        pause = 0.0
        while not stop.wait(pause):
            pause = self._asked_of_postgres(self._look)
        self.epoch = None
        if self._lease.epoch:
            self._asked_of_postgres(self._lease.give_back)

    def _asked_of_postgres(self, question: Callable[[], None]) -> float:
        try:
            question()
        except DatabaseError as error:
            self._postgres.failed(error)
            return self._postgres.pause_seconds
        finally:
            connection.close()
        self._postgres.worked()
        return LOOK_SECONDS

    def _look(self) -> None:
        stood = self._stood
        try:
            if stood is not None:
                self._lease.rise_above(stood)
                self._stood, self.epoch = None, self._lease.epoch
            elif self.epoch is not None:
                if uptime() - self._published_at < SILENT_SECONDS:
                    self._lease.renew()
            else:
                self._try()
        except PublisherLeaseLost:
            self._stood = self.epoch = None
            self._try()

    def _try(self) -> None:
        holder = self._lease.take()
        if holder is None:
            self.has_published()  # from now on it counts
            self._waits_for, self.epoch = "", self._lease.epoch
            log.info("running: %s, epoch %s", self._what, self._lease.epoch)
        elif holder.name != self._waits_for:
            self._waits_for = holder.name
            since = f" since {holder.since:%Y-%m-%d %H:%M:%S} UTC" if holder.since else ""
            log.info("standby: %s publishes%s", holders.shown(holder.name), since)


def simulated_terms() -> dict[str, SimulatorTerms]:
    """The simulator's terms of every instrument. The inactive stay priced: their positions can be closed."""
    return {
        symbol: SimulatorTerms(row.simulator_price, row.simulator_step_bps, row.spread_bps, row.price_decimals)
        for symbol, row in symbols.instruments().items()
    }
