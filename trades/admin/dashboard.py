"""The admin's first page: what is open, what waits, and whether the system is well. Every figure is bounded work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest

from accounts import clock
from accounts.admin import shown
from accounts.admin.base import MOST_COUNTED
from accounts.models import Break
from accounts.money import printed
from trades import selectors
from trades.admin import wellness
from trades.admin.batches import STATES as BATCH_STATES
from trades.admin.cards import BAD, GOOD, QUIET, Card, Link
from trades.admin.events import of_days
from trades.admin.keyset import LOOK
from trades.admin.navigation import may_see
from trades.admin.needs import needs_of
from trades.admin.order_columns import STATUSES
from trades.admin.order_events import account_currency
from trades.admin.trades import STATES as TRADE_STATES
from trades.low_water import STORING
from trades.models import (
    Correction,
    MarginAccount,
    Order,
    OrderEvent,
    SettlementBatch,
    SettlementInstruction,
    SettlementLeg,
    StatementEntry,
    Trade,
)
from trades.payments.matching import contradicting
from trades.reads import risk_limits
from trades.settlement.waiting import Oldest, oldest
from trades.states import BatchState, CorrectionState, InstructionState, LegStatus, OrderStatus, TradeState

SHOWN = 6


def figures(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Unfold's callback: adds to the index page's context the cards and tables that this person may look into."""
    real, now = clock.both()
    prices, waiting = wellness.prices_or_none(), oldest(now)
    latest, feed = wellness.feed(now, prices)
    cards = [
        *(*_orders(now), *_waiting(waiting), _batches(), _legs(now), _instructions(), _entries(), _proposals()),
        *(_breaks(now), _limits(), feed, *wellness.cards(real, now)),
    ]
    allowed = [card for card in cards if may_see(request, card.link.model)]
    panels: list[tuple[str, str, Callable[[], str]]] = [
        ("Prices", "quotes_instrument", lambda: latest),
        ("Newest batches", "trades_settlementbatch", _newest_batches),
        ("Newest orders", "trades_order", _newest_orders),
        ("Newest trades", "trades_trade", _newest_trades),
    ]
    context.update(
        title="Dashboard",
        needs=needs_of(request, now, waiting),
        now=now,
        cards=allowed,
        unwell=[card for card in allowed if card.mood == BAD],
        well=[card for card in allowed if card.mood == GOOD],
        quiet=[card for card in allowed if card.mood == QUIET],
        panels=[(title, table()) for title, model, table in panels if may_see(request, model)],
    )
    return context


def _count(rows: QuerySet[Any]) -> str:
    counted = rows.order_by()[: MOST_COUNTED + 1].count()
    return _figure(counted)


def _figure(counted: int) -> str:
    return f"{MOST_COUNTED:,}+" if counted > MOST_COUNTED else f"{counted:,}"


def _orders(now: datetime) -> list[Card]:
    """Live orders, of which the first MOST_COUNTED are told apart; who is called; who was stopped out today."""
    live = Order.objects.filter(status__in=[OrderStatus.OPEN, OrderStatus.PENDING])
    statuses = list(live.order_by().values_list("status", flat=True)[: MOST_COUNTED + 1])
    more = "+" if len(statuses) > MOST_COUNTED else ""
    return [
        Card(title, f"{statuses.count(status):,}{more}", note, QUIET, link)
        for title, status, note, link in (
            ("Open positions", OrderStatus.OPEN, "margin orders", Link("trades_position")),
            ("Resting orders", OrderStatus.PENDING, "wait for their price", Link("trades_order", _PENDING)),
        )
    ] + [_calls(now), _stop_outs(now)]


_PENDING = "?status__exact=PENDING"


def _calls(now: datetime) -> Card:
    called = MarginAccount.objects.filter(called_at__isnull=False).order_by("called_at")
    since = list(called.values_list("called_at", flat=True)[: MOST_COUNTED + 1])
    note = f"the oldest for {shown.for_how_long(now - since[0])}" if since and since[0] else "nobody is called"
    link = Link("trades_marginaccount", "?called=yes" if since else "")
    return Card("Margin calls", _figure(len(since)), note, BAD if since else GOOD, link)


def _stop_outs(now: datetime) -> Card:
    """Counted in the newest LOOK events of the day: no index tells their kinds apart."""
    newest = of_days(OrderEvent.objects.all(), now.astimezone(UTC).date()).order_by("-pk")[: LOOK + 1]
    found = newest.aggregate(all=Count("pk"), outs=Count("pk", filter=Q(kind=OrderEvent.Kind.STOP_OUT)))
    is_all = found["all"] <= LOOK
    return Card(
        "Stop-outs today",
        f"{found['outs']:,}{'' if is_all else '+'}",
        "since midnight UTC" if is_all else f"in the newest {LOOK:,} events",
        BAD if found["outs"] else QUIET,
        Link("trades_orderevent", "?kind=stop_out&day=today"),
    )


def _waiting(found: Sequence[Oldest]) -> list[Card]:
    """Trades not yet in a batch, looked for from the oldest that waits; and how long that has waited, in one too."""
    storing, *settling = found
    first = min(
        (one.trade_id for one in (storing, *settling) if one.trade_id is not None), default=UUID(int=2**128 - 1)
    )
    waiting = Trade.objects.filter(
        pk__gte=first,
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
            _longest(waited) or note,
            BAD if any(one.is_late for one in waited) else QUIET,
            Link("trades_trade", f"?state__exact={state.value}"),
        )
        for title, state, waited, note in (
            ("Storing", TradeState.STORING, [storing], "trades on their way in"),
            ("Settling", TradeState.SETTLING, settling, "trades waiting for a batch"),
        )
    ]


def _longest(waited: Sequence[Oldest]) -> str:
    """How long the oldest have waited, the late ones first; empty where nothing waits."""
    found = sorted((one for one in waited if one.age is not None), key=lambda one: (not one.is_late, one.since))
    if not found or found[0].age is None:
        return ""
    late = ", late" if found[0].is_late else ""
    kind = f" ({found[0].what})" if found[0].what != STORING else ""
    return f"the oldest for {shown.for_how_long(found[0].age)}{kind}{late}"


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
        Link("trades_settlementbatch"),
    )


def _legs(now: datetime) -> Card:
    """What somebody should carry out now; failed ones wait for their next attempt. Overdue ones are told first."""
    overdue = (
        SettlementLeg.objects.filter(selectors.is_overdue(now)).order_by("due_by").values_list("due_by", flat=True)
    )
    late = list(overdue[: MOST_COUNTED + 1])
    legs = SettlementLeg.objects.filter(batch__state__in=[BatchState.SETTLING, BatchState.PARTIALLY_SETTLED])
    failed = legs.filter(status=LegStatus.FAILED).count()
    return Card(
        "Legs to carry out",
        _count(SettlementLeg.objects.filter(selectors.is_due(now))),
        _how_legs_stand(late, failed, now),
        BAD if failed or late else QUIET,
        Link("trades_settlementleg", "?due=overdue" if late else "?status__exact=failed" if failed else "?due=now"),
    )


def _how_legs_stand(late: Sequence[datetime], failed: int, now: datetime) -> str:
    """How many are overdue, and by how long the oldest; how many failed."""
    overdue = f"{_figure(len(late))} overdue, the oldest for {shown.for_how_long(now - late[0])}; " if late else ""
    return f"{overdue}{failed:,} failed" if failed else f"{overdue}none failed"


def _instructions() -> Card:
    """What the bank may pay though it has ended is told first: another one for the same money waits for that."""
    is_open = Q(state__in=[InstructionState.MADE, InstructionState.SENT])
    of_each = list(
        SettlementInstruction.objects.filter(is_open | Q(may_be_paid=True))
        .order_by()
        .values_list("may_be_paid", flat=True)[: MOST_COUNTED + 1]
    )
    may_be_paid = sum(of_each)
    return Card(
        "Instructions open",
        _figure(len(of_each) - may_be_paid),
        f"{may_be_paid:,} ended, and may still be paid" if may_be_paid else "no other may be paid",
        BAD if may_be_paid else QUIET,
        Link("trades_settlementinstruction", "?may_be_paid__exact=1" if may_be_paid else ""),
    )


def _entries() -> Card:
    """Entries of statements that wait for a person."""
    listed = StatementEntry.objects.filter(state=StatementEntry.State.LISTED).order_by()
    told = listed.annotate(contradicts=contradicting()).values_list("contradicts", flat=True)
    of_each = list(told[: MOST_COUNTED + 1])
    against = sum(of_each)
    return Card(
        "Statement entries",
        _figure(len(of_each)),
        f"{against:,} contradict the instruction they name" if against else "none contradicts an instruction",
        BAD if against else QUIET,
        Link("trades_statemententry", "?state__exact=listed"),
    )


def _proposals() -> Card:
    waiting = _count(Correction.objects.filter(state=CorrectionState.PROPOSED))
    note = "wait for a second person" if waiting != "0" else "nothing to decide"
    mood = BAD if waiting != "0" else QUIET
    return Card("Corrections proposed", waiting, note, mood, Link("trades_correction", "?state__exact=proposed"))


def _breaks(now: datetime) -> Card:
    opened = list(
        Break.objects.filter(state=Break.State.OPEN)
        .order_by("opened_at")
        .values_list("opened_at", flat=True)[: MOST_COUNTED + 1]
    )
    note = f"the oldest for {shown.for_how_long(now - opened[0])}" if opened else "everything fits"
    link = Link("accounts_break", "?state__exact=open")
    return Card("Open breaks", _figure(len(opened)), note, BAD if opened else GOOD, link)


def _limits() -> Card:
    """The limits of symbols and of the firm, from what engines count."""
    uses = risk_limits.of_the_firm()
    near = sum(use.is_near for use in uses)
    note = f"{near:,} used to {risk_limits.NEAR_PERCENT} % or more" if near else "none is nearly used up"
    mood = BAD if near else GOOD if uses else QUIET
    return Card("Risk limits", f"{len(uses):,}", note, mood, Link("trades_risklimit"))


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
            shown.cut(trade.customer),
            shown.amount(trade.receive_amount, trade.receive_asset),
            shown.amount(trade.deliver_amount, trade.deliver_asset),
            shown.chip(trade.state, TRADE_STATES),
        )
        for trade in trades
    ]
    return shown.table(("Trade", "Customer", "Receives", "Delivers", "State"), rows, "No trade yet.")


def _newest_orders() -> str:
    orders = Order.objects.select_related("customer").order_by("-pk")[:SHOWN]
    rows = [
        (
            shown.link("trades_order", order.pk, f"…{order.code[-8:]}"),
            shown.cut(order.customer),
            f"{order.side} {printed(order.quantity)} {order.instrument_id}",
            shown.gain(order.profit, account_currency()),
            shown.chip(order.status, STATUSES),
        )
        for order in orders
    ]
    return shown.table(("Order", "Customer", "What", "Profit", "Status"), rows, "No order yet.")
