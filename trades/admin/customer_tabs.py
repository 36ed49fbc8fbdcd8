"""What a customer's page shows beside the customer: the newest of everything of theirs, a tab each.

Each tab is a query or two, whatever there is; the lists have the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from accounts.admin import shown
from accounts.models import Asset, Customer, KnownAddress, LedgerAccount, Transfer
from accounts.money import printed
from trades.admin.charts import balance_chart
from trades.admin.margin_levels import figures_of
from trades.admin.order_columns import STATUSES, price_text
from trades.admin.order_events import account_currency
from trades.admin.trades import STATES as TRADE_STATES
from trades.admin.wellness import prices_or_none
from trades.margin.pricing import NOTHING
from trades.models import Correction, MarginAccount, Order, Position, Trade
from trades.reads.figures import Figures, floating
from trades.spendable import rates_by
from trades.states import OrderStatus

SHOWN = 20
CORRECTIONS = {"proposed": "warning", "applying": "info", "applied": "success", "rejected": ""}
STATEMENT = "admin:accounts_customer_statement"


def account_of(customer: Customer) -> tuple[MarginAccount, Figures]:
    """What is noted about the margin account, and its figures; asked once a page."""
    if not hasattr(customer, "_account"):
        found = figures_of([customer.pk], account_currency(), prices_or_none())[customer.pk]
        customer._account = found  # type: ignore[attr-defined]
    return customer._account  # type: ignore[attr-defined, no-any-return]


def positions(customer: Customer) -> str:
    now = prices_or_none()
    rates = rates_by(now.by_symbol if now else {})
    found = Position.objects.filter(customer=customer).select_related("instrument").order_by("-pk")
    rows = []
    for one in found[:SHOWN]:
        assert one.open_price is not None, "an open order has its price"
        current, profit = floating(
            one.instrument_id,
            one.side,
            one.quantity,
            one.open_price,
            one.realized or NOTHING,
            now,
            rates,
        )
        rows.append(
            (
                shown.link("trades_order", one.pk, one.code),
                _what(one),
                price_text(one, one.open_price),
                price_text(one, current),
                shown.gain(profit, account_currency()),
                shown.amount(one.margin, account_currency()),
                shown.timestamp(one.opened_at),
            )
        )
    headers = ("Order", "What", "Open price", "Price now", "Floating profit", "Margin", "Opened")
    return _with_list(shown.table(headers, rows, "No position is open."), "trades_position", customer)


def orders(customer: Customer) -> str:
    """Those that wait or are closed, the newest first."""
    found = Order.objects.filter(customer=customer).exclude(status=OrderStatus.OPEN).select_related("instrument")
    rows = [
        (
            shown.link("trades_order", one.pk, one.code),
            _what(one),
            price_text(one, one.open_price if one.open_price is not None else one.price),
            price_text(one, one.close_price),
            shown.gain(one.profit, account_currency()),
            shown.chip(one.status, STATUSES, one.close_reason.replace("_", " ")),
            shown.timestamp(one.created_at),
        )
        for one in found.order_by("-pk")[:SHOWN]
    ]
    headers = ("Order", "What", "Opens at", "Close price", "Profit", "Status", "Created")
    return _with_list(shown.table(headers, rows, "No order waits or was closed."), "trades_order", customer)


def trades(customer: Customer) -> str:
    found = Trade.objects.filter(customer=customer).select_related("receive_asset", "deliver_asset").order_by("-pk")
    rows = [
        (
            shown.link("trades_trade", one.pk, shown.short_guid(one.pk)),
            shown.amount(one.receive_amount, one.receive_asset),
            shown.amount(one.deliver_amount, one.deliver_asset),
            shown.chip(one.state, TRADE_STATES, (one.failure_code or "").replace("_", " ")),
            shown.timestamp(one.created_at),
        )
        for one in found[:SHOWN]
    ]
    headers = ("Trade", "Receives", "Delivers", "State", "Created")
    return _with_list(shown.table(headers, rows, "No trade."), "trades_trade", customer)


def money(customer: Customer) -> str:
    """The newest movements, and the statement of each asset as a file."""
    assets = LedgerAccount.objects.filter(customer=customer).order_by("asset_id").values_list("asset_id", flat=True)
    files = format_html_join(
        " · ",
        '<a class="admin-link" href="{}?{}">{}</a>',
        ((reverse(STATEMENT, args=[customer.pk]), urlencode({"asset": code}), code) for code in assets.distinct()),
    )
    found = Transfer.objects.filter(customer=customer).select_related("asset", "debit_account", "credit_account")
    rows = [
        (
            shown.timestamp(one.at),
            shown.link("accounts_transfer", one.pk, one.kind),
            one.debit_account.type,
            one.credit_account.type,
            shown.amount(one.amount, one.asset),
        )
        for one in found.order_by("-pk")[:SHOWN]
    ]
    table = shown.table(("At", "What", "Debited", "Credited", "Amount"), rows, "No money moved.")
    listed = _with_list(table, "accounts_transfer", customer)
    if not files:
        return listed
    chart = balance_chart(customer, account_of(customer)[1].equity)
    return format_html("{}<p>Statement as CSV: {}</p>{}", chart, files, listed)


def corrections(customer: Customer) -> str:
    found = Correction.objects.filter(customer=customer).select_related("asset", "made_by", "checked_by")
    rows = [
        (
            shown.timestamp(one.made_at),
            shown.link("trades_correction", one.pk, one.get_kind_display()),
            _amount(one.amount, one.asset),
            shown.chip(one.state, CORRECTIONS),
            shown.who(one.made_by),
            shown.who(one.checked_by, otherwise=shown.NOTHING),
            shown.cut(one.reason),
        )
        for one in found.order_by("-pk")[:SHOWN]
    ]
    headers = ("At", "What", "Amount", "State", "Maker", "Checker", "Reason")
    return _with_list(shown.table(headers, rows, "None."), "trades_correction", customer)


def logins(customer: Customer) -> str:
    """Whether the login is on, and from where it was used."""
    user = customer.user
    if user is None:
        return "Nobody logs in for this customer."
    found: QuerySet[KnownAddress] = KnownAddress.objects.filter(user=user).order_by("-last_at")
    rows = [(shown.cut(one.address), shown.day(one.last_at.date())) for one in found[:SHOWN]]
    table = shown.table(("Address", "Last login, to the day"), rows, "No login is known.")
    state = shown.chip("on" if user.is_active else "off", {"on": "success", "off": "danger"})
    return format_html("<p>{} {}</p>{}", shown.link("accounts_user", user.pk, user.email), state, table)


def _what(order: Order) -> SafeString:
    return format_html(
        '<span class="admin-whole">{} {} {}</span>', order.side, printed(order.quantity), order.instrument_id
    )


def _amount(amount: Any, asset: Asset | None) -> SafeString:
    return shown.number(None) if amount is None or asset is None else shown.amount(amount, asset)


def _with_list(table: str, model: str, customer: Customer) -> SafeString:
    mine: Mapping[str, Any] = {"customer__id__exact": customer.pk}
    return format_html('{}<p class="admin-note">{}</p>', table, shown.list_link(model, mine, "All of them"))
