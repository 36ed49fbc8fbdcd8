"""One feed publishes, whatever is started, killed, paused and resumed, emptied and restored."""

from __future__ import annotations

import signal
import time
from decimal import Decimal

import pytest

from accounts import holders, streams
from quotes import prices
from quotes.feeds import lease
from quotes.feeds.lease import PublisherLeaseLost
from quotes.management.commands.run_feed import SILENT_SECONDS
from quotes.models import FeedLease
from quotes.price_scripts import EPOCH, KEYS
from tests.faults.feeds import Feed, Watch, epoch_in_redis, feeds, soon
from tests.faults.own_redis import own_redis

TAKEOVER_SECONDS = 2.0
STARVED_SECONDS = 1.0  # that a busy test machine may add

BTC = "BTC-USD"


def in_redis() -> dict[str, object]:
    """All of it."""
    client = streams.client()
    keys = [key for key in KEYS if client.exists(key)]
    return {key: client.get(key) if key == EPOCH else client.hgetall(key) for key in keys}


def says(bid: int, epoch: int) -> None:
    prices.publish_ticks([prices.PriceTick(BTC, Decimal(bid), Decimal(bid))], {}, None, epoch)


# --- processes -------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_second_feed_stands_by_and_says_so_in_one_line(settings):
    """Guard: the lease. Without it, prices flip between the two."""
    with own_redis(settings), feeds(7, 8) as (first, second):
        watch = Watch(7, 8)
        soon(watch.look)

        assert {one.seed for one in watch.look_for(2)} == {7}

        row = FeedLease.objects.get()
        since = f"{row.taken_at:%Y-%m-%d %H:%M:%S} UTC"
        assert row.holder.endswith(f":{first.process.pid}")
        assert second.lines() == [f"INFO    feed: standby: {holders.shown(row.holder)} publishes since {since}"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP], ids=lambda end: end.name)
def test_the_standby_speaks_within_two_seconds_of_the_others_end(settings, end):
    with own_redis(settings), feeds(7, 8) as (first, second):
        watch = Watch(7, 8)
        soon(watch.look)

        first.process.send_signal(end)
        took = soon(lambda: watch.look().seed == 8)

        assert took < TAKEOVER_SECONDS + STARVED_SECONDS
        assert {one.seed for one in watch.look_for(1)} == {8}
        assert second.says("running: ")


@pytest.mark.django_db(transaction=True)
def test_a_feed_that_was_paused_past_its_lease_writes_nothing_when_it_goes_on_and_stands_by(settings):
    """Guard: the script's look at the epoch. Without it, the one that goes on overwrites its successor's prices
    until its other thread has asked PostgreSQL."""
    with own_redis(settings), feeds(7, 8) as (first, second):
        watch = Watch(7, 8)
        soon(watch.look)
        for number in range(4):
            paused, other = (first, second) if number % 2 == 0 else (second, first)
            paused.process.send_signal(signal.SIGSTOP)
            soon(lambda other=other: watch.look().seed == other.seed)

            paused.process.send_signal(signal.SIGCONT)

            assert {one.seed for one in watch.look_for(1)} == {other.seed}
        soon(lambda: len([line for line in first.lines() if "standby: " in line]) == 2)
        assert first.process.poll() is second.process.poll() is None


@pytest.mark.django_db(transaction=True)
def test_a_feed_that_does_not_reach_redis_keeps_no_other_from_publishing(settings):
    """Guard: who has not published for SILENT_SECONDS doesn't renew."""
    FeedLease.objects.update(renewed_at=None, holder="")
    with own_redis(settings):
        lost = Feed(7, {"STREAM_URL": "redis://127.0.0.1:1/0"})
        try:
            soon(lambda: lost.says("running: "), 30)
            other = Feed(8)
            try:
                watch = Watch(8)
                soon(lambda: other.says("standby: ") or other.says("running: "), 30)
                soon(lambda: watch.look().seed == 8, SILENT_SECONDS + TAKEOVER_SECONDS + STARVED_SECONDS)
                assert lost.process.poll() is None
            finally:
                other.ends()
        finally:
            lost.ends()


@pytest.mark.django_db(transaction=True)
def test_after_redis_was_emptied_the_next_tick_sets_the_epoch_again(settings):
    with own_redis(settings), feeds(7) as (_,):
        soon(epoch_in_redis)
        epoch = epoch_in_redis()

        streams.client().flushall()

        soon(epoch_in_redis, 2)
        assert epoch_in_redis() == epoch == FeedLease.objects.get().epoch


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("restored", [False, True], ids=["Redis is ahead", "and the lease's row is of before"])
def test_after_postgresql_was_restored_to_an_earlier_time_the_holder_rises_above_what_redis_remembers(
    settings, restored
):
    """Guard: `rise_above`. Without it nobody publishes any more: everybody is fenced for good."""
    with own_redis(settings), feeds(7) as (feed,):
        watch = Watch(7)
        soon(watch.look)
        ahead = FeedLease.objects.get().epoch + 1000
        if restored:
            FeedLease.objects.update(epoch=0, holder="gone", renewed_at="2026-01-01T00:00:00Z", taken_at=None)

        streams.client().set("prices:epoch", ahead)

        soon(lambda: epoch_in_redis() > ahead, 5)
        before = watch.look().batch
        soon(lambda: watch.look().batch > before)
        assert FeedLease.objects.get().epoch == epoch_in_redis() == ahead + 1
        assert feed.process.poll() is None


# --- the script ------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_lower_epoch_is_refused_inside_the_script_and_leaves_everything_as_it_is():
    """The race: it looked whether it may publish, was stopped, and its call arrives after a successor's."""
    says(100, 2)
    before = in_redis()

    with pytest.raises(prices.Fenced) as fenced:
        says(101, 1)

    assert fenced.value.stood == 2
    assert in_redis() == before
    says(102, 2)
    says(103, 7)
    assert (prices.latest().by_symbol[BTC].bid, epoch_in_redis()) == (103, 7)


@pytest.mark.parametrize("rubbish", ["x", "", "-1", "1e9", "9" * 14, "9" * 15, "9" * 400, "\x00", "²"])
def test_an_epoch_that_is_none_fences_nobody(rubbish):
    streams.client().set("prices:epoch", rubbish)

    says(100, 1)

    assert epoch_in_redis() == 1


# --- the row ---------------------------------------------------------------------------------------


def of(name: str) -> lease.PublisherLease:
    one = lease.PublisherLease()
    one.name = name
    return one


@pytest.fixture
def _free(transactional_db):
    FeedLease.objects.update(renewed_at=None, holder="")
    yield
    FeedLease.objects.update(renewed_at=None, holder="")


@pytest.mark.usefixtures("_free")
def test_a_lease_that_runs_out_is_anothers_and_who_had_it_can_neither_renew_nor_give_it_back():
    first, second = of("a"), of("b")
    assert first.take() is None
    told = second.take()
    assert told is not None
    assert (told.name, told.since) == ("a", FeedLease.objects.get().taken_at)

    time.sleep(lease.LEASE_SECONDS + 0.1)
    assert second.take() is None
    assert second.epoch == first.epoch + 1

    for late in (first.renew, lambda: first.rise_above(10**9)):
        with pytest.raises(PublisherLeaseLost):
            late()
    first.give_back()
    row = FeedLease.objects.get()
    assert (row.holder, row.epoch) == ("b", second.epoch)
    second.give_back()
    assert first.take() is None
