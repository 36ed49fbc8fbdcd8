"""Whether each part of the system is well: processes, queues, prices, nights, seals, audits. All is bounded work."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

import redis
from django.conf import settings
from django.db.models import Count, Max, Min, Q
from django.utils.html import format_html
from django_celery_beat.models import PeriodicTask

from accounts import holders, streams
from accounts.admin import shown
from accounts.models import (
    Backup,
    EventHorizon,
    LedgerAudit,
    ReconciliationRun,
    SealBlock,
    Transfer,
    WebhookDelivery,
)
from accounts.models.webhook import OPEN
from accounts.timestamps import from_milliseconds
from quotes import prices, symbols
from quotes.admin.faults import WHY_NONE
from quotes.admin.held import held_shown
from quotes.admin.markets import MARKETS
from quotes.hours import MarketState, Phase
from quotes.prices import Prices
from quotes.selectors import holds_behind
from quotes.swap_calendar import nights
from trades.admin.cards import BAD, GOOD, QUIET, Card, Link
from trades.engine.lease import LEASE_SECONDS
from trades.margin.commands import stream_name
from trades.models import EngineLease, SwapRun

# Beat sends a task every second and notes its runs every five (brokerage/beat.py); a worker notes the oldest
# transaction every five.
SILENT_AFTER: Final = timedelta(seconds=20)
A_LITTLE_AHEAD: Final = timedelta(seconds=10)  # beat's host may be, and still count as ready
COMMAND_WAITS: Final = timedelta(seconds=2)  # an engine that is well takes a command within milliseconds
WEBHOOK_WAITS: Final = timedelta(minutes=1)
SEALED_WITHIN: Final = timedelta(hours=1)
NIGHT_TAKES: Final = timedelta(minutes=10)
MOST_OPEN: Final = 1000
FRESHNESS = {"fresh": "success", "stale": "danger"}
SCHEDULE: Final = Link("django_celery_beat_periodictask")


def prices_or_none() -> Prices | None:
    try:
        return prices.latest()
    except redis.RedisError:
        return None


def cards(real: datetime, now: datetime) -> list[Card]:
    """`real` is PostgreSQL's clock, `now` the firm's time."""
    return [
        *(_engine(real), _commands(), _worker(real), _scheduler(real), _webhooks(real), _swap(now)),
        *(_seals(real), _audit(real), _reconciliation(real), *_backup(real)),
    ]


def feed(now: datetime, latest: Prices | None) -> tuple[str, Card]:
    """The prices as a table, and whether they are fresh as a card. Of a closed market none is missed."""
    link = Link("quotes_instrument")
    known = symbols.instruments()
    if latest is None:
        return "Redis can't be reached.", Card("Price feed", "no Redis", "nothing can be executed", BAD, link)
    holds = holds_behind(latest.by_symbol.values())
    rows, fresh, closed, hours = [], 0, 0, symbols.market_hours()
    for symbol, instrument in known.items():
        price = latest.by_symbol.get(symbol)
        usable = latest.usable(symbol, instrument.price_age_limit_seconds) is not None
        market = hours[symbol].state_at(now)
        closed += not market.has_prices
        fresh += usable and market.has_prices
        fault = latest.faults.get(symbol)
        state = shown.chip("fresh" if usable else "stale", FRESHNESS, WHY_NONE[fault] if fault else "")
        if market.phase is not Phase.OPEN:
            state = shown.chip(market.phase.value, MARKETS, _opens(market))
        rows.append(
            (
                shown.link("quotes_instrument", symbol, symbol),
                shown.number(price.bid if price else None, instrument.price_decimals),
                shown.number(price.ask if price else None, instrument.price_decimals),
                format_html("{} {}", state, held_shown(price, holds)),
            )
        )
    newest = max((price.at for price in latest.by_symbol.values()), default=None)
    card = Card(
        "Price feed",
        f"{fresh} of {len(known) - closed} fresh",
        f"last price {shown.age(newest, latest.now)}"
        + (f"; {closed} closed" if closed else "")
        + (f"; {len(holds)} held" if holds else ""),
        GOOD if fresh == len(known) - closed else BAD,
        link,
    )
    return shown.table(("Symbol", "Bid", "Ask", "State"), rows, "There are no instruments."), card


def _opens(market: MarketState) -> str:
    return f"opens {market.next_open:%Y-%m-%d %H:%M}" if market.next_open else ""


def _engine(now: datetime) -> Card:
    """Each partition has its lease, renewed every second or so."""
    leases = {lease.partition: lease for lease in EngineLease.objects.order_by("partition")}
    limit = now - timedelta(seconds=LEASE_SECONDS)
    running = [one for one in leases.values() if one.renewed_at is not None and one.renewed_at > limit]
    link = Link("trades_enginelease")
    missing = sorted(set(range(settings.ENGINE_PARTITIONS)) - {one.partition for one in running})
    if not running:
        last = max((lease.renewed_at for lease in leases.values() if lease.renewed_at), default=None)
        return Card("Order engine", "not running", f"last seen {shown.age(last, now)}", BAD, link)
    if missing:
        value = f"{settings.ENGINE_PARTITIONS - len(missing)} of {settings.ENGINE_PARTITIONS} running"
        return Card("Order engine", value, f"none for partition {', '.join(map(str, missing))}", BAD, link)
    return Card(
        "Order engine",
        "running",
        f"{holders.shown(running[0].holder)}, epoch {running[0].epoch}"
        if len(running) == 1
        else f"{len(running)} partitions",
        GOOD,
        link,
    )


def _commands() -> Card:
    """What stands in the engines' streams and isn't done, and how long the oldest has."""
    link = Link("trades_enginelease")
    pipe = streams.prompt_client().pipeline(transaction=False)
    names = [stream_name(partition) for partition in range(settings.ENGINE_PARTITIONS)]
    pipe.time()
    for name in names:
        pipe.xlen(name)
        pipe.xrange(name, count=1)
    try:
        clock, *told = pipe.execute(raise_on_error=False)
    except redis.RedisError:
        return Card("Commands", "no Redis", "nothing can be ordered", BAD, link)
    if isinstance(clock, Exception):
        return Card("Commands", "no Redis", "nothing can be ordered", BAD, link)
    redis_now = from_milliseconds(int(clock[0]) * 1000 + int(clock[1]) // 1000)
    waiting = sum(count for count in told[::2] if isinstance(count, int))
    first = [_of_entry(rows[0][0]) for rows in told[1::2] if isinstance(rows, list) and rows]
    if not first:
        return Card("Commands", "none wait", "the engines' streams are empty", GOOD, link)
    is_late = redis_now - min(first) > COMMAND_WAITS
    return Card(
        "Commands",
        f"{waiting:,}",
        f"the oldest came {shown.age(min(first), redis_now)}",
        BAD if is_late else GOOD,
        link,
    )


def _of_entry(id_: Any) -> datetime:
    return from_milliseconds(int(str(id_).partition("-")[0]))


def _worker(now: datetime) -> Card:
    """A worker that is alive notes the oldest transaction every five seconds, when beat asks for it."""
    last = EventHorizon.objects.aggregate(last=Max("at"))["last"]
    if last is None:
        return Card("Workers", "not seen yet", "they note something every five seconds", QUIET, SCHEDULE)
    is_well = now - last < SILENT_AFTER
    note = f"last task done {shown.age(last, now)}"
    return Card("Workers", "running" if is_well else "silent", note, GOOD if is_well else BAD, SCHEDULE)


def _scheduler(now: datetime) -> Card:
    """Beat notes every few seconds when it last sent each task."""
    last = PeriodicTask.objects.filter(enabled=True).aggregate(last=Max("last_run_at"))["last"]
    if last is None:
        return Card("Scheduler", "not seen yet", "beat notes its runs every few seconds", QUIET, SCHEDULE)
    is_well = -A_LITTLE_AHEAD < now - last < SILENT_AFTER
    return Card(
        "Scheduler",
        "running" if is_well else "silent" if last < now else "ahead of the clock",
        f"last run noted {shown.age(last, now)}",
        GOOD if is_well else BAD,
        SCHEDULE,
    )


def _webhooks(now: datetime) -> Card:
    """Events that somebody should have been told of by now."""
    open_ones = WebhookDelivery.objects.filter(state__in=OPEN).order_by()[:MOST_OPEN]
    found = open_ones.aggregate(all=Count("pk"), first=Min("next_attempt_at"))
    link = Link("accounts_webhookdelivery", "?state__exact=failing")
    if not found["all"]:
        return Card("Webhooks", "all told", "no delivery is open", GOOD, Link("accounts_webhookdelivery"))
    more = "+" if found["all"] == MOST_OPEN else ""
    is_late = now - found["first"] > WEBHOOK_WAITS
    note = f"the oldest is due {shown.age(found['first'], now)}" if found["first"] <= now else "none is due yet"
    return Card("Webhooks", f"{found['all']:,}{more} open", note, BAD if is_late else GOOD, link)


def _swap(now: datetime) -> Card:
    """The latest night that began ten minutes ago or more: every partition of customers should have it done."""
    link = Link("trades_swaprun")
    ((night, _),) = nights(None, now - NIGHT_TAKES, settings.SWAP_TIME, settings.SWAP_ZONE)
    found = SwapRun.objects.filter(night__gte=night).aggregate(
        all=Count("pk", filter=Q(night=night)), done=Count("pk", filter=Q(night=night, done_at__isnull=False))
    )
    if not found["all"]:
        last = SwapRun.objects.aggregate(last=Max("night"))["last"]
        mood = QUIET if last is None else BAD
        return Card("Last night's swap", "not begun" if last else "none yet", f"of {night:%Y-%m-%d}", mood, link)
    is_done = found["all"] == found["done"]
    value = "done" if is_done else f"{found['done']} of {found['all']} parts"
    return Card("Last night's swap", value, f"of {night:%Y-%m-%d}", GOOD if is_done else BAD, link)


def _seals(now: datetime) -> Card:
    """The oldest transfer that no block seals: it is sealed within minutes, and should be within an hour."""
    link = Link("accounts_sealblock")
    blocks = SealBlock.objects.filter(table_name="accounts_transfer").order_by("-after")
    last = blocks.values_list("sealed_at", "through").first()
    if last is None:
        return Card("Seals", "none yet", "history isn't sealed", QUIET, link)
    unsealed = Transfer.objects.filter(pk__gt=last[1]).order_by("pk").values_list("at", flat=True)
    open_since = unsealed.first()
    is_late = open_since is not None and now - open_since > SEALED_WITHIN
    note = f"last block {shown.age(last[0], now)}"
    return Card("Seals", "behind" if is_late else "sealed", note, BAD if is_late else GOOD, link)


def _backup(now: datetime) -> list[Card]:
    """The last backup; none where nobody has made one and BACKUP_MAX_AGE_HOURS asks for none."""
    last = Backup.objects.order_by("-pk").first()
    link, most = Link("accounts_backup"), timedelta(hours=settings.BACKUP_MAX_AGE_HOURS)
    if last is None:
        return [Card("Backup", "none yet", "nothing could be restored", BAD, link)] if most else []
    is_late = bool(most) and now - last.at > most
    return [Card("Backup", "late" if is_late else last.kind, shown.age(last.at, now), BAD if is_late else GOOD, link)]


def _audit(now: datetime) -> Card:
    last = LedgerAudit.objects.order_by("-pk").first()
    link = Link("accounts_ledgeraudit")
    if last is None:
        return Card("Ledger audit", "none yet", "the books were not recounted", QUIET, link)
    text = "books balance" if last.ok else f"{len(last.findings)} findings"
    return Card("Ledger audit", text, shown.age(last.at, now), GOOD if last.ok else BAD, link)


def _reconciliation(now: datetime) -> Card:
    last = ReconciliationRun.objects.order_by("-pk").first()
    link = Link("accounts_reconciliationrun")
    if last is None:
        return Card("Reconciliation", "none yet", "no statement was compared", QUIET, link)
    return Card(
        "Reconciliation", "fits" if last.ok else "differs", shown.age(last.at, now), GOOD if last.ok else BAD, link
    )
