"""Two partitions, each with an engine and a lease of its own; and never two numbers of partitions at once."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.conf import settings
from django.db import connection

from accounts import streams
from accounts.ids import partition_of
from tests.faults.trading_customers import TradingCustomers, nothing_waits
from tests.live import Live
from trades.engine.lease import Lease, LeaseLost
from trades.models import EngineLease

BOTH = {"ENGINE_PARTITIONS": "2"}


@pytest.fixture
def two(django_db_setup: None) -> Iterator[Live]:
    """A web process and `run_engine --partitions 2`, on tables as empty as a new installation's."""
    streams.client().flushdb()
    EngineLease.objects.all().delete()
    running = Live(("both engines", "web"), BOTH)
    running.commands["both engines"] = (*running.commands["engine"], "--partitions", "2")
    running.start()
    settings.ENGINE_PARTITIONS = 2
    yield running
    settings.ENGINE_PARTITIONS = 1
    running.stop()
    EngineLease.objects.all().delete()


@pytest.mark.django_db(transaction=True)
@pytest.mark.xdist_group("live")
def test_both_serve_and_a_killed_one_is_started_again_while_another_number_is_kept_out(two: Live) -> None:
    """Guards: the number in `Lease.take`; `_All.run` starting again what ended."""
    customers = TradingCustomers(two, people=8)
    while len({partition_of(one.pk) % 2 for one in customers.rows}) < 2:
        customers = TradingCustomers(two, people=8)
    of = {one.pk.hex[-6:]: partition_of(one.pk) % 2 for one in customers.rows}

    def both_serve(seconds: float = 30) -> None:
        """Somebody of either partition is told 200 from now on."""
        seen, give_up = len(customers.said), time.monotonic() + seconds
        while len({of[s.name[:6]] for s in customers.said[seen:] if (s.what, s.status) == ("create", 200)}) < 2:
            assert time.monotonic() < give_up
            time.sleep(0.02)

    with customers:
        both_serve()
        before = dict(EngineLease.objects.values_list("partition", "epoch"))
        os.kill(int(EngineLease.objects.get(partition=1).holder.rpartition(":")[2]), signal.SIGKILL)
        give_up = time.monotonic() + 30  # answers given just before the kill may still arrive: they show nothing
        while EngineLease.objects.get(partition=1).epoch == before[1] and time.monotonic() < give_up:
            time.sleep(0.02)
        both_serve()
        now = dict(EngineLease.objects.values_list("partition", "epoch"))
        assert (now[0], now[1]) == (before[0], before[1] + 1)

        two.start_one("engine", extra={"ENGINE_PARTITIONS": "1"})
        give_up = time.monotonic() + 20
        while "an engine runs for 2 partitions, this one for 1" not in two.log.read_text():
            assert time.monotonic() < give_up
            time.sleep(0.1)
        both_serve()
        assert dict(EngineLease.objects.values_list("partition", "epoch")) == now
        two.kill("engine")

    nothing_waits(0)
    nothing_waits(1)
    customers.were_told_the_truth(allowed={408, 500})


def of_host(name: str, partition: int, partitions: int) -> Lease:
    lease = Lease(partition, partitions)
    lease.holder = f"{name}:1"
    return lease


@pytest.mark.django_db(transaction=True)
def test_a_paused_engine_of_another_number_writes_nothing_when_it_wakes() -> None:
    """Guard: a taker raises the epochs of those who believe in another number. Without it, two engines go on to serve
    the same customers: nobody ever takes the row of the paused one."""
    EngineLease.objects.all().delete()
    paused = of_host("paused", 1, 2)
    assert paused.take()
    EngineLease.objects.update(renewed_at="2000-01-01T00:00:00Z")
    assert of_host("other", 0, 1).take()

    with pytest.raises(LeaseLost):
        paused.renew()
    EngineLease.objects.all().delete()


@pytest.mark.django_db(transaction=True)
def test_of_two_numbers_at_the_same_moment_one_gets_in() -> None:
    """Guard: the advisory lock in `Lease.take`. Without it neither sees that the other is about to take a lease."""
    for _ in range(20):
        EngineLease.objects.all().delete()
        gate = threading.Barrier(2)

        def take(lease: Lease, gate: threading.Barrier = gate) -> bool:
            try:
                connection.ensure_connection()
                gate.wait(10)
                return lease.take()
            finally:
                connection.close()

        with ThreadPoolExecutor(2) as pool:
            taken = [pool.submit(take, of_host(f"host-{n}", n - 1, n)) for n in (1, 2)]
        assert [one.result() for one in taken].count(True) == 1
    EngineLease.objects.all().delete()
