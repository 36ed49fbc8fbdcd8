"""The state of the whole as Prometheus' metrics: what `run_exporter` answers. Each look is at the servers themselves.

A part whose server is away is missing, and `brokerage_part_up` of it 0; the others are told.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Final

import redis
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connections
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from accounts import clock, streams
from accounts.clock import uptime
from brokerage.observe import health, state

log = logging.getLogger(__name__)

KEPT_SECONDS: Final = 5.0  # two that ask at the same time cost one look

Found = Iterable[Metric]


class Exporter(Collector):
    """One look at a time; whoever asks within KEPT_SECONDS of the last gets what that one found."""

    def __init__(self, kept_seconds: float = KEPT_SECONDS) -> None:
        self._lock = threading.Lock()
        self._kept_seconds = kept_seconds
        self._found: list[Metric] = []
        self._at = 0.0

    def describe(self) -> Iterator[Metric]:
        """Nothing: registering it asks no server."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        with self._lock:
            if not self._found or uptime() - self._at >= self._kept_seconds:
                self._found, self._at = _look(), uptime()
            return iter(self._found)


def _look() -> list[Metric]:
    up = _gauge("brokerage_part_up", "Whether this part of the state could be asked.", ["part"])
    found: list[Metric] = [up]
    try:
        try:
            real, now = clock.both()
        except DatabaseError as away:
            log.warning("PostgreSQL: %s", str(away).partition("\n")[0])
            up.add_metric(["postgresql"], 0)
            return [*found, *_of_redis()]
        up.add_metric(["postgresql"], 1)
        for name, part in PARTS.items():
            try:
                found += part(real, now)
                up.add_metric([name], 1)
            except (DatabaseError, redis.RedisError) as away:
                log.warning("%s: %s", name, str(away).partition("\n")[0])
                up.add_metric([name], 0)
    finally:
        connections.close_all()
    return found + list(_of_redis())


def _gauge(name: str, what: str, labels: Iterable[str] = ()) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, what, labels=tuple(labels))


def _one(name: str, what: str, value: float) -> Metric:
    return GaugeMetricFamily(name, what, value=value)


def _processes(real: datetime, _: datetime) -> Found:
    leases = _gauge("brokerage_engine_lease_age_seconds", "Since the partition's engine last lived.", ["partition"])
    for partition, age in state.engine_lease_ages(real).items():
        leases.add_metric([str(partition)], age)
    feed = state.feed(real)
    holder = _gauge("brokerage_feed_holder", "The feed that publishes: always 1.", ["holder"])
    holder.add_metric([feed.holder], 1)
    yield from (leases, holder)
    yield _one("brokerage_feed_lease_age_seconds", "Since the feed that publishes last lived.", feed.age)
    yield _one("brokerage_beat_last_run_age_seconds", "Since beat last noted a run.", state.beat_age(real))


def _database(_: datetime, __: datetime) -> Found:
    states, most = state.connections()
    used = _gauge("brokerage_postgres_connections", "Connections to the database, by state.", ["state"])
    for name, count in states.items():
        used.add_metric([name], count)
    yield used
    yield _one("brokerage_postgres_connections_limit", "Connections that PostgreSQL has in all.", most)


def _books(real: datetime, now: datetime) -> Found:
    books = state.books(real, now)
    if books.is_audited:
        yield _one("brokerage_audit_ok", "Whether the last audit found nothing.", books.are_good)
    yield _one("brokerage_audit_findings", "What the last audit found.", books.findings)
    yield _one("brokerage_audit_age_seconds", "Since the last audit.", books.audit_age)
    yield _one("brokerage_audit_good_age_seconds", "Since the last audit that found nothing.", books.good_audit_age)
    yield _one("brokerage_breaks_open", "Open breaks.", books.breaks)
    yield _one("brokerage_break_oldest_age_seconds", "How old the oldest open break is; 0: none.", books.oldest_break)
    seals = state.seals(real)
    yield _one("brokerage_seal_age_seconds", "Since the last block was sealed.", seals.age)
    yield _one(
        "brokerage_unsealed_age_seconds", "Of the oldest transfer that isn't sealed; 0: none.", seals.oldest_unsealed
    )
    yield _one("brokerage_backup_age_seconds", "Since the last backup; infinite: none.", state.backup_age(real))
    yield _one("brokerage_backup_limit_seconds", "How old it may be.", settings.BACKUP_MAX_AGE_HOURS * 3600)
    debits = _gauge("brokerage_written_off_debits", "Of the house, in base units: what it gave.", ["type", "asset"])
    credits_ = _gauge(
        "brokerage_written_off_credits", "Of the house, in base units: what came back.", ["type", "asset"]
    )
    for (type_, asset), (given, back) in state.written_off().items():
        debits.add_metric([type_, asset], given)
        credits_.add_metric([type_, asset], back)
    yield from (debits, credits_)


def _margin(_: datetime, __: datetime) -> Found:
    margin = state.margin()
    yield _one("brokerage_customers_called", "Customers at or below the margin call.", margin.called)
    yield _one("brokerage_customers_below_stop_out", "Of these, at or below the stop-out.", margin.stopped_out)
    used = _gauge(
        "brokerage_limit_used_ratio", "Which share of a risk limit is used; 1: all of it.", ["kind", "symbol"]
    )
    for kind, symbol, share in state.limits():
        used.add_metric([kind, symbol], share)
    yield used


def _settlement(_: datetime, now: datetime) -> Found:
    found = state.settlement(now)
    waits = _gauge("brokerage_oldest_waiting_seconds", "The oldest trade in storing, or settling of a kind.", ["what"])
    late = _gauge("brokerage_waiting_late", "Whether it has waited longer than the settings say.", ["what"])
    for one in found.waiting:
        waits.add_metric([one.what], one.age.total_seconds() if one.age else 0)
        late.add_metric([one.what], one.is_late)
    count = _gauge("brokerage_batches", "Batches under way, by state.", ["state"])
    oldest = _gauge("brokerage_batch_oldest_age_seconds", "Since the oldest of them was cut.", ["state"])
    for name, (number, age) in found.batches.items():
        count.add_metric([name], number)
        oldest.add_metric([name], age)
    yield from (waits, late, count, oldest)
    yield _one("brokerage_windows_late", "Windows whose cut was due and isn't made.", found.windows_late)
    yield _one("brokerage_legs_due", "Legs to carry out now.", found.legs_due)
    yield _one(
        "brokerage_leg_oldest_age_seconds", "Since the cut of the first leg that is due; 0: none.", found.oldest_leg
    )
    yield _one("brokerage_legs_overdue", "Legs past their value date.", found.legs_overdue)


def _webhooks(real: datetime, now: datetime) -> Found:
    found = state.webhooks(real, now)
    yield _one(
        "brokerage_outbox_untold_seconds", "Since the oldest event no webhook was made of; 0: none.", found.untold
    )
    yield _one("brokerage_webhook_deliveries_waiting", "Deliveries still to be made.", found.waiting)
    yield _one("brokerage_webhook_oldest_waiting_seconds", "How old the oldest of them is; 0: none.", found.oldest)
    yield _one("brokerage_webhook_subscriptions_failing", "Subscriptions whose endpoint fails.", found.failing)


def _prices(_: datetime, now: datetime) -> Found:
    ages = _gauge("brokerage_price_age_seconds", "Of the latest price.", ["symbol"])
    spreads = _gauge(
        "brokerage_price_spread_bps", "Ask less bid, in hundredths of a percent of the middle.", ["symbol"]
    )
    usable = _gauge("brokerage_price_usable", "Whether it may be executed at.", ["symbol"])
    opened = _gauge("brokerage_market_open", "Whether the market has prices now.", ["symbol"])
    for symbol, price in state.price_states(now).items():
        ages.add_metric([symbol], price.age)
        spreads.add_metric([symbol], price.spread_bps)
        usable.add_metric([symbol], price.is_usable)
        opened.add_metric([symbol], price.is_open)
    connected = _gauge("brokerage_source_connected", "Whether a source of prices is connected.", ["source"])
    last = _gauge("brokerage_source_age_seconds", "Since its last message.", ["source"])
    for name, (is_connected, age) in state.sources().items():
        connected.add_metric([name], is_connected)
        last.add_metric([name], age)
    yield from (ages, spreads, usable, opened, connected, last)
    yield _one("brokerage_prices_refused", "Symbols whose last price was refused.", state.refused_prices())


def _streams(_: datetime, __: datetime) -> Found:
    length = _gauge("brokerage_stream_length", "Entries of the partition's stream.", ["partition"])
    oldest = _gauge(
        "brokerage_stream_oldest_seconds", "Since the oldest came that isn't applied; 0: none.", ["partition"]
    )
    dead = _gauge("brokerage_dead_letters", "Commands, and messages of Celery, that were set aside.", ["of"])
    for partition, stream in state.stream_states().items():
        length.add_metric([str(partition)], stream.length)
        oldest.add_metric([str(partition)], stream.oldest)
        dead.add_metric([f"partition {partition}"], stream.dead)
    yield from (length, oldest)
    if (queue := state.queue()) is not None:
        yield _one("brokerage_queue_length", "Messages of Celery that wait.", queue[0])
        dead.add_metric(["celery"], queue[1])
    yield dead
    used, most = state.redis_memory()
    yield _one("brokerage_redis_memory_bytes", "What the Redis of the commands uses.", used)
    yield _one("brokerage_redis_memory_limit_bytes", "What it may use; 0: no limit.", most)


PARTS: Final[dict[str, Callable[[datetime, datetime], Found]]] = {
    "processes": _processes,
    "database": _database,
    "books": _books,
    "margin": _margin,
    "settlement": _settlement,
    "webhooks": _webhooks,
    "prices": _prices,
    "streams": _streams,
}


def _of_redis() -> Found:
    """Whether it takes writes: one that only answers takes no order."""
    takes = health.writes(streams.prompt_client()) == "ok"
    yield _one("brokerage_redis_takes_writes", "Whether the Redis of the commands takes what is written.", takes)
