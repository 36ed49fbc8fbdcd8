"""A price is as old as it is, wherever it waited: in the feed, in a socket, in a Valkey that stood still."""

from __future__ import annotations

import signal
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from accounts.clock import uptime
from quotes import prices
from quotes.candles import Gatherer
from quotes.feeds.redis_time import KEPT_SECONDS, LONGEST_READING_SECONDS, RedisTime
from quotes.feeds.venue import VenueTick
from quotes.management.commands.run_feed import Feed as Loop
from tests.faults.feeds import Watch, feeds, soon
from tests.faults.own_redis import own_redis
from tests.sizes import size

STOPS = size(3, 20)


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


@pytest.mark.django_db(transaction=True)
def test_a_price_that_waited_for_a_valkey_that_stood_still_is_published_as_old_as_it_is(settings):
    """Guard: the time that each price carries into the script. Stamped by the script, every one of them was fresh."""
    with own_redis(settings) as server, feeds(7) as (feed,):
        watch = Watch(7)
        conclusive = 0
        for _ in range(4 * STOPS):
            soon(watch.look)
            last, frozen_at = watch.look(), datetime.now(UTC)
            server.freeze()
            time.sleep(3.6)  # longer than the feed waits for an answer: the call lies in the socket
            server.thaw()
            seen = watch.look_for(0.6)

            waited = [one for one in seen if one.batch <= last.batch + 1]
            assert all(one.at < frozen_at + seconds(0.3) for one in waited)
            soon(lambda: watch.look().now - watch.look().at < seconds(0.5))
            conclusive += bool(waited)  # else the next price came before this process looked
            if conclusive == STOPS:
                break
        assert conclusive, "nothing of before was seen"
        assert feed.process.poll() is None


@pytest.mark.django_db(transaction=True)
def test_a_feed_that_stood_still_together_with_valkey_says_nothing_of_before_as_new(settings):
    """Guard: that a reading of the clock which was long under way isn't believed; and the one above."""
    with own_redis(settings) as server, feeds(7) as (feed,):
        watch = Watch(7)
        for number in range(STOPS):
            soon(watch.look)
            time.sleep(0.013 * number)  # somewhere in its turn
            last, frozen_at = watch.look(), datetime.now(UTC)
            server.freeze()
            time.sleep(0.2)  # it waits for an answer now
            feed.process.send_signal(signal.SIGSTOP)
            time.sleep(1.8)
            server.thaw()
            feed.process.send_signal(signal.SIGCONT)

            seen = watch.look_for(1)

            assert all(one.at < frozen_at + seconds(0.3) for one in seen if one.batch <= last.batch + 1)
            assert seen[-1].now - seen[-1].at < seconds(0.5)


def a_loop() -> Loop:
    """The feed's own loop in this process, which may publish."""
    loop = Loop(7, 0.05, None)  # type: ignore[arg-type]
    loop._lease_keeper.epoch = 1
    return loop


@pytest.mark.django_db
def test_a_price_that_the_feed_held_up_is_as_old_and_its_candle_is_that_of_its_own_minute(monkeypatch):
    """As if the process had been stopped for 90 s between two of its lines."""
    gathered: list[prices.Price] = []
    monkeypatch.setattr(Gatherer, "add", lambda self, found, now: gathered.extend(found))
    loop = a_loop()

    loop._publish([VenueTick("BTC-USD", Decimal(100), Decimal(101), uptime() - 90)])

    found = prices.latest()
    assert seconds(90) <= found.now - found.by_symbol["BTC-USD"].at < seconds(91)
    assert found.usable("BTC-USD", 10) is None
    assert gathered == [found.by_symbol["BTC-USD"]]


@pytest.mark.django_db
def test_a_price_older_than_the_one_that_stands_is_late():
    loop = a_loop()
    loop._publish([VenueTick("BTC-USD", Decimal(100), Decimal(101), uptime())])

    loop._publish([VenueTick("BTC-USD", Decimal(90), Decimal(91), uptime() - 5)])

    assert prices.latest().by_symbol["BTC-USD"].bid == 100


# --- the reading of Redis' clock -------------------------------------------------------------------


def test_what_came_is_dated_from_the_moment_after_the_answer_so_never_too_late():
    now = [1000.0]
    time_ = RedisTime(lambda: now[0])
    asked = now[0]
    now[0] += 0.4  # the answer was given somewhere in here
    time_.read(5_000_000, asked)

    assert time_.of(1000.4) == 5_000_000
    assert time_.of(1000.5) == 5_000_100
    assert time_.of(980.4) == 4_980_000


def test_a_reading_that_was_too_long_under_way_or_of_the_future_is_not_believed():
    now = [1000.0]
    time_ = RedisTime(lambda: now[0])

    time_.read(5_000_000, now[0] - LONGEST_READING_SECONDS)
    assert not time_.is_known
    time_.read(5_000_000, now[0] + 0.001)
    assert not time_.is_known

    time_.read(5_000_000, now[0])
    assert time_.is_known
    now[0] += KEPT_SECONDS
    assert not time_.is_known
    now[0] -= 2 * KEPT_SECONDS
    assert not time_.is_known
