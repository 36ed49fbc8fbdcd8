"""One engine in the test's own process, turned by hand, on the real stream and database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from accounts import streams
from trades.engine.process import Engine
from trades.margin.commands import GROUP, Answer, Command, decode_answer, encode, stream_name
from trades.models import EngineLease

STREAM, REPLIES = stream_name(0), "replies:engine-alone"
DEAD = f"{STREAM}:dead"


@contextmanager
def an_engine() -> Iterator[Engine]:
    """It has the lease of the only partition, and nothing to do."""
    streams.client().delete(STREAM, DEAD, REPLIES)
    EngineLease.objects.update(renewed_at=None)
    engine = Engine()
    assert engine._start()
    engine.turn()
    yield engine
    engine.lease.give_back()
    streams.client().delete(STREAM, DEAD, REPLIES)


def send(command: Command, *, ttl_ms: int = 5000) -> str:
    """Put a command on the stream as the web side does; the entry's id."""
    fields = encode(replace(command, ttl_ms=ttl_ms, reply_to=REPLIES))
    return streams.client().xadd(STREAM, fields)  # type: ignore[arg-type,return-value]


def answers() -> list[Answer]:
    """What was answered since the last time, in order."""
    pipe = streams.client().pipeline()
    pipe.lrange(REPLIES, 0, -1)
    pipe.delete(REPLIES)
    return [decode_answer(text) for text in pipe.execute()[0]]


def turns(engine: Engine) -> list[Answer]:
    """Let the engine take its turns until nothing stands in the stream; what it answered."""
    while streams.client().xlen(STREAM):
        engine.turn()
    return answers()


def is_empty() -> bool:
    """Whether the stream holds nothing, read or not."""
    return streams.client().xlen(STREAM) == 0 and streams.client().xpending(STREAM, GROUP)["pending"] == 0
