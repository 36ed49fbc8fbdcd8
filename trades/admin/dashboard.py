"""The desk's first page: what is open, what waits, and whether the system is well. Every figure is bounded work."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import redis
from django.db.models import Max, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from accounts.admin import shown
from accounts.admin.base import MOST_COUNTED
from accounts.models import Break, LedgerAudit
from accounts.money import printed
from quotes import prices, symbols
from trades import selectors
from trades.admin.batches import STATES as BATCH_STATES
from trades.admin.orders import STATUSES
from trades.admin.trades import STATES as TRADE_STATES
from trades.models import (
    Correction,
    EngineLease,
    Order,
    Position,
    SettlementBatch,
    SettlementLeg,
    SettlementWindow,
    Trade,
)
from trades.orders.lease import LEASE_SECONDS
from trades.states import BatchState, CorrectionState, LegStatus, TradeState

SHOWN = 6
BEAT_IS_SILENT_AFTER = timedelta(minutes=10)
FRESHNESS = {"fresh": "success", "stale": "danger"}
GOOD, BAD, QUIET = "desk-good", "desk-bad", ""


@dataclass(frozen=True, slots=True)
class Card:
    """One figure: what it is called, what it says, what stands below it, whether it is good, where it leads."""

    title: str
    value: str
    note: str
    mood: str
    link: str


def figures(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Unfold's callback: adds the cards and tables to the index page's context."""
    now = timezone.now()
    latest, feed = _feed(now)
    context.update(
        title="Dashboard",
        cards=[
            *(_positions(), *_waiting(), _batches(), _legs(now)),
            *(_proposals(), _breaks(now), feed, _engine(now), _scheduler(now), _audit(now)),
        ],
        prices_table=latest,
        batches_table=_newest_batches(),
        trades_table=_newest_trades(),
        orders_table=_newest_orders(),
    )
    return context


def _count(rows: QuerySet[Any]) -> str:
    counted = rows.order_by()[: MOST_COUNTED + 1].count()
    return _figure(counted)


def _figure(counted: int) -> str:
    return f"{MOST_COUNTED:,}+" if counted > MOST_COUNTED else f"{counted:,}"


def _list(model: str, query: str = "") -> str:
    return reverse(f"admin:{model}_changelist") + query


def _positions() -> Card:
    return Card("Open positions", _count(Position.objects.all()), "margin orders", QUIET, _list("trades_position"))


def _waiting() -> list[Card]:
    """Trades not yet in a batch, looked for from where the windows say that any can be."""
    marks = [mark or UUID(int=0) for mark in SettlementWindow.objects.values_list("low_water", flat=True)]
    waiting = Trade.objects.filter(
        pk__gte=min(marks, default=UUID(int=0)),
        batch__isnull=True,
        state__in=[TradeState.STORING, TradeState.SETTLING],
    )
    states = list(waiting.order_by("pk").values_list("state", flat=True)[: MOST_COUNTED + 1])
    full = len(states) > MOST_COUNTED
    counts = {state: states.count(state) for state in (TradeState.STORING, TradeState.SETTLING)}
    return [
        Card(
            title,
            f"{counts[state]:,}{'+' if full else ''}",
            note,
            QUIET,
            _list("trades_trade", f"?state__exact={state.value}"),
        )
        for title, state, note in (
            ("Storing", TradeState.STORING, "trades on their way in"),
            ("Settling", TradeState.SETTLING, "trades waiting for a batch"),
        )
    ]


def _batches() -> Card:
    unfinished = SettlementBatch.objects.exclude(state__in=[BatchState.COMPLETED, BatchState.CANCELLED])
    states = list(unfinished.order_by("-pk").values_list("state", flat=True)[: MOST_COUNTED + 1])
    unconfirmed = states.count(BatchState.CUT)
    note = f"{unconfirmed:,} to be confirmed" if unconfirmed else "none to be confirmed"
    return Card(
        "Batches under way",
        _figure(len(states)),
        note,
        BAD if unconfirmed else QUIET,
        _list("trades_settlementbatch"),
    )


def _legs(now: datetime) -> Card:
    """What somebody should carry out now; failed ones wait for their next attempt."""
    legs = SettlementLeg.objects.filter(batch__state__in=[BatchState.SETTLING, BatchState.PARTIALLY_SETTLED])
    failed = legs.filter(status=LegStatus.FAILED).count()
    return Card(
        "Legs to carry out",
        _count(SettlementLeg.objects.filter(selectors.is_due(now))),
        f"{failed:,} failed" if failed else "none failed",
        BAD if failed else QUIET,
        _list("trades_settlementleg", "?due=now" if not failed else "?status__exact=failed"),
    )


def _proposals() -> Card:
    waiting = _count(Correction.objects.filter(state=CorrectionState.PROPOSED))
    note = "wait for a second person" if waiting != "0" else "nothing to decide"
    mood = BAD if waiting != "0" else QUIET
    return Card("Corrections proposed", waiting, note, mood, _list("trades_correction", "?state__exact=proposed"))


def _breaks(now: datetime) -> Card:
    opened = list(
        Break.objects.filter(state=Break.State.OPEN)
        .order_by("opened_at")
        .values_list("opened_at", flat=True)[: MOST_COUNTED + 1]
    )
    note = f"the oldest for {shown.for_how_long(now - opened[0])}" if opened else "everything fits"
    link = _list("accounts_break", "?state__exact=open")
    return Card("Open breaks", _figure(len(opened)), note, BAD if opened else GOOD, link)


def _feed(now: datetime) -> tuple[str, Card]:
    """The prices as a table, and whether they are fresh as a card."""
    link = _list("quotes_instrument")
    known = symbols.instruments()
    try:
        latest = prices.latest()
    except redis.RedisError:
        return "Redis can't be reached.", Card("Price feed", "no Redis", "nothing can be executed", BAD, link)
    rows, fresh = [], 0
    for symbol, instrument in known.items():
        price = latest.by_symbol.get(symbol)
        usable = latest.usable(symbol, instrument.price_age_limit_seconds) is not None
        fresh += usable
        rows.append(
            (
                shown.link("quotes_instrument", symbol, symbol),
                shown.number(price.bid if price else None, instrument.price_decimals),
                shown.number(price.ask if price else None, instrument.price_decimals),
                shown.chip("fresh" if usable else "stale", FRESHNESS),
            )
        )
    newest = max((price.at for price in latest.by_symbol.values()), default=None)
    card = Card(
        "Price feed",
        f"{fresh} of {len(known)} fresh",
        f"last price {shown.age(newest, latest.now)}",
        GOOD if fresh == len(known) else BAD,
        link,
    )
    return shown.table(("Symbol", "Bid", "Ask", "State"), rows, "There are no instruments."), card


def _engine(now: datetime) -> Card:
    leases = list(EngineLease.objects.order_by("partition"))
    limit = now - timedelta(seconds=LEASE_SECONDS)
    running = [lease for lease in leases if lease.renewed_at is not None and lease.renewed_at > limit]
    link = _list("trades_enginelease")
    if not running:
        last = max((lease.renewed_at for lease in leases if lease.renewed_at), default=None)
        return Card("Order engine", "not running", f"last seen {shown.age(last, now)}", BAD, link)
    return Card(
        "Order engine",
        "running",
        f"{running[0].holder}, epoch {running[0].epoch}" if len(running) == 1 else f"{len(running)} partitions",
        GOOD,
        link,
    )


def _scheduler(now: datetime) -> Card:
    """Beat writes down when it last sent each task, every few minutes."""
    link = _list("django_celery_beat_periodictask")
    last = PeriodicTask.objects.filter(enabled=True).aggregate(last=Max("last_run_at"))["last"]
    if last is None:
        return Card("Scheduler", "not seen yet", "beat notes its runs every few minutes", QUIET, link)
    is_well = now - last < BEAT_IS_SILENT_AFTER
    return Card(
        "Scheduler",
        "running" if is_well else "silent",
        f"last run noted {shown.age(last, now)}",
        GOOD if is_well else BAD,
        link,
    )


def _audit(now: datetime) -> Card:
    last = LedgerAudit.objects.order_by("-pk").first()
    link = _list("accounts_ledgeraudit")
    if last is None:
        return Card("Ledger audit", "none yet", "the books were not recounted", QUIET, link)
    text = "books balance" if last.ok else f"{len(last.findings)} findings"
    return Card("Ledger audit", text, shown.age(last.at, now), GOOD if last.ok else BAD, link)


def _newest_batches() -> str:
    batches = SettlementBatch.objects.select_related("window").order_by("-pk")[:SHOWN]
    rows = [
        (
            shown.link("trades_settlementbatch", batch.pk, shown.short_guid(batch.pk)),
            batch.window or "by hand",
            shown.bar(batch.percent, f"{batch.completed_count:,} of {batch.trades_count:,}"),
            shown.chip(batch.state, BATCH_STATES),
        )
        for batch in batches
    ]
    return shown.table(("Batch", "Window", "Completed", "State"), rows, "No batch was cut yet.")


def _newest_trades() -> str:
    trades = Trade.objects.select_related("customer", "receive_asset", "deliver_asset").order_by("-pk")[:SHOWN]
    rows = [
        (
            shown.link("trades_trade", trade.pk, shown.short_guid(trade.pk)),
            trade.customer,
            shown.amount(trade.receive_amount, trade.receive_asset),
            shown.amount(trade.deliver_amount, trade.deliver_asset),
            shown.chip(trade.state, TRADE_STATES),
        )
        for trade in trades
    ]
    return shown.table(("Trade", "Customer", "Receives", "Delivers", "State"), rows, "No trade yet.")


def _newest_orders() -> str:
    orders = Order.objects.select_related("customer", "instrument__counter_asset").order_by("-pk")[:SHOWN]
    rows = [
        (
            shown.link("trades_order", order.pk, f"…{order.code[-8:]}"),
            order.customer,
            f"{order.side} {printed(order.quantity)} {order.instrument_id}",
            shown.gain(order.profit, order.instrument.counter_asset),
            shown.chip(order.status, STATUSES),
        )
        for order in orders
    ]
    return shown.table(("Order", "Customer", "What", "Profit", "Status"), rows, "No order yet.")
