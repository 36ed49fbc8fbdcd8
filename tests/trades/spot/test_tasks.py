"""Celery's way in, called as a worker calls it: from a message's arguments, twice, and with a lost mark."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest
from celery.signals import after_task_publish
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts import clock
from accounts.identity import SYSTEM
from brokerage.celery import app
from quotes import prices
from tests.aged import aged
from tests.given import a_customer, a_cut, a_quote, a_settling_buy, an_exit_quote, btc, btc_at, executes, states
from tests.races.together import together
from tests.windows import scheduled
from trades import tasks
from trades.low_water import STORING, forget, highest, low_water
from trades.models import SettlementBatch, SettlementLeg, Trade
from trades.settlement.approval import confirm
from trades.settlement.cut import cut_now
from trades.settlement.legs import fail_leg, settle_leg
from trades.settlement.settler_slots import settler_slot

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _prices():
    btc_at("40_000.00")


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
    assert highest(clock.now()) >= low_water([STORING]) > highest(clock.now() - timedelta(seconds=30))

    second = aged(executes(a_quote(alice, deliver=1_000)), timedelta(hours=1))
    tasks.sweep()
    assert states(second) == ["storing"]  # it came from nowhere, below the mark
    forget()
    tasks.sweep()
    assert states(second) == ["settling"]


def test_a_message_about_a_trade_that_does_not_exist_does_nothing():
    tasks.advance(["0" * 32])


def test_trades_wait_in_storing_for_a_price():
    alice = a_customer(with_usd="100.00")
    trade = executes(a_quote(alice, deliver=1_000))
    prices.forget()

    tasks.advance([trade.pk.hex])
    assert states(trade) == ["storing"]

    btc_at("40_000.00")
    tasks.sweep()
    assert states(trade) == ["settling"]


def test_the_beat_cuts_what_is_due_and_settles_what_is_confirmed():
    alice = a_customer(with_usd="10_000.00")
    bought = aged(executes(a_quote(alice, receive=btc("0.1"))), timedelta(minutes=3))
    tasks.advance([bought.pk.hex])
    sold = aged(executes(an_exit_quote(Trade.objects.get(pk=bought.pk))), timedelta(minutes=2))
    tasks.advance([sold.pk.hex])
    scheduled(cron="* * * * *", calendar="", since=timezone.now() - timedelta(hours=1))

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


# --- settler slots ---------------------------------------------------------------------------------


@pytest.fixture
def woken():
    """The slot numbers of the workers that were woken."""
    numbers: list[int] = []

    def note(sender: str, body: tuple[list[int], ...], **_: object) -> None:
        if sender == "trades.tasks.settle_open":
            numbers.extend(body[0])

    after_task_publish.connect(note)
    yield numbers
    after_task_publish.disconnect(note)


def two_settling_buys() -> Trade:
    bought = [a_settling_buy(a_customer(name, with_usd="100.00"), 10_000) for name in ("alice", "bob")]
    confirm(a_cut().pk, by=SYSTEM, at=bought[0].created_at)
    return bought[0]


def test_a_batch_with_work_for_two_wakes_one_more_worker_who_wakes_nobody(woken, monkeypatch):
    monkeypatch.setattr(tasks, "CHUNK", 1)
    bought = two_settling_buys()

    tasks.settle_open(settings.SETTLERS - 1)
    assert (woken, states(bought)) == ([], ["completed"])

    two_settling_buys()
    tasks.settle_open()
    assert woken == [1]


def test_a_batch_of_one_slice_wakes_nobody(woken):
    two_settling_buys()

    tasks.settle_open()

    assert woken == []


@pytest.mark.django_db(transaction=True)
def test_a_worker_whose_slot_is_taken_leaves_the_batches_to_the_other():
    """Guard: the slot. Without it each run by the beat would take one more worker from what clients wait for."""
    bought = two_settling_buys()

    with settler_slot(0):
        assert together([tasks.settle_open]) == [None]
        assert states(bought) == ["settling"]
        assert together([partial(tasks.settle_open, 1)]) == [None]
    assert states(bought) == ["completed"]
    with settler_slot(0) as is_free:
        assert is_free


# --- batches that wait for their legs --------------------------------------------------------------


@pytest.fixture
def waiting():
    """A confirmed batch whose legs nobody has reported."""
    a_settling_buy(a_customer(with_usd="10_000.00"), btc("0.1"))
    batch = cut_now(at=timezone.now(), by=SYSTEM, legs_are_automatic=False)
    return confirm(batch.pk, by=SYSTEM, at=timezone.now())


def settles_quietly(caplog) -> list[str]:
    """What a turn of the settler says."""
    caplog.clear()
    with caplog.at_level("INFO", logger="trades.tasks"):
        tasks.settle_open()
    return [record.getMessage().split(": ", 1)[1] for record in caplog.records if record.name == "trades.tasks"]


def test_a_batch_that_waits_for_its_legs_is_talked_about_once_per_change(waiting, caplog):
    assert settles_quietly(caplog) == ["0 of 1 trades completed, waits for the legs of BTC, USD"]
    assert settles_quietly(caplog) == settles_quietly(caplog) == []

    for leg in SettlementLeg.objects.filter(batch=waiting):
        settle_leg(leg.pk, actual=int(leg.expected), reference="", by=SYSTEM, at=timezone.now())
    assert settles_quietly(caplog) == ["1 of 1 trades completed"]
    assert settles_quietly(caplog) == []


def test_looking_at_a_batch_that_waits_is_a_handful_of_queries_and_never_a_loop(waiting):
    tasks.settle_open()

    with CaptureQueriesContext(connection) as asked:
        tasks.settle_open()

    assert len(asked) <= 15


def test_a_failed_leg_is_due_again_by_the_beat_when_its_pause_is_over(waiting):
    tasks.settle_open()
    leg = SettlementLeg.objects.get(asset="BTC")
    fail_leg(leg.pk, failure="closed", by=SYSTEM, at=timezone.now())

    tasks.retry_legs()
    leg.refresh_from_db()
    assert leg.status == "failed"

    SettlementLeg.objects.filter(pk=leg.pk).update(next_attempt_at=timezone.now() - timedelta(seconds=1))
    for _ in range(2):
        tasks.retry_legs()
    leg.refresh_from_db()
    assert (leg.status, leg.attempts) == ("pending", 1)
