"""Celery's way in, called as a worker calls it: from a message's arguments, twice, and with a lost mark."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.core.cache import cache

from accounts.identity import SYSTEM
from brokerage.celery import app
from quotes import prices
from tests.given import a_customer, a_cut, a_quote, a_settling_buy, an_exit_quote, btc, btc_at, executes, states
from trades import tasks
from trades.models import SettlementBatch, SettlementWindow
from trades.settlement.approval import confirm

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _prices():
    btc_at("40_000.00")
    yield
    cache.clear()


def test_every_task_on_the_beat_exists():
    app.loader.import_default_modules()

    assert {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()} <= set(app.tasks)
    assert "trades.tasks.advance" in app.tasks


def test_advancing_twice_is_advancing_once():
    alice = a_customer(with_usd="100.00")
    trade = executes(a_quote(alice, deliver=9_000))

    for _ in range(2):
        tasks.advance([trade.pk.hex])

    assert states(trade) == ["settling"]


def test_the_sweeper_keeps_its_mark_and_does_without_it():
    alice = a_customer(with_usd="100.00")
    first = executes(a_quote(alice, deliver=1_000))
    tasks.sweep()
    assert states(first) == ["settling"]

    second = executes(a_quote(alice, deliver=1_000))
    cache.clear()
    tasks.sweep()
    assert states(second) == ["settling"]


def test_a_nudge_for_a_trade_that_does_not_exist_does_nothing():
    tasks.advance(["0" * 32])


def test_trades_advance_without_any_price():
    alice = a_customer(with_usd="100.00")
    trade = executes(a_quote(alice, deliver=1_000))
    prices.forget()

    tasks.advance([trade.pk.hex])

    assert states(trade) == ["settling"]


def test_the_beat_cuts_what_is_due_and_settles_what_is_confirmed():
    alice = a_customer(with_usd="10_000.00")
    bought = a_settling_buy(alice, btc("0.1"))
    sold = executes(an_exit_quote(bought))
    tasks.advance([sold.pk.hex])
    SettlementWindow.objects.update(cron="* * * * *", calendar="", created_at="2026-01-01T00:00Z")

    for _ in range(2):
        tasks.cut_due()
        tasks.settle_open()

    assert states(bought, sold) == ["completed", "completed"]
    assert set(SettlementBatch.objects.values_list("state", flat=True)) == {"completed"}


def test_a_batch_that_nobody_confirmed_is_left_alone():
    alice = a_customer(with_usd="10_000.00")
    bought = a_settling_buy(alice, btc("0.1"))
    batch = a_cut()

    tasks.settle_open()
    assert states(bought) == ["settling"]

    confirm(batch.pk, by=SYSTEM, at=bought.created_at)
    tasks.settle_open()
    assert states(bought) == ["completed"]
