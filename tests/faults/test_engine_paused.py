"""An engine that was away too long finds that another has taken its place."""

from __future__ import annotations

import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import OperationalError, connection, transaction

from accounts import streams
from tests.faults.trading_customers import TradingCustomers, nothing_waits
from tests.given import a_customer, btc_at, what_the_audit_finds
from tests.live import Live
from tests.sizes import size
from tests.trades.engine_steps import closing, opens
from trades.engine import lease as leases
from trades.engine.lease import Lease, LeaseLost
from trades.engine.process import Engine
from trades.margin.commands import GROUP, Command, decode_answer, encode, stream_name
from trades.models import Deal, EngineLease

STREAM, REPLIES = stream_name(0), "replies:paused"


def somebody_elses(lease: Lease) -> Lease:
    """Give an engine of this process the name of one on another host, whose life only its lease shows."""
    lease.holder = "another-host:1"
    return lease


def takes(lease: Lease) -> bool:
    """As an engine does, which tries again after it has waited too long for the row."""
    try:
        return lease.take()
    except OperationalError:
        return False


def runs_out() -> None:
    EngineLease.objects.update(renewed_at="2000-01-01T00:00:00Z")


@pytest.mark.django_db(transaction=True)
def test_what_a_paused_engine_had_read_its_successor_does_and_its_own_late_write_is_refused() -> None:
    """Guards: the epoch in `Lease.ask`, without which both write; XAUTOCLAIM in `Stream.begin`, without which nobody
    answers."""
    streams.client().delete(STREAM, REPLIES)
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    one, other = opens(alice), opens(alice)
    paused = Engine()
    somebody_elses(paused.lease)
    assert paused._start()
    for order in (one, other):
        close = closing(alice, order.code)
        command = Command(close.id, close.kind, alice.pk, alice.user_id, close.terms, 10_000, REPLIES)
        streams.client().xadd(STREAM, encode(command))  # type: ignore[arg-type]
    entries, reading = paused.stream.read()
    assert len(entries) == 2

    runs_out()
    successor = Engine()
    assert successor._start()
    assert successor.turn() == 2

    with pytest.raises(LeaseLost):
        paused._tick(entries, reading)
    with pytest.raises(LeaseLost):
        paused.turn()
    answers = [decode_answer(text) for text in streams.client().lrange(REPLIES, 0, -1)]
    assert [answer.status for answer in answers] == [200, 200]
    assert Deal.objects.filter(kind="close").count() == 2
    assert streams.client().xpending(STREAM, GROUP)["pending"] == 0
    assert what_the_audit_finds() == []
    successor.lease.give_back()


@pytest.mark.django_db(transaction=True)
def test_an_engine_frozen_in_the_middle_of_a_tick_does_not_keep_its_successor_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Guard: the transaction's own time limit in `Lease.ask`. Without it, the frozen tick holds its lease's row, and
    a successor waits for as long as the frozen process, or the connection of a lost host, is there."""
    if connection.pg_version < 170000:
        pytest.skip("PostgreSQL bounds transactions from 17 on")
    monkeypatch.setattr(leases, "LONGEST_TICK_SECONDS", 1)
    frozen, woken = threading.Event(), threading.Event()
    lease = somebody_elses(Lease(0))
    assert lease.take()

    def tick() -> None:
        try:
            with transaction.atomic():
                lease.check()
                frozen.set()
                woken.wait(30)
                lease.check()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(tick)
        assert frozen.wait(10)
        runs_out()
        successor, give_up = Lease(0), time.monotonic() + 20
        while not takes(successor):
            assert time.monotonic() < give_up
        woken.set()
        with pytest.raises(Exception, match=r"transaction timeout|closed"):
            late.result()
    successor.give_back()


@pytest.mark.faults
@pytest.mark.xdist_group("live")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("times", [size(1, 20)])
def test_an_engine_that_is_stopped_under_load_and_resumed_leaves_the_field_to_its_successor(
    live: Live, times: int
) -> None:
    moment = random.Random(16)
    with TradingCustomers(live) as customers:
        for _ in range(times):
            customers.wait_for(5)
            time.sleep(moment.uniform(0, 0.1))
            live.signal("engine", signal.SIGSTOP)
            live.start_one("engine", called="successor")
            customers.wait_for(10, seconds=40)
            live.signal("engine", signal.SIGCONT)
            assert live.ended("engine", 30) == 75  # try again: another one has the partition
            customers.wait_for(5)
            live.rename("successor", "engine")

    nothing_waits()
    customers.were_told_the_truth(allowed={408, 500})
