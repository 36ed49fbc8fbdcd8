"""How the whole stands, as PostgreSQL and Redis have it: what the exporter tells, and what /healthz judges by.

Each function is one look of bounded work; it raises django.db.Error or redis.RedisError where its server is away. What
`settlement_status` tells, too, is asked by the same functions (`trades/settlement/`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import redis
from django.conf import settings
from django.db import connection
from django.db.models import Max, Min
from django_celery_beat.models import PeriodicTask

from accounts import streams
from accounts.admin.base import MOST_COUNTED
from accounts.ids import time_of
from accounts.models import (
    Asset,
    Backup,
    Break,
    Event,
    LedgerAudit,
    SealBlock,
    Transfer,
    WebhookDelivery,
    WebhookSubscription,
)
from accounts.models.webhook import OPEN
from accounts.webhooks import feeding
from quotes import prices, source_health, symbols
from quotes.models import FeedLease
from quotes.price_scripts import REFUSED
from trades import selectors
from trades.admin.margin_levels import figures_of
from trades.margin import levels
from trades.margin.commands import GROUP, stream_name
from trades.models import EngineLease, MarginAccount, SettlementLeg
from trades.reads import risk_limits
from trades.settlement.lateness import late_windows, legs_due, open_batches
from trades.settlement.waiting import Oldest, oldest

MOST_CALLED: Final = 500  # accounts whose figures are reckoned; who isn't called is above the stop-out, too
WRITTEN_OFF: Final = ("protection", "advances")


def age(since: datetime | None, now: datetime) -> float:
    """Seconds; infinite where it has never been."""
    return math.inf if since is None else (now - since).total_seconds()


# --- who works -------------------------------------------------------------------------------------


def engine_lease_ages(real: datetime) -> dict[int, float]:
    """Seconds since the engine of each partition that there should be has said that it lives; infinite: none ever."""
    renewed = dict(EngineLease.objects.values_list("partition", "renewed_at"))
    return {partition: age(renewed.get(partition), real) for partition in range(settings.ENGINE_PARTITIONS)}


@dataclass(frozen=True, slots=True)
class FeedState:
    """Which feed publishes, and seconds since it has said so."""

    holder: str
    age: float


def feed(real: datetime) -> FeedState:
    lease = FeedLease.objects.first()
    return FeedState(lease.holder if lease else "", age(lease.renewed_at if lease else None, real))


def beat_age(real: datetime) -> float:
    """Seconds since beat has noted that it sent a task, which it does every five seconds."""
    return age(PeriodicTask.objects.filter(enabled=True).aggregate(last=Max("last_run_at"))["last"], real)


def connections() -> tuple[dict[str, int], int]:
    """Connections to this database by state (`hidden`: another role's), and how many the server has in all."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(state, 'hidden'), count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND backend_type = 'client backend' GROUP BY 1"
        )
        states = dict(cursor.fetchall())
        cursor.execute("SELECT current_setting('max_connections')::int")
        (most,) = cursor.fetchone()
    return states, most


# --- money -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Books:
    """The last audit, and the open breaks. Ages are seconds; infinite: there was none, 0: nothing is open."""

    is_audited: bool
    are_good: bool
    findings: int
    audit_age: float
    good_audit_age: float
    breaks: int
    oldest_break: float


def books(real: datetime, now: datetime) -> Books:
    last = LedgerAudit.objects.order_by("-pk").first()
    good = last if last and last.ok else LedgerAudit.objects.filter(ok=True).order_by("-pk").first()
    opened = list(
        Break.objects.filter(state=Break.State.OPEN)
        .order_by("opened_at")
        .values_list("opened_at", flat=True)[: MOST_COUNTED + 1]
    )
    return Books(
        last is not None,
        last is not None and last.ok,
        len(last.findings) if last else 0,
        age(last.at if last else None, real),
        age(good.at if good else None, real),
        len(opened),
        age(opened[0], now) if opened else 0.0,
    )


@dataclass(frozen=True, slots=True)
class Seals:
    """Seconds since the last block was sealed (infinite: none), and of the oldest transfer that isn't (0: all are)."""

    age: float
    oldest_unsealed: float


def seals(real: datetime) -> Seals:
    last = SealBlock.objects.order_by("-number").values_list("sealed_at", flat=True).first()
    table = SealBlock.objects.filter(table_name=Transfer._meta.db_table).order_by("-after")
    through = table.values_list("through", flat=True).first()
    beyond = Transfer.objects.order_by("pk") if through is None else Transfer.objects.filter(pk__gt=through)
    first = beyond.order_by("pk").values_list("pk", flat=True).first()
    return Seals(age(last, real), age(time_of(first), real) if first else 0.0)


def backup_age(real: datetime) -> float:
    """Seconds since the last backup stood whole on its disk; infinite: none."""
    return age(Backup.objects.order_by("-pk").values_list("at", flat=True).first(), real)


def written_off() -> dict[tuple[str, str], tuple[int, int]]:
    """Debits and credits of the house's accounts for protection and advances, in base units, by type and asset.

    In the account currency from the beginning: a series that begins with its first loss shows no growth.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT type, asset_id, sum(debits), sum(credits) FROM accounts_ledgeraccount"
            " WHERE customer_id IS NULL AND bucket IS NOT NULL AND type = ANY(%s) GROUP BY 1, 2",
            [list(WRITTEN_OFF)],
        )
        found = {(type_, asset): (int(debits), int(credits)) for type_, asset, debits, credits in cursor.fetchall()}
    return {(type_, settings.ACCOUNT_CURRENCY): (0, 0) for type_ in WRITTEN_OFF} | found


@dataclass(frozen=True, slots=True)
class Margin:
    """Customers at or below the margin call, and those of them at or below the stop-out at the latest prices."""

    called: int
    stopped_out: int


def margin() -> Margin:
    called = MarginAccount.objects.filter(called_at__isnull=False).order_by("called_at").values_list("pk", flat=True)
    ids = list(called[: MOST_COUNTED + 1])
    currency = Asset.objects.get(pk=settings.ACCOUNT_CURRENCY)
    figures = figures_of(ids[:MOST_CALLED], currency, prices.latest()) if ids else {}
    reached = [one for _, one in figures.values() if levels.reaches(one.equity, one.margin, settings.STOP_OUT_PERCENT)]
    return Margin(len(ids), len(reached))


def limits() -> list[tuple[str, str, float]]:
    """Of each limit of a symbol or of the firm: its kind, its symbol (empty: of each, or of the firm), and which share
    of it is used."""
    uses = risk_limits.of_the_firm()
    return [(use.limit.kind, use.limit.instrument_id or "", (use.percent or 0) / 100) for use in uses]


# --- settlement ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Settlement:
    """What waits, in seconds of the firm's time: trades, batches by state (number, oldest), legs, windows."""

    waiting: Sequence[Oldest]
    batches: Mapping[str, tuple[int, float]]
    windows_late: int
    legs_due: int
    oldest_leg: float
    legs_overdue: int


def settlement(now: datetime) -> Settlement:
    batches, legs = open_batches(), legs_due(now)
    count = Counter(batch.state for batch in batches)
    first = {batch.state: batch.cut_at for batch in reversed(batches)}
    overdue = SettlementLeg.objects.filter(selectors.is_overdue(now)).order_by()[: MOST_COUNTED + 1].count()
    return Settlement(
        oldest(now),
        {state: (count[state], age(first[state], now)) for state in count},
        len(late_windows(now)),
        legs.count,
        age(legs.oldest.batch.cut_at, now) if legs.oldest else 0.0,
        overdue,
    )


@dataclass(frozen=True, slots=True)
class Webhooks:
    """Deliveries still to be made, and subscriptions whose endpoint fails. `untold`: seconds since the oldest event of
    the outbox that the subscription furthest back hasn't been looked at for; 0: none."""

    waiting: int
    oldest: float
    failing: int
    untold: float


def webhooks(real: datetime, now: datetime) -> Webhooks:
    waiting = WebhookDelivery.objects.filter(state__in=OPEN).order_by()[: MOST_COUNTED + 1].count()
    first = WebhookDelivery.objects.filter(state__in=OPEN).aggregate(first=Min("created_at"))["first"]
    failing = WebhookSubscription.objects.filter(failures__gt=0, deleted_at__isnull=True).count()
    place = feeding.live(real).order_by("transaction", "number").values_list("transaction", "number").first()
    untold = Event.objects.filter(pk__gt=place).order_by("pk").values_list("at", flat=True).first() if place else None
    return Webhooks(waiting, age(first, real) if first else 0.0, failing, max(0.0, age(untold, now)) if untold else 0.0)


# --- Redis -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PriceState:
    """Of one symbol. `is_open`: its positions may be closed now. `age` in seconds by Redis' clock, infinite where there
    is no price that could be used at all.
    """

    is_open: bool
    is_usable: bool
    age: float
    spread_bps: float
    fault: str


def price_states(now: datetime) -> dict[str, PriceState]:
    """Of every instrument; `now` is the firm's time, by which markets are open."""
    latest, hours = prices.latest(), symbols.market_hours()
    found = {}
    for symbol, instrument in symbols.instruments().items():
        price, fault = latest.by_symbol.get(symbol), latest.faults.get(symbol)
        found[symbol] = PriceState(
            hours[symbol].state_at(now).closes,
            latest.usable(symbol, instrument.price_age_limit_seconds) is not None,
            age(price.at if price else None, latest.now),
            float((price.ask - price.bid) / price.mid * 10_000) if price else math.nan,
            fault.name.lower() if fault else "",
        )
    return found


def refused_prices() -> int:
    """Symbols whose last price was refused, and isn't back or accepted."""
    return int(streams.client().hlen(REFUSED))


def sources() -> dict[str, tuple[bool, float]]:
    """Whether each source of prices is connected, and seconds since its last message."""
    now, found = source_health.read()
    return {name: (health.is_connected, age(health.last_message, now)) for name, health in found.items()}


@dataclass(frozen=True, slots=True)
class StreamState:
    """Of a partition's commands: entries kept, seconds since the oldest that isn't applied came, dead letters."""

    length: int
    oldest: float
    dead: int


def stream_states() -> dict[int, StreamState]:
    return {partition: _stream(stream_name(partition)) for partition in range(settings.ENGINE_PARTITIONS)}


def _stream(name: str) -> StreamState:
    pipe = streams.client().pipeline(transaction=False)
    pipe.xlen(name)
    pipe.xinfo_groups(name)
    pipe.xpending(name, GROUP)
    pipe.time()
    pipe.xlen(f"{name}:dead")
    length, groups, pending, clock, dead = pipe.execute(raise_on_error=False)
    if isinstance(length, Exception):
        raise length
    ours = [group for group in groups if group["name"] == GROUP] if isinstance(groups, list) else []
    ids = [pending["min"]] if isinstance(pending, dict) and pending["min"] else []
    unread: Any = streams.client().xrange(name, min=f"({ours[0]['last-delivered-id']}" if ours else "-", count=1)
    ids += [unread[0][0]] if unread else []
    now = clock[0] * 1000 + clock[1] / 1000
    waited = max((now - int(str(id_).partition("-")[0]) for id_ in ids), default=0.0)
    return StreamState(int(length), max(0.0, waited) / 1000, dead if isinstance(dead, int) else 0)


def redis_memory() -> tuple[int, int]:
    """Bytes that the Redis of the commands uses, and may use (0: no limit)."""
    info: Any = streams.client().info("memory")
    return int(info["used_memory"]), int(info["maxmemory"])


def queue() -> tuple[int, int] | None:
    """Messages of Celery that wait, and its dead letters; None where the broker is no Redis."""
    if not settings.BROKER_URL.startswith(("redis://", "rediss://", "unix://")):
        return None
    name = settings.CELERY_TASK_DEFAULT_QUEUE
    with redis.Redis.from_url(settings.BROKER_URL, socket_timeout=2, socket_connect_timeout=1) as client:
        pipe = client.pipeline(transaction=False)
        pipe.llen(name)
        pipe.llen(f"{name}:dead")
        waiting, dead = pipe.execute(raise_on_error=False)
    if isinstance(waiting, redis.ConnectionError | redis.TimeoutError):
        raise waiting
    return tuple(one if isinstance(one, int) else 0 for one in (waiting, dead))  # type: ignore[return-value]
