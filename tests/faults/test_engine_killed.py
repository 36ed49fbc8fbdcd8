"""The engine dies by kill -9, again and again, while people trade."""

from __future__ import annotations

import random
import time

import pytest

from tests.faults.trading_customers import TradingCustomers, nothing_waits
from tests.live import Live
from tests.sizes import size

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("live"), pytest.mark.faults]


@pytest.mark.parametrize("times", [size(5, 200)])
def test_an_engine_killed_under_load_loses_nothing_and_doubles_nothing(live: Live, times: int) -> None:
    """Every 200 that was seen is committed, whatever timed out has settled, and the backlog is gone at once.

    Guard: entries are acknowledged after the commit, pending ones are read first, replays answer what happened. Each
    has a test of its own, where it can't be missed by luck: test_engine_interrupted.py, test_messages_thrice.py.
    """
    moment = random.Random(12)
    with TradingCustomers(live) as customers:
        for _ in range(times):
            customers.wait_for(3)
            time.sleep(moment.uniform(0, 0.1))
            live.kill("engine")
            live.start_one("engine")
        customers.wait_for(1)

    nothing_waits(seconds=30)
    customers.were_told_the_truth(allowed={408, 500})
