"""What charts are drawn from: the same figures as their tables, by one query, of whoever may read them."""

from __future__ import annotations

import hashlib
import html
import json
import re
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts import clock, deeds
from accounts.identity import SYSTEM
from accounts.models import LedgerAccount
from quotes.candles import make_months, minute_of
from quotes.models import Candle
from tests.admin.actions import browser_with, page, shown
from tests.given import a_customer, a_settling_buy, balance, btc, btc_at, deposit, usd
from tests.trades.engine_steps import opens
from trades.admin import charts
from trades.reads.statement import Statement
from trades.settlement.cut import cut_now

pytestmark = pytest.mark.django_db

EXPOSURE = "admin:trades_position_exposure"
DAY = "admin:trades_settlementbatch_settlement_of_a_day"
FILE = Path(settings.BASE_DIR) / "brokerage/static/lightweight-charts/lightweight-charts.standalone.production.js"


def drawn(answer: Any) -> dict[str, Any]:
    found = re.search(r'data-chart="([^"]*)"', answer.content.decode())
    assert found, "no chart"
    chart: dict[str, Any] = json.loads(html.unescape(found[1]))
    return chart


def candles(*closes: str) -> None:
    """A candle a minute until now."""
    last = minute_of(clock.now())
    minutes = [last - timedelta(minutes=len(closes) - 1 - number) for number in range(len(closes))]
    make_months(minutes)
    for minute, text in zip(minutes, closes, strict=True):
        price = Decimal(text)
        Candle.objects.create(instrument_id="BTC-USD", minute=minute, open=price, high=price, low=price, close=price)


def test_the_price_is_drawn_with_open_positions_levels_and_stands_as_a_table(browser):
    btc_at("40_000.00")
    order = opens(a_customer("alice", with_usd="100_000.00"), quantity="0.1", stopLoss="39000", takeProfit="42000")
    candles("39500", "40500", "40100")

    answer = browser.get(reverse(EXPOSURE), {"symbol": "BTC-USD"})

    chart = drawn(answer)
    assert chart["kind"] == "candles"
    assert min(one["low"] for one in chart["points"]) == 39500
    assert chart["points"][-1]["close"] == 40100
    assert [one["time"] for one in chart["points"]] == sorted({one["time"] for one in chart["points"]})
    assert {level["mood"]: level["price"] for level in chart["levels"]} == {
        "entry": float(order.open_price),
        "stop": 39000,
        "target": 42000,
    }
    text = shown(answer)
    for wanted in ("from 39,500.00 to 40,500.00, last 40,100.00", "39,000.00", "42,000.00", order.code, "As a table"):
        assert wanted in text


def test_a_symbol_without_prices_and_one_that_is_none_have_no_chart(browser):
    assert "No price was said in the last 24 hours." in shown(browser.get(reverse(EXPOSURE), {"symbol": "BTC-USD"}))
    assert "data-chart" not in browser.get(reverse(EXPOSURE), {"symbol": '"><script>'}).content.decode()
    assert "data-chart" not in browser.get(reverse(EXPOSURE)).content.decode()


def test_a_balance_is_drawn_from_the_ledger_and_ends_at_what_is_there_now(browser):
    btc_at("40_000.00")
    alice = a_customer("alice", with_usd="10_000.00")
    opens(alice, quantity="0.1")  # reserved margin is still the customer's
    deposit(alice, "USD", "5.50")

    answer = browser.get(page("accounts_customer", alice.pk))

    chart = drawn(answer)
    assert chart["kind"] == "line"
    assert chart["points"][-1]["value"] == 10_005.5
    assert "now 10,005.50 USD, equity" in shown(answer)
    held = LedgerAccount.objects.filter(customer=alice, asset="USD", type__in=("available", "margin"))
    assert sum(one.credits - one.debits for one in held) == usd("10_005.50") > balance(alice)


def test_balances_by_day_are_those_of_the_statement():
    """However few of the movements are looked at: the end of a day depends on later days only, so that of a customer
    who moved more often today than is looked at is told as well."""
    alice = a_customer("alice", with_usd="100.00")
    deposit(alice, "USD", "20.00")
    deposit(alice, "USD", "3.00")
    statement = Statement(alice.pk, None, None)
    ends = {entry.time.date(): entry.balance for entry in statement.after(statement.opening(), 100)}
    newest = max(ends)

    for looked_at in (1, 2, 3, 100):
        told = statement.by_day(looked_at)
        assert told[0] == (newest, usd("123.00"))
        assert told == sorted(((day, ends[day]) for day, _ in told), reverse=True)
    assert dict(statement.by_day(3)) == ends
    assert Statement(a_customer("bob").pk, None, None).by_day(100) == []


def test_a_balance_is_drawn_though_more_moved_today_than_is_looked_at(browser, monkeypatch):
    monkeypatch.setattr(charts, "MOST_MOVEMENTS", 2)
    alice = a_customer("alice", with_usd="100.00")
    deposit(alice, "USD", "20.00")

    answer = browser.get(page("accounts_customer", alice.pk))

    assert drawn(answer)["points"][-1]["value"] == 120
    assert "No money moved." not in shown(answer)


def test_the_largest_positions_are_those_of_the_most_money_not_of_the_most_margin(browser, monkeypatch):
    """Guard: the order in `price_chart`. With a high leverage little margin stands for much."""
    monkeypatch.setattr(charts, "MOST_POSITIONS", 1)
    btc_at("40_000.00")
    small = opens(a_customer("alice", with_usd="100_000.00"), quantity="0.1", leverage=1)
    large = opens(a_customer("bob", with_usd="100_000.00"), quantity="0.5", leverage=20)
    assert int(small.margin) > int(large.margin)
    candles("39500", "40500", "40100")

    text = shown(browser.get(reverse(EXPOSURE), {"symbol": "BTC-USD"}))

    table = text[text.index("Stop loss Take profit") :]
    assert large.code in table
    assert small.code not in table


def test_a_days_settlement_has_a_bar_a_batch(browser):
    btc_at("40_000.00")
    alice = a_customer("alice", with_usd="50_000.00")
    noon = timezone.now().replace(hour=12, minute=0, second=0, microsecond=0) + timedelta(days=1)
    for count, at in ((2, noon), (1, noon + timedelta(seconds=1))):  # of one day, whatever the time is now
        for _ in range(count):
            a_settling_buy(alice, btc("0.1"))
        cut_now(at=at, by=SYSTEM)

    answer = browser.get(reverse(DAY), {"day": noon.date().isoformat()})

    chart = drawn(answer)
    assert [one["value"] for one in chart["points"]] == [2, 1]
    assert chart["points"][0]["time"] < chart["points"][1]["time"]
    assert "2 batches by the time of their cuts: 3 trades, of which 0 are completed." in shown(answer)
    with CaptureQueriesContext(connection) as asked:
        browser.get(reverse(DAY))
    assert len(asked.captured_queries) <= 8


@pytest.mark.parametrize("odd", ["", "yesterday", "2026-02-30", "9" * 300, "\x00", "0001-01-01", "9999-12-31"])
def test_a_day_that_is_none_is_said(browser, odd):
    answer = browser.get(reverse(DAY), {"day": odd})

    assert answer.status_code == 200
    assert "as 2026-01-31. This is today." in shown(answer)


def test_who_may_not_read_the_list_sees_no_chart():
    assert browser_with(deeds.SUPPORT).get(reverse(DAY)).status_code == 403
    alice = a_customer("alice", with_usd="10.00")
    for role in deeds.ROLES:
        answer = browser_with(role).get(page("accounts_customer", alice.pk))
        if answer.status_code == 200:
            may = "accounts_transfer" in deeds.READS[role]
            assert ("data-chart" in answer.content.decode()) == may, role


def test_the_library_is_the_one_that_its_page_names():
    """Of the npm package, unchanged: brokerage/static/lightweight-charts/README.md."""
    wanted = "e21cc5caa0226ef30bd8549c50b9ef926615f2a4ee6b4e486353477a55f598cf"
    assert hashlib.sha256(FILE.read_bytes()).hexdigest() == wanted
    assert "Apache License" in (FILE.parent / "LICENSE").read_text()
