"""The feed process: what its sources say, as one price each symbol into Redis, their candles into PostgreSQL.

The loop that publishes touches Redis alone, the threads beside it PostgreSQL alone, so neither server's
absence holds up the other's work. Nothing is kept that a restart would miss. One feed publishes; others stand by.
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
import sys
import threading
from argparse import ArgumentParser
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import redis
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError
from django.db import Error as DatabaseError
from django.db import connection

from accounts import clock, holders, metrics
from accounts.clock import uptime
from accounts.heartbeat import Heartbeat
from accounts.management.output import Job
from accounts.timestamps import from_milliseconds
from quotes import prices, source_health, symbols
from quotes.candle_files import CandleFiles
from quotes.candles import Gatherer, recover
from quotes.feeds import sources
from quotes.feeds.composite import CompositeTerms, composite_terms_of
from quotes.feeds.inbox import Inbox, endless
from quotes.feeds.lease import LOOK_SECONDS, PublisherLease, PublisherLeaseLost
from quotes.feeds.market import Market, Told
from quotes.feeds.outage import Outage
from quotes.feeds.recorder import Recorder
from quotes.feeds.redis_time import RedisTime
from quotes.feeds.refusals import Refusals
from quotes.feeds.simulator import SimulatorTerms
from quotes.feeds.venue import Pause, Venue, VenueTick
from quotes.hours import NEVER_CLOSES, MarketHours
from quotes.judging import Fault, PriceLimits
from quotes.prices import HoldState, Price, held_at
from quotes.selectors import hold_states
from quotes.services import limits_of

log = logging.getLogger("feed")

WRITE_SECONDS = 1.0  # between two writings of candles, so a minute is complete a second after its end
SILENT_SECONDS = 5.0  # without a price that Redis took: then the lease runs out, and a standby may try
WAIT_SECONDS = 0.05  # until this feed may publish, and Redis is there
HEALTH_SECONDS = 1.0
SWITCH_SECONDS = 0.0005  # busy sources must not keep Python's lock from the loop that publishes for long
QUIET_SECONDS = 0.5  # without anything from any source
RECOVER_SECONDS = 60.0  # until candles that a killed feed left, and that couldn't be written, are tried again
STOP_SECONDS = 0.5  # for the last candles; past it they are given up


class Command(Job):
    help = "Publish prices and record candles, until SIGTERM or SIGINT."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--seed", type=int, default=settings.FEED_SEED, help="The same walk again.")
        parser.add_argument("--tick-ms", type=int, default=settings.FEED_TICK_MILLISECONDS)
        parser.add_argument("--record", type=Path, metavar="FILE", help="Append what each source says, as CSV.")

    def handle(self, *args: Any, seed: int | None, tick_ms: int, record: Path | None, **options: Any) -> None:
        if tick_ms < 1:
            raise CommandError("--tick-ms must be at least 1.")
        stop = threading.Event()
        try:
            feed = Feed(seed if seed is not None else secrets.randbelow(1_000_000), tick_ms / 1000, stop, record=record)
        except (sources.UnknownSource, ImproperlyConfigured, OSError) as error:
            raise CommandError(str(error)) from error
        if not settings.SANDBOX and any(name.startswith("simulator") for name in settings.FEED_SOURCES):
            log.warning("prices are simulated: name a market in FEED_SOURCES")
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: _stop(stop))
        metrics.serve("feed")
        feed.heart.watch()
        feed.run()


def _stop(stop: threading.Event) -> None:
    """Ask both loops to end; a call that hangs in a server that doesn't answer is not waited for."""
    stop.set()
    last = threading.Timer(STOP_SECONDS + 0.3, os._exit, (0,))
    last.daemon = True
    last.start()


class Feed:
    """The loops and what they share: who publishes, the instruments' terms and holds, the candles being gathered."""

    def __init__(self, seed: int, tick_seconds: float, stop: threading.Event, *, record: Path | None = None) -> None:
        """Raises sources.UnknownSource, ImproperlyConfigured, OSError."""
        self.heart = Heartbeat("the feed")
        self._stop = stop
        self._terms: Mapping[str, SimulatorTerms] = {}
        self._kinds: Mapping[str, str] = {}
        self._composite_terms: Mapping[str, CompositeTerms] = {}
        self._limits: Mapping[str, PriceLimits] = {}
        self._hours: Mapping[str, MarketHours] = {}
        self._resting: set[str] = set()
        self._just_closed: set[str] = set()
        self._hold_states: Mapping[str, HoldState] = {}
        self._seen_holds: Mapping[str, int] = {}
        self.sources: Sequence[Venue] = [
            sources.made(sources.Asked(name, self._symbols_of, lambda: self._terms, seed, tick_seconds))
            for name in settings.FEED_SOURCES
        ]
        self._recorder = None if record is None else Recorder(record)
        self._market = Market(settings.FEED_SOURCES, settings.FEED_WEIGHTS)
        self._due: set[str] = set()
        self._health_told_at = 0.0
        self._refusals = Refusals()
        self._candle_files = CandleFiles(settings.FEED_CANDLE_FILES)
        self._candles = Gatherer(self._candle_files)
        self._recovers_at: float | None = 0.0  # None: nothing is left
        self._time = RedisTime()
        self._lease_keeper = LeaseKeeper("; ".join(source.name for source in self.sources))
        self._redis = Outage("Redis")
        self._postgres = Outage("PostgreSQL")

    def _symbols_of(self, kinds: Collection[str]) -> list[str]:
        return [symbol for symbol, kind in self._kinds.items() if kind in kinds]

    def run(self) -> None:
        threads = [
            threading.Thread(target=self._lease_keeper.keep, args=(self._stop,), name="lease", daemon=True),
            threading.Thread(target=self._sync_with_database, name="candles", daemon=True),
        ]
        for thread in threads:
            thread.start()
        if len(self.sources) == 1 and self.sources[0].waits:
            while self._lease_keeper.epoch is None and not self._rest(WAIT_SECONDS):
                pass  # on standby nothing is asked of a source that waits: so none of a replay's ticks is lost
            for batch in self._recorded(self.sources[0], self._rest):
                self._publish(batch)
        else:
            self._publish_what_comes()
        for thread in threads:
            thread.join(STOP_SECONDS / len(threads))

    def _publish_what_comes(self) -> None:
        """While this feed may not publish, or Redis is away, the newest waits in the inbox."""
        sys.setswitchinterval(SWITCH_SECONDS)
        inbox = Inbox()
        inbox.fill(self.sources, self._recorded, self._stop.wait)
        while not self._stop.is_set():
            self.heart.beat()
            if self._lease_keeper.epoch is None or self._redis.lasts:
                self._stop.wait(WAIT_SECONDS)
            else:
                self._publish(inbox.take(QUIET_SECONDS))

    def _rest(self, seconds: float) -> bool:
        """The pause of a source that waits in the loop itself."""
        self.heart.beat(rests=seconds)
        return self._stop.wait(seconds)

    def _recorded(self, source: Venue, pause: Pause) -> Iterator[Sequence[VenueTick]]:
        for batch in endless(source, pause):
            if self._recorder is not None and batch:
                try:
                    self._recorder.write(batch)
                except OSError as error:  # a full disk stops no trading
                    log.error("recording ends: %s", error)
                    self._recorder = None
            yield batch

    def _publish(self, batch: Sequence[VenueTick]) -> None:
        """Publish, and gather what then stands there: a held price is recorded, not the one it replaced.

        A refused price is none, so it leaves no trace in the candles either. Nor does what Redis says and neither this
        feed nor PostgreSQL has said: by candles the prices in Redis are judged. Where nothing came nothing is
        published, which says that this feed and Redis are there.
        """
        epoch = self._lease_keeper.epoch
        if epoch is None or self._redis.lasts:
            return
        try:
            self._forget_what_was_refused()
            told = self._told(batch)
            published = self._publish_ticks(told.ticks, epoch)
        except prices.Fenced as fenced:
            self._lease_keeper.was_refused(fenced.stood)
            return
        except redis.RedisError as error:
            self._redis.failed(error)
            return
        self._due.clear()
        self._tell_health()
        self._redis.worked()
        self._lease_keeper.has_published()
        self._seen_holds = {**self._seen_holds, **published.holds}
        self._refusals.saw(told.ticks, published.faults)
        said = {tick.symbol: tick for tick in told.ticks}
        stands = published.stands.values()
        ours = (price for price in stands if self._is_ours(price, said.get(price.symbol)))
        self._candles.add(ours, from_milliseconds(published.now))

    def _tell_health(self) -> None:
        """Once a second. What goes wrong here is met by the next publishing."""
        if uptime() - self._health_told_at < HEALTH_SECONDS:
            return
        self._health_told_at = uptime()
        at = self._time.of(self._health_told_at)
        told = {}
        for name, source in zip(settings.FEED_SOURCES, self.sources, strict=True):
            last = source.health.last_message
            told[name] = asdict(source.health) | {
                "at": at,
                "last_message": None if last is None else self._time.of(last),
            }
        with suppress(redis.RedisError):
            source_health.tell(told)

    def _told(self, batch: Sequence[VenueTick]) -> Told:
        """What there is to publish. The symbols stay due until it is. Raises redis.RedisError."""
        if not self._time.is_known:
            asked = uptime()
            self._time.read(prices.clock(), asked)
        if not self._time.is_known:
            raise redis.TimeoutError("its clock took too long to read")
        now = self._time.of(uptime())
        refused = self._market.take(batch, self._time.of, now)
        self._due.update(tick.symbol for tick in batch)
        self._due -= {symbol for symbol in self._due if not self._has_prices(symbol)}
        told = self._market.told(self._due, self._composite_terms, self._time.of, now)
        for tick in batch:
            if tick.bid or tick.ask:  # else the source says itself that it has none, and its log why
                self._tell_faults(tick, refused, told)
        return told

    def _has_prices(self, symbol: str) -> bool:
        """Whether its market is open, or about to be: what is said of a closed one is no price."""
        return self._hours.get(symbol, NEVER_CLOSES).state_at(clock.about_firm_now()).has_prices

    def _forget_what_was_refused(self) -> None:
        """A market that has closed may open anywhere: a price refused in its last minutes holds up no opening.

        Raises redis.RedisError.
        """
        if self._just_closed:
            prices.forget_refused(self._just_closed)
            self._just_closed = set()

    def _tell_faults(self, tick: VenueTick, refused: Mapping[tuple[str, str], Fault], told: Told) -> None:
        """What became of it: as its source's word, and as its symbol's price where there is none."""
        by = (tick.symbol, tick.source)
        name = f"{tick.symbol} of {tick.source}" if tick.source else tick.symbol
        self._refusals.saw_one(name, tick.bid, tick.ask, refused.get(by) or told.left_out.get(by))
        if tick.symbol in told.faults:
            self._refusals.saw_one(tick.symbol, tick.bid, tick.ask, told.faults[tick.symbol])

    def _publish_ticks(self, ticks: Sequence[prices.PriceTick], epoch: int) -> prices.Published:
        """With them the holds of which no source says anything. Raises Fenced, redis.RedisError."""
        said = {tick.symbol for tick in ticks}
        asked = uptime()
        as_of = self._time.of(asked)
        held = {symbol: as_of for symbol, state in self._hold_states.items() if state.price and symbol not in said}
        published = prices.publish_ticks(ticks, self._limits, self._hold_states, epoch, held)
        self._time.read(published.now, asked)
        return published

    def _is_ours(self, price: Price, said: prices.PriceTick | None) -> bool:
        """Whether it is what this feed has just said, or held by the last row of its symbol."""
        if not price.is_held:
            return said is not None and (price.bid, price.ask) == (said.bid, said.ask)
        state = self._hold_states.get(price.symbol)
        return state is not None and (state.number, state.price) == (price.hold, held_at(price.bid, price.ask))

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
            self._see_who_rests(clock.firm_now())
            rows = symbols.instruments()
            self._limits = {symbol: limits_of(row) for symbol, row in rows.items()}
            self._composite_terms = {symbol: composite_terms_of(row) for symbol, row in rows.items()}
            self._kinds = {symbol: row.base_asset.type for symbol, row in rows.items()}
            self._terms = simulated_terms()  # last: no price is published before all of it is known
            self._recover_candles()
            self._candles.write()
        except DatabaseError as error:
            self._postgres.failed(error)
            return self._postgres.pause_seconds
        finally:
            connection.close()
        self._postgres.worked()
        return WRITE_SECONDS

    def _see_who_rests(self, at: datetime) -> None:
        self._hours = symbols.market_hours()
        resting = {symbol for symbol, hours in self._hours.items() if not hours.state_at(at).has_prices}
        for symbols_, what in ((resting - self._resting, "closed"), (self._resting - resting, "has prices again")):
            if symbols_:
                log.info("%s: %s", ", ".join(sorted(symbols_)), what)
        self._just_closed |= resting - self._resting
        self._resting = resting

    def _recover_candles(self) -> None:
        """What was gathered here by a feed that was killed: once, and again later while any of it can't be."""
        if self._recovers_at is None or uptime() < self._recovers_at:
            return
        self._recovers_at = uptime() + RECOVER_SECONDS
        try:
            recovered = recover(self._candle_files)
        except OSError as error:
            log.error("candles of a feed that was killed can't be read: %s", error)
            return
        if recovered.batches:
            log.info("candles of a feed that was killed: %s batches", recovered.batches)
        if not recovered.failed:
            self._recovers_at = None


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
