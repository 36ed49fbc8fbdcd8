"""The page of the firm's exposure: by symbol, by customer, and what other prices would stop out."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from accounts.admin import shown
from accounts.errors import Refusal
from accounts.models import Customer
from quotes.symbols import canonical
from trades.admin.charts import SCRIPTS, price_chart
from trades.admin.navigation import may_see
from trades.admin.order_events import account_currency
from trades.admin.risk_limits import limits_shown
from trades.admin.wellness import prices_or_none
from trades.instruments.stress import Stressed, stress
from trades.reads import exposure
from trades.reads.exposure import Exposure

PAGE = "admin:trades_position_exposure"
MOST_CUSTOMERS = 20
SUMS = ("Positions", "Long", "Short", "Net", "Floating profit", "Margin")


def exposure_page(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """`?symbol=` narrows customers down to a symbol, and runs the book at other prices of it."""
    symbol, prices = canonical(request.GET.get("symbol", "")), prices_or_none()
    found = {
        "title": f"Exposure in {symbol}" if symbol else "Exposure",  # no `opts`: it is no page of open positions
        "symbol": symbol,
        "page": reverse(PAGE),
        "symbols": _symbols(exposure.by_symbol(prices)),
        "customers": _customers(exposure.by_customer(prices, MOST_CUSTOMERS, symbol)),
        "is_priced": prices is not None,
        "limits": limits_shown() if not symbol and may_see(request, "trades_risklimit") else "",
        **(_stress(symbol) if symbol else {}),
        "chart": price_chart(symbol) if symbol else "",
        "chart_scripts": SCRIPTS if symbol else (),
    }
    return TemplateResponse(request, "admin/exposure.html", {**context, **found})


def _symbols(rows: list[Exposure]) -> str:
    listed: list[tuple[SafeString | str, ...]] = [
        (
            _link(row.of, row.of),
            _count(row),
            shown.number(row.long_quantity),
            shown.number(row.short_quantity),
            shown.number(row.net_quantity),
            *_money(row),
        )
        for row in rows
    ]
    if len(rows) > 1:
        listed.append(("Together", _count_of(rows), *[shown.number(None)] * 3, *_money(*rows)))
    headers = ("Symbol", "Positions", "Quantity long", "Quantity short", "Quantity net", *SUMS[1:])
    return shown.table(headers, listed, "No position is open.")


def _customers(rows: list[Exposure]) -> str:
    names = Customer.objects.select_related("user").in_bulk([row.of for row in rows])
    listed = [(_account(row, names.get(row.of)), _count(row), *_money(row)) for row in rows]
    return shown.table(("Customer", *SUMS), listed, "No position is open.")


def _account(row: Exposure, customer: Customer | None) -> SafeString | str:
    return shown.link("trades_marginaccount", row.of, shown.cut(customer or row.of))


def _count(row: Exposure) -> SafeString:
    return _count_of([row])


def _count_of(rows: list[Exposure]) -> SafeString:
    count, unpriced = sum(row.longs + row.shorts for row in rows), sum(row.unpriced for row in rows)
    text = shown.number(count)
    return format_html("{} {}", text, shown.chip(f"{unpriced:,} without a price", {})) if unpriced else text


def _money(*rows: Exposure) -> tuple[SafeString, ...]:
    currency = account_currency()
    return (
        shown.amount(sum(row.long_worth for row in rows), currency),
        shown.amount(sum(row.short_worth for row in rows), currency),
        shown.gain(sum(row.net_worth for row in rows), currency),
        shown.gain(sum(row.floating for row in rows), currency),
        shown.amount(sum(row.margin for row in rows), currency),
    )


def _stress(symbol: str) -> dict[str, Any]:
    """What would stop out at other prices of a symbol, and whom."""
    try:
        found = stress(symbol)
    except Refusal as refusal:
        return {"stress": refusal.text, "stressed_customers": ""}
    currency = account_currency()
    rows = [
        (
            shown.number(one.percent),
            shown.number(one.statement.bid),
            shown.number(one.statement.ask),
            shown.number(one.statement.stop_outs),
            shown.number(one.statement.stopped_out),
            shown.gain(one.result, currency),
            shown.number(one.statement.borne, 2),
            shown.number(one.statement.stop_losses + one.statement.trailing_stops + one.statement.take_profits),
            shown.number(one.statement.called),
        )
        for one in found
    ]
    headers = ("Price, %", "Bid", "Ask", "Accounts stopped out", "Positions", "They bring", "The firm bears")
    table = shown.table((*headers, "Stops and targets", "Called"), rows, "Nothing.")
    return {"stress": table, "stressed_customers": _stressed_customers(found)}


def _stressed_customers(found: list[Stressed]) -> str:
    """Those who lose most at any of the prices, each with how many positions go and what that brings, by price."""
    worst: dict[Any, int] = {}
    for one in found:
        for customer, result in one.results.items():
            worst[customer] = min(result, worst.get(customer, result))
    first = sorted(worst, key=lambda customer: (worst[customer], customer))[:MOST_CUSTOMERS]
    names = Customer.objects.select_related("user").in_bulk(first)
    rows = [
        (
            shown.link("trades_marginaccount", customer, shown.cut(names.get(customer, customer))),
            *(_stopped(one, customer) for one in found),
        )
        for customer in first
    ]
    return shown.table(("Customer", *(f"{one.percent:+f} %" for one in found)), rows, "Nobody is stopped out.")


def _stopped(one: Stressed, customer: Any) -> SafeString | str:
    if customer not in one.positions:
        return shown.number(None)
    return format_html("{} {}", one.positions[customer], shown.gain(one.results[customer], account_currency()))


def _link(symbol: str, text: str) -> SafeString:
    return format_html('<a class="admin-link" href="{}?{}">{}</a>', reverse(PAGE), urlencode({"symbol": symbol}), text)
