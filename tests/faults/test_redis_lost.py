"""Redis restarts, is emptied, is gone or frozen while people trade.

Nothing in it is the truth: whoever was told 200 keeps what they were told, everybody else gets an answer within five
seconds whose outcome has settled, and trading goes on by itself when Redis is back.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from django.conf import settings

from accounts import streams
from tests.faults.own_redis import OwnRedis, own_redis
from tests.faults.trading_customers import TradingCustomers, nothing_waits
from tests.live import Live
from tests.sizes import size

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("live"), pytest.mark.faults]


@pytest.fixture(scope="module")
def redis_(django_db_setup: None) -> Iterator[OwnRedis]:
    with own_redis(settings) as server:
        yield server


@pytest.fixture(scope="module")
def live(redis_: OwnRedis) -> Iterator[Live]:
    running = Live(("web", "engine"))
    running.start()
    yield running
    running.stop()


@pytest.mark.parametrize("times", [size(1, 10)])
def test_a_redis_that_restarts_under_load_costs_some_requests_their_answer_and_nothing_else(
    live: Live, redis_: OwnRedis, times: int
) -> None:
    with TradingCustomers(live) as customers:
        customers.wait_for(20)
        for _ in range(times):
            redis_.stop()
            redis_.start()
            assert customers.wait_for(20) < 20

    nothing_waits()
    customers.were_told_the_truth()


@pytest.mark.parametrize("times", [size(1, 50)])
def test_an_emptied_redis_costs_some_requests_their_answer_and_nothing_else(
    live: Live, redis_: OwnRedis, times: int
) -> None:
    """Guard: `Stream._repair` where a read finds no group. Without it the engine never reads again."""
    with TradingCustomers(live) as customers:
        customers.wait_for(20)
        for _ in range(times):
            streams.client().flushall()
            assert customers.wait_for(20) < 20

    nothing_waits()
    customers.were_told_the_truth()


@pytest.mark.parametrize("seconds", [size(2, 30)])
def test_a_redis_that_is_down_is_said_at_once_and_trading_goes_on_when_it_is_back(
    live: Live, redis_: OwnRedis, seconds: int
) -> None:
    with TradingCustomers(live, pause=0.05) as customers:
        customers.wait_for(20)
        redis_.stop()
        customers.wait_for(10, status=503)
        time.sleep(seconds)
        redis_.start()
        assert customers.wait_for(20) < 20

    nothing_waits()
    customers.were_told_the_truth()


@pytest.mark.parametrize("seconds", [size(6, 12)])
def test_a_frozen_redis_does_nothing_late_with_what_it_took_in_meanwhile(
    live: Live, redis_: OwnRedis, seconds: int
) -> None:
    """What was sent to it stands in its socket and is read when it wakes, long after everybody was told 503.

    Guard: `Command.until_ms`. Counted from the entry's own id alone, the deadline would begin when Redis wakes.
    """
    with TradingCustomers(live) as customers:
        customers.wait_for(20)
        redis_.freeze()
        customers.wait_for(6, status=503)
        time.sleep(seconds)
        redis_.thaw()
        assert customers.wait_for(20) < 20

    nothing_waits()
    customers.were_told_the_truth()
