"""Somebody trims the stream, deletes it, or takes its group away.

What was not executed stays undone for good, what stands is executed once, and the engine goes on by itself.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from accounts import streams
from tests.faults.engine_alone import STREAM, an_engine, answers, is_empty, send, turns
from tests.given import a_customer, btc_at, what_the_audit_finds
from tests.trades.engine_steps import closing, opens
from trades.engine.process import Engine
from trades.margin.commands import GROUP, Answer
from trades.models import Deal, Order

pytestmark = pytest.mark.django_db(transaction=True)

BY_HAND: dict[str, tuple[Callable[[], object], bool]] = {  # what is done, and whether the command is lost by it
    "XTRIM": (lambda: streams.client().xtrim(STREAM, maxlen=0, approximate=False), True),
    "DEL": (lambda: streams.client().delete(STREAM), True),
    "another type": (lambda: (streams.client().delete(STREAM), streams.client().set(STREAM, "x", px=300)), True),
    "XGROUP DESTROY": (lambda: streams.client().xgroup_destroy(STREAM, GROUP), False),
    "XGROUP DELCONSUMER": (
        lambda: [_delete(one["name"]) for one in streams.client().xinfo_consumers(STREAM, GROUP)],
        False,
    ),
    "XGROUP SETID": (lambda: streams.client().xgroup_setid(STREAM, GROUP, "0"), False),
}


def _delete(consumer: str) -> object:
    return streams.client().xgroup_delconsumer(STREAM, GROUP, consumer)


@pytest.mark.parametrize(("by_hand", "is_lost"), BY_HAND.values(), ids=BY_HAND)
def test_what_waits_is_executed_once_or_never_and_the_engine_goes_on(
    by_hand: Callable[[], object], is_lost: bool
) -> None:
    """Guards: `Stream._repair`, from the stream's beginning: from its end, a new group would skip what waits."""
    with an_engine() as engine:
        alice = a_customer(with_usd="10_000.00")
        btc_at("42_000.00")
        one, other = opens(alice), opens(alice)
        send(closing(alice, one.code))

        by_hand()
        told = _survives(engine)
        send(closing(alice, other.code))
        told += turns(engine)

        assert [answer.order_code for answer in told] == ([] if is_lost else [one.code]) + [other.code]
        assert {answer.status for answer in told} == {200}
        assert Order.objects.get(pk=one.pk).status == ("OPEN" if is_lost else "CLOSED")
        assert is_empty()
        assert what_the_audit_finds() == []


def _survives(engine: Engine) -> list[Answer]:
    """As `Engine.run` does it: what Redis refuses is waited for."""
    give_up = time.monotonic() + 5
    while time.monotonic() < give_up:
        try:
            for _ in range(3):
                engine.turn()
            return answers()
        except redis.RedisError:
            time.sleep(0.1)
            with contextlib.suppress(redis.RedisError):
                engine._start()
    raise AssertionError


def test_what_was_read_and_then_lost_is_applied_once_all_the_same() -> None:
    """The stream is deleted between the reading and the answer: the commit counts, and nothing is left to repeat."""
    with an_engine() as engine:
        alice = a_customer(with_usd="10_000.00")
        btc_at("42_000.00")
        order = opens(alice)
        send(closing(alice, order.code))
        entries, prices = engine.stream.read()
        applied = engine._tick(entries, prices)
        streams.client().delete(STREAM)

        engine.stream.answer(entries, applied.answers)

        assert [answer.status for answer in turns(engine)] == [200]
        assert Deal.objects.filter(order=order, kind="close").count() == 1
        assert what_the_audit_finds() == []


def test_a_stream_that_is_deleted_under_a_reader_who_waits_does_not_break_the_engine() -> None:
    """Guard: `Stream.read` makes the group anew where an answer says so. Else the engine would load its book again."""
    with an_engine() as engine, ThreadPoolExecutor(1) as pool:
        for _ in range(10):
            reading = pool.submit(engine.stream.read)
            time.sleep(0.02)
            streams.client().delete(STREAM)
            assert reading.result()[0] == []
