"""The web side's wait for an engine: it ends in time, and what it leaves behind is nothing."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from accounts import streams
from accounts.ids import uuid7
from trades.gateway import submit
from trades.gateway.replies import gateway
from trades.gateway.submit import Reply
from trades.margin.commands import GROUP, Answer, Command, Trader, decode, encode_answer, stream_name
from trades.margin.errors import OrderIdMismatch, OutcomeUnknown
from trades.margin.kinds import CANCEL, CHANGE, CLOSE, CLOSE_ALL

pytestmark = pytest.mark.django_db

STREAM = stream_name(0)
ANSWERED_LATE = 0.3  # seconds until a request gives up
CODE = "ord_0123456789abcdef"


@pytest.fixture(autouse=True)
def _an_empty_stream_without_an_engine(settings: Any) -> Iterator[None]:
    settings.CLOSE_DEADLINE_SECONDS = settings.CREATE_DEADLINE_SECONDS = ANSWERED_LATE
    streams.client().delete(STREAM)
    streams.client().xgroup_create(STREAM, GROUP, id="0", mkstream=True)
    yield
    streams.client().delete(STREAM)


def becomes_empty() -> bool:
    """Whether the stream has no entry left and the engine none to acknowledge, within the reader's second."""
    give_up = time.monotonic() + 3 * streams.BLOCK_SECONDS
    while time.monotonic() < give_up:
        if streams.client().xlen(STREAM) == 0 and streams.client().xpending(STREAM, GROUP)["pending"] == 0:
            return True
        time.sleep(0.05)
    return False


def a_close() -> Command:
    return Command(uuid7(), CLOSE, uuid7(), uuid7(), {"orderId": CODE}, 250, gateway().channel)


@pytest.mark.parametrize("is_read", [False, True], ids=["no engine", "an engine that read it and died"])
def test_a_timeout_leaves_no_entry_thread_or_waiter_behind(is_read: bool) -> None:
    """Fails without Gateway._take_back: the entry would stay for as long as no engine runs."""
    gateway()
    threads = threading.active_count()
    started = time.monotonic()
    if is_read:
        waiting = threading.Thread(target=gateway().send, args=(a_close(), started + ANSWERED_LATE))
        waiting.start()
        assert streams.client().xreadgroup(GROUP, GROUP, {STREAM: ">"}, block=1000)
        waiting.join()
    else:
        assert gateway().send(a_close(), started + ANSWERED_LATE) is None
    assert time.monotonic() - started >= ANSWERED_LATE

    assert becomes_empty()
    assert gateway()._waiting == {}
    assert threading.active_count() == threads


def test_what_is_waited_for_is_never_taken_back() -> None:
    """An engine may be slow to come: the entry stays until the deadline, whoever else gives up meanwhile."""
    patient = threading.Thread(target=gateway().send, args=(a_close(), time.monotonic() + 4))
    patient.start()
    for _ in range(3):
        gateway().send(a_close(), time.monotonic() + 0.05)
    time.sleep(2.5 * streams.BLOCK_SECONDS)
    assert streams.client().xlen(STREAM) == 1
    patient.join()
    assert becomes_empty()


def asked(kind: str) -> Reply:
    by, now = Trader(uuid7(), uuid7()), time.monotonic()
    return {
        CLOSE: lambda: submit.close(by, {"orderId": CODE}, "", now),
        CHANGE: lambda: submit.change(by, CODE, {"stopLoss": 1}, "", now),
        CANCEL: lambda: submit.cancel(by, CODE, "", now),
        CLOSE_ALL: lambda: submit.close_all(by, {}, "", now),
    }[kind]()


@pytest.mark.parametrize(
    ("kind", "error", "named"),
    [
        (CLOSE, "Failed to close order", {"orderId": CODE}),
        (CHANGE, "Failed to change order", {"orderId": CODE}),
        (CANCEL, "Failed to cancel order", {"orderId": CODE}),
        (CLOSE_ALL, "Failed to close orders", {}),
    ],
)
def test_a_timeout_says_that_the_outcome_is_unknown(kind: str, error: str, named: dict[str, str]) -> None:
    with pytest.raises(OutcomeUnknown) as told:
        asked(kind)
    said = told.value.order_body()
    message = said.pop("message")
    assert told.value.status == 500
    assert said == {"error": error, "timeout": True, **named}
    assert "outcome unknown" in message


@pytest.mark.parametrize("kind", [CLOSE, CHANGE, CANCEL])
def test_an_answer_about_another_order_is_not_passed_on(kind: str) -> None:
    def answers_wrongly() -> None:
        read: Any = streams.client().xreadgroup(GROUP, GROUP, {STREAM: ">"}, block=1000)
        command = decode(read[0][1][0][1])
        answer = Answer(command.id, 200, "{}", "ord_fedcba9876543210")
        streams.client().rpush(command.reply_to, "no answer at all", encode_answer(answer))

    engine = threading.Thread(target=answers_wrongly)
    engine.start()
    with pytest.raises(OrderIdMismatch):
        asked(kind)
    engine.join()


@pytest.fixture
def a_redis_that_hangs(settings: Any) -> Iterator[None]:
    """It takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        settings.STREAM_URL = f"redis://127.0.0.1:{server.getsockname()[1]}/0"
        gateway()  # its reader keeps the real one
        streams.prompt_client.cache_clear()
        yield
    streams.prompt_client.cache_clear()


@pytest.mark.parametrize("key", ["", "k"])
def test_a_redis_that_hangs_is_noticed_within_two_seconds(a_redis_that_hangs: None, key: str) -> None:
    """Fails where timeouts are tried again, or with the loops' longer timeout: 503 must come before the deadline."""
    started = time.monotonic()
    with pytest.raises(redis.TimeoutError):
        submit.close(Trader(uuid7(), uuid7()), {"orderId": CODE}, key, started)
    assert time.monotonic() - started < 2
    assert gateway()._waiting == {}
