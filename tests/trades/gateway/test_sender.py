"""The one thread that puts a web process' commands on their streams."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis

from accounts import streams
from accounts.clock import uptime
from accounts.ids import uuid7
from tests.faults.own_redis import OwnRedis, own_redis
from trades.gateway.sender import Sender, Waiting
from trades.margin.commands import Answer

STREAM, OTHER = "orders:{7}", "orders:{8}"
FIELDS = {"c": "{}"}


@pytest.fixture
def redis_(settings: Any) -> Iterator[OwnRedis]:
    with own_redis(settings) as server:
        yield server


def waits(stream: str = STREAM) -> Waiting:
    return Waiting(stream, FIELDS)


def is_taken(waiting: Waiting, seconds: float = 2.0) -> bool:
    give_up = time.monotonic() + seconds
    while not waiting.entry and time.monotonic() < give_up:
        time.sleep(0.005)
    return bool(waiting.entry)


def test_the_commands_of_many_threads_are_each_added_once(redis_: OwnRedis) -> None:
    """Guard: `_left`, after the release. What came while somebody sent would lie there until the next one sends."""
    sender = Sender()
    all_of_them = [waits() for _ in range(600)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(sender.send, all_of_them))

    assert all(is_taken(one) for one in all_of_them)
    assert {one.entry for one in all_of_them} == {id_ for id_, _ in streams.client().xrange(STREAM)}
    assert streams.client().xlen(STREAM) == 600
    assert all(one.said.empty() for one in all_of_them)


def test_what_redis_refuses_is_said_to_that_request_alone(redis_: OwnRedis) -> None:
    """Guard: `except redis.ResponseError` in `streams._answer`. The others of its round trip would be told as well."""
    streams.client().set(OTHER, "no stream")
    sender = Sender()
    refused, taken = waits(OTHER), waits()
    sender._put([refused, taken])

    assert isinstance(refused.hear(uptime() + 2), redis.ResponseError)
    assert is_taken(taken)
    assert taken.said.empty()


def test_a_command_that_was_withdrawn_is_never_sent(redis_: OwnRedis) -> None:
    """Guard: `is_withdrawn` in `Sender._put`."""
    sender = Sender()
    withdrawn, other = waits(), waits()
    assert sender.withdraw(withdrawn)
    sender.send(withdrawn)
    sender.send(other)

    assert is_taken(other)
    assert streams.client().xlen(STREAM) == 1
    assert not sender.withdraw(other)


def test_what_stood_behind_a_redis_that_hangs_is_told_soon_and_is_not_sent_later(redis_: OwnRedis) -> None:
    """Guard: `late` in `Sender._put`. Each group would wait for the one before it, a second each."""
    sender = Sender()
    first = waits()
    sender.send(first)
    assert is_taken(first)
    redis_.freeze()
    sent = waits()
    threading.Thread(target=sender.send, args=(sent,)).start()
    time.sleep(0.1)
    began, behind = time.monotonic(), waits()
    behind.since = uptime() - streams.PROMPT_SECONDS / 2
    sender.send(behind)
    told = behind.hear(uptime() + 5)
    took = time.monotonic() - began
    redis_.thaw()

    assert isinstance(told, redis.TimeoutError)
    assert not isinstance(told, streams.Unanswered)
    assert took < 2 * streams.PROMPT_SECONDS
    assert isinstance(sent.hear(uptime() + 1), streams.Unanswered)  # it may be taken in: whoever asked has to look
    after = waits()
    sender.send(after)
    assert is_taken(after)
    assert streams.client().xlen(STREAM) <= 3


def test_a_redis_that_restarts_is_sent_to_again(redis_: OwnRedis) -> None:
    """Guard: `is_over` in `Line._connected`: what is sent into a closed connection may have been taken, or not."""
    sender = Sender()
    before = waits()
    sender.send(before)
    assert is_taken(before)
    redis_.stop()
    away = waits()
    sender.send(away)
    told = away.hear(uptime() + 3)
    redis_.start()
    after = waits()
    sender.send(after)

    assert isinstance(told, redis.ConnectionError)
    assert not isinstance(told, streams.Unanswered)
    assert is_taken(after)
    assert after.said.empty()


def test_an_answer_that_is_there_is_heard_before_that_the_sending_failed() -> None:
    waiting = waits()
    answer = Answer(uuid7(), 200, "{}")
    waiting.said.put(answer)
    waiting.said.put(streams.Unanswered("too late"))
    assert waiting.hear(uptime()) is answer


def test_nobody_listens_is_told_at_once(settings: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    settings.STREAM_URL = f"redis://127.0.0.1:{port}/0"
    streams.prompt_client.cache_clear()
    try:
        waiting = waits()
        Sender().send(waiting)
        told = waiting.hear(uptime() + 2)
        assert isinstance(told, redis.ConnectionError)
        assert not isinstance(told, streams.Unanswered)
    finally:
        streams.prompt_client.cache_clear()
