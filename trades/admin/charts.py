"""Charts: what is looked at rather than read. Each is drawn by the browser; its figures are a table, too.

The figures go to the browser as doubles: a chart shows where something is, its table says how much.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any, Final, NamedTuple

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.utils.safestring import SafeString

from accounts import clock
from accounts.admin import shown
from accounts.models import Customer
from accounts.money import from_base_units
from quotes.models import Candle, Instrument
from trades.admin.order_columns import price_text
from trades.admin.order_events import account_currency
from trades.models import Position, SettlementBatch
from trades.reads import best_execution
from trades.reads.statement import Statement

SCRIPTS: Final = ("lightweight-charts/lightweight-charts.standalone.production.js", "brokerage/charts.js")
SPAN, STEP = timedelta(hours=24), timedelta(minutes=30)
MOST_POSITIONS: Final = 8  # whose levels are drawn: more can't be told apart
MOST_MOVEMENTS: Final = 20_000
MOST_DAYS: Final = 90
MOST_BATCHES: Final = 200


class Level(NamedTuple):
    price: Decimal
    title: str
    mood: str


def chart(
    kind: str,
    points: Sequence[dict[str, Any]],
    summary: str,
    table: str,
    *,
    decimals: int,
    levels: Iterable[Level] = (),
) -> SafeString:
    """A chart of candles, of a line or of bars, oldest point first; `summary` says in a sentence what it shows."""
    given = {
        "kind": kind,
        "decimals": decimals,
        "points": points,
        "levels": [{"price": float(price), "title": title, "mood": mood} for price, title, mood in levels],
    }
    context = {"given": json.dumps(given), "summary": summary, "table": table}
    return SafeString(render_to_string("admin/chart.html", context))


# --- the price of an instrument, with open positions' levels ---------------------------------------------


def price_chart(symbol: str) -> str:
    """Mid prices of the last 24 hours, half an hour a candle; entry, stop loss and take profit of the largest open
    positions. Empty for a symbol that isn't one."""
    instrument = Instrument.objects.filter(symbol=symbol).first()
    if instrument is None:
        return ""
    since = clock.now() - SPAN  # prices are dated by real time
    found = Candle.objects.filter(instrument_id=symbol, minute__gte=since).order_by("minute")
    rows = found.values_list("minute", "open", "high", "low", "close")
    candles = [_candle(at, list(part)) for at, part in groupby(rows, key=lambda row: _step_of(row[0]))]
    if not candles:
        return "No price was said in the last 24 hours."
    largest = Position.objects.filter(instrument_id=symbol).order_by("-quantity", "pk")
    positions = list(largest.select_related("instrument")[:MOST_POSITIONS])
    last, decimals = candles[-1], instrument.price_decimals
    summary = (
        f"{symbol}, mid prices of the last 24 hours: from {min(one[3] for one in candles):,.{decimals}f} to"
        f" {max(one[2] for one in candles):,.{decimals}f}, last {last[4]:,.{decimals}f}."
        f" Entry, stop loss and take profit of the {len(positions)} largest open positions."
    )
    points = [_ohlc(*one) for one in candles]
    table = _tables(candles, positions, decimals)
    return chart("candles", points, summary, table, decimals=decimals, levels=_levels(positions))


def _step_of(minute: datetime) -> datetime:
    seconds = int(minute.timestamp())
    return datetime.fromtimestamp(seconds - seconds % int(STEP.total_seconds()), UTC)


def _candle(at: datetime, rows: list[Any]) -> tuple[datetime, Decimal, Decimal, Decimal, Decimal]:
    return at, rows[0][1], max(row[2] for row in rows), min(row[3] for row in rows), rows[-1][4]


def _ohlc(at: datetime, first: Decimal, high: Decimal, low: Decimal, last: Decimal) -> dict[str, Any]:
    prices = {"open": float(first), "high": float(high), "low": float(low), "close": float(last)}
    return {"time": int(at.timestamp()), **prices}


def _levels(positions: Iterable[Position]) -> list[Level]:
    found = []
    for one in positions:
        named = (("entry", one.open_price), ("stop", one.stop_loss), ("target", one.take_profit))
        found += [Level(price, f"{mood} {one.code[-6:]}", mood) for mood, price in named if price is not None]
    return found


def _tables(candles: Sequence[Any], positions: Iterable[Position], decimals: int) -> str:
    levels = [
        (
            shown.link("trades_order", one.pk, one.code),
            one.side,
            shown.number(one.quantity),
            price_text(one, one.open_price),
            price_text(one, one.stop_loss),
            price_text(one, one.take_profit),
        )
        for one in positions
    ]
    prices = [(shown.timestamp(at), *(shown.number(price, decimals) for price in rest)) for at, *rest in candles[::-1]]
    headers = ("Order", "Side", "Quantity", "Entry", "Stop loss", "Take profit")
    return SafeString(
        shown.table(headers, levels, "No position is open.")
        + shown.table(("From (UTC)", "Open", "High", "Low", "Close"), prices, "No price.")
    )


# --- a customer's balance ------------------------------------------------------------------------------


def balance_chart(customer: Customer, equity: int) -> str:
    """The margin account's balance at the end of each UTC day, by the ledger's movements, and its equity now."""
    currency = account_currency()
    days = Statement(customer.pk, None, None).by_day(MOST_MOVEMENTS)[:MOST_DAYS]
    if not days:
        return "No money moved."
    rows = [(shown.day(day), shown.amount(balance, currency)) for day, balance in days]
    points = [
        {"time": day.isoformat(), "value": float(from_base_units(balance, currency.decimals))}
        for day, balance in reversed(days)
    ]
    summary = (
        f"Balance at the end of each day with a movement, from {days[-1][0]} to {days[0][0]} (UTC), by the ledger;"
        f" now {shown.amount_text(days[0][1], currency)}, equity {shown.amount_text(equity, currency)}."
    )
    now = Level(from_base_units(equity, currency.decimals), "equity now", "entry")
    table = shown.table(("Day", "Balance"), rows, "")
    return chart("line", points, summary, table, decimals=currency.decimals, levels=[now])


# --- settlement of a day -------------------------------------------------------------------------------


def settlement_day_page(request: HttpRequest, context: dict[str, Any], opts: Any) -> HttpResponse:
    """`?day=`, of UTC and the firm's time; by itself today."""
    day, wrong = clock.firm_now().date(), ""
    try:
        day = best_execution.day_of(request.GET["day"]) if "day" in request.GET else day
    except ValueError:
        wrong = f"A day from {best_execution.FIRST} to {best_execution.LAST}, as 2026-01-31. This is today."
    found = {
        "title": "Settlement of a day",
        "opts": opts,
        "day": day.isoformat(),
        "wrong": wrong,
        "chart": _settlement_chart(day),
        "chart_scripts": SCRIPTS,
    }
    return TemplateResponse(request, "admin/settlement_day.html", {**context, **found})


def _settlement_chart(day: date) -> str:
    since = datetime.combine(day, datetime.min.time(), UTC)
    cut = SettlementBatch.objects.filter(cut_at__gte=since, cut_at__lt=since + timedelta(days=1))
    batches = list(cut.select_related("window").order_by("cut_at", "pk")[:MOST_BATCHES])
    if not batches:
        return "No batch was cut on this day."
    total, done = sum(one.trades_count for one in batches), sum(one.completed_count for one in batches)
    rows = [
        (
            shown.link("trades_settlementbatch", one.pk, shown.short_guid(one.pk)),
            shown.timestamp(one.cut_at),
            one.window or "by hand",
            one.get_state_display(),
            shown.number(one.trades_count),
            shown.number(one.completed_count),
        )
        for one in batches
    ]
    points: list[dict[str, Any]] = []
    for one in batches:  # a chart has a bar a second
        at = max(int(one.cut_at.timestamp()), points[-1]["time"] + 1 if points else 0)
        points.append({"time": at, "value": one.trades_count})
    table = shown.table(("Batch", "Cut at (UTC)", "Window", "State", "Trades", "Completed"), rows, "")
    summary = f"{len(batches)} batches by the time of their cuts: {total:,} trades, of which {done:,} are completed."
    if len(batches) == MOST_BATCHES:
        summary += f" The first {MOST_BATCHES} of the day."
    return chart("bars", points, summary, table, decimals=0)
