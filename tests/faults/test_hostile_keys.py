"""What somebody left in Redis under our names, of another type or from another time.

An engine takes it out of the way, says so once, keeps what can be kept as a dead letter, and answers the next command
within a second. What it read and took for good before is still executed once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from accounts import streams
from tests.faults.engine_alone import DEAD, REPLIES, STREAM, an_engine, is_empty, send, turns
from tests.given import a_customer, btc_at, what_the_audit_finds
from tests.trades.engine_steps import closing, opens
from trades.engine.process import Engine
from trades.margin.commands import GROUP, Answer
from trades.models import Deal

pytestmark = pytest.mark.django_db(transaction=True)

HIGHEST = 2**64 - 1


def of_type(name: str, kind: str) -> None:
    redis: Any = streams.client()
    redis.delete(name)
    makers: dict[str, Callable[[], Any]] = {
        "string": lambda: redis.set(name, "x" * 10_000),
        "list": lambda: redis.rpush(name, "x"),
        "set": lambda: redis.sadd(name, "x"),
        "zset": lambda: redis.zadd(name, {"x": 1}),
        "hash": lambda: redis.hset(name, "x", "y"),
        "stream": lambda: redis.xadd(name, {"x": "y"}),
    }
    makers[kind]()


def answered_within_a_second(engine: Engine, command: Any) -> list[Answer]:
    """What the engine tells when a command follows; the turns it may need are those of a second."""
    give_up = time.monotonic() + 2  # on a busy machine; the look that takes it out is made once a second
    while True:
        engine.turn()
        try:
            send(command)
            break
        except streams.redis.ResponseError:
            assert time.monotonic() < give_up
            time.sleep(0.05)
    return turns(engine)


@pytest.mark.parametrize("kind", ["string", "list", "set", "zset", "hash"])
def test_another_type_in_the_streams_place_is_gone_within_a_second(kind: str) -> None:
    """Guard: `stream_repair.repair`. Without it every read is WRONGTYPE, and the engine begins anew for ever."""
    with an_engine() as engine:
        alice = a_customer(with_usd="10_000.00")
        btc_at("42_000.00")
        order = opens(alice)
        of_type(STREAM, kind)

        assert [answer.status for answer in answered_within_a_second(engine, closing(alice, order.code))] == [200]

        ((_, letter),) = streams.client().xrange(DEAD)
        assert letter["reason"] == f"a {kind} stood in the place of the stream"
        assert letter["c"] == ("x" * 4000 if kind == "string" else "")
        assert is_empty()
        assert what_the_audit_finds() == []


def test_a_stream_without_its_group_and_one_that_is_emptied_are_served_on() -> None:
    with an_engine() as engine:
        alice = a_customer(with_usd="10_000.00")
        btc_at("42_000.00")
        one, other = opens(alice), opens(alice)
        of_type(STREAM, "stream")
        told = answered_within_a_second(engine, closing(alice, one.code))
        streams.client().xgroup_destroy(STREAM, GROUP)
        told += answered_within_a_second(engine, closing(alice, other.code))

        assert [answer.status for answer in told] == [200, 200]
        assert len(streams.client().xrange(DEAD)) == 1


@pytest.mark.parametrize("milliseconds", [HIGHEST, HIGHEST - 1, 10**17, None])
@pytest.mark.parametrize("is_left", [True, False])
def test_an_entry_from_the_future_is_set_aside_and_those_that_stand_beside_it_are_executed(
    milliseconds: int | None, is_left: bool
) -> None:
    """Guard: `is_ahead` in `stream_repair.repair`. Without it Redis takes no entry in after the highest id, for
    ever, and dates all that follow by the future one, so that no deadline passes. `is_left`: or it was deleted, which
    changes nothing.
    """
    with an_engine() as engine:
        alice = a_customer(with_usd="10_000.00")
        btc_at("42_000.00")
        before, after = opens(alice), opens(alice)
        send(closing(alice, before.code))
        ahead = milliseconds or int(time.time() * 1000) + 60_000
        streams.client().xadd(STREAM, {"c": "from the future"}, id=f"{ahead}-{1 if ahead < HIGHEST else HIGHEST}")
        if not is_left:
            streams.client().xdel(STREAM, f"{ahead}-{1 if ahead < HIGHEST else HIGHEST}")
        engine.stream._looked = 0  # the look that is made once a second is due

        told = turns(engine)
        told += answered_within_a_second(engine, closing(alice, after.code))

        assert [answer.status for answer in told] == [200, 200]
        assert Deal.objects.filter(kind="close").count() == 2
        letters = [letter["reason"] for _, letter in streams.client().xrange(DEAD)]
        assert letters == ["dated ahead of the clock of Redis"] * is_left
        assert int(streams.client().xinfo_stream(STREAM)["last-generated-id"].split("-")[0]) < ahead
        assert is_empty()
        assert what_the_audit_finds() == []


def test_a_group_that_has_read_what_does_not_exist_yet_reads_on() -> None:
    """Guard: `read` in `stream_repair.repair`. Without it every command waits behind the future, unseen."""
    with an_engine() as engine:
        alice = a_customer(with_usd="10_000.00")
        btc_at("42_000.00")
        order = opens(alice)
        streams.client().xgroup_setid(STREAM, GROUP, f"{HIGHEST}-1")
        send(closing(alice, order.code))
        engine.stream._looked = 0

        assert [answer.status for answer in turns(engine)] == [200]


def test_rubbish_that_consumers_hold_is_taken_from_them() -> None:
    with an_engine() as engine:
        alice = a_customer(with_usd="10_000.00")
        btc_at("42_000.00")
        order = opens(alice)
        for consumer in (b"\xff\xfe", "x" * 10_000, "", *map(str, range(50))):
            streams.client().xadd(STREAM, {"c": "rubbish"})
            streams.client().xreadgroup(GROUP, consumer, {STREAM: ">"})  # type: ignore[arg-type]
        deleted = streams.client().xadd(STREAM, {"c": "deleted"})
        streams.client().xreadgroup(GROUP, "gone", {STREAM: ">"})
        streams.client().xdel(STREAM, deleted)
        engine.stream.begin()

        assert [answer.status for answer in answered_within_a_second(engine, closing(alice, order.code))] == [200]
        assert is_empty()
        assert len(streams.client().xrange(DEAD)) == 53


@pytest.mark.parametrize("kind", ["string", "set", "zset", "hash", "stream"])
def test_another_type_in_the_place_of_a_reply_list_or_the_dead_letters_costs_nobody_an_answer(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Guards: what `Stream.answer` and `stream_repair.to_dead_letters` do with a refusal inside MULTI. Without them the
    engine reads its whole book again, and the client waits in vain for what was done."""
    with an_engine() as engine:
        alice = a_customer(with_usd="10_000.00")
        btc_at("42_000.00")
        order, book = opens(alice), engine.book
        if kind != "stream":
            of_type(DEAD, kind)
        of_type(REPLIES, kind)
        streams.client().xadd(STREAM, {"c": "rubbish"})
        send(closing(alice, order.code))

        assert [answer.status for answer in turns(engine)] == [200]

        assert engine.book is book
        assert [letter["c"] for _, letter in streams.client().xrange(DEAD)] == ["rubbish"]
        assert f"{REPLIES} was no list" in caplog.text
        assert is_empty()


def test_dead_letters_that_end_at_the_highest_id_still_take_new_ones() -> None:
    with an_engine() as engine:
        streams.client().xadd(DEAD, {"c": "the last"}, id=f"{HIGHEST}-{HIGHEST}")
        streams.client().xadd(STREAM, {"c": "rubbish"})

        turns(engine)

        assert [letter["c"] for _, letter in streams.client().xrange(DEAD)] == ["the last", "rubbish"]
        assert is_empty()


@pytest.mark.parametrize("name", ["celery", "brokerage", "orders:{0}:dead", "cache:1:x", "prices", "inflight:x:y"])
def test_no_command_makes_an_engine_write_elsewhere(name: str) -> None:
    """Guard: the pattern of a reply list in `terms.py`. Without it an answer would be a message to a worker."""
    with an_engine() as engine:
        alice = a_customer()
        command = closing(alice, "ord_0123456789abcdef")
        fields: Any = streams.client().xrange(STREAM, send(command))[0][1]
        streams.client().xtrim(STREAM, maxlen=0)
        streams.client().xadd(STREAM, {"c": fields["c"].replace(REPLIES, name)})

        turns(engine)

        # Others may use these keys meanwhile: this command's answer isn't there.
        pushed: Any = streams.client().lrange(name, 0, -1) if streams.client().type(name) == "list" else []
        assert not [item for item in pushed if command.id.hex in item]
        assert len(streams.client().xrange(DEAD)) == 1
