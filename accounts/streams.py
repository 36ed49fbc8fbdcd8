"""The Redis that carries commands, replies, wake-ups and prices. Nothing in it is the truth.

Every method may raise redis.RedisError; edges turn that into 503, loops wait and try again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import chain

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

BLOCK_SECONDS = 1  # the longest a blocking read may sleep: well below the socket's timeout
PROMPT_SECONDS = 1  # what somebody waits for: a Redis that takes longer than this is away


class Unanswered(redis.TimeoutError):
    """A command was sent and not answered: whether Redis has taken it, or will, nobody knows."""


@cache
def client() -> redis.Redis:
    """This process' client, shared by its threads, for loops and for reads that may block."""
    return _client(BLOCK_SECONDS + 2)


@cache
def prompt_client() -> redis.Redis:
    """The same for requests with a deadline: a Redis that hangs is noticed within PROMPT_SECONDS."""
    return _client(PROMPT_SECONDS)


def append_all(entries: Sequence[tuple[str, Mapping[str, str]]]) -> list[str | redis.RedisError]:
    """XADD these (stream, fields) promptly, each once, in one round trip: for each its entry's id, or what went wrong.

    That is Unanswered where it was sent and Redis may take it all the same, and another redis.RedisError where it
    was not sent, or was refused.
    """
    pool = prompt_client().connection_pool
    try:
        connection = pool.get_connection()
    except (redis.RedisError, OSError) as failure:
        return [redis.ConnectionError(str(failure)) for _ in entries]
    receipts: list[str | redis.RedisError] = []
    try:
        packed = connection.pack_commands(  # type: ignore[no-untyped-call]
            ("XADD", stream, "*", *chain.from_iterable(fields.items())) for stream, fields in entries
        )
        connection.send_packed_command(packed)  # type: ignore[no-untyped-call]
        for _ in entries:
            try:
                receipts.append(connection.read_response())
            except redis.ResponseError as refused:
                receipts.append(refused)
    except (redis.RedisError, OSError) as failure:
        connection.disconnect()  # type: ignore[no-untyped-call]
        receipts.extend(Unanswered(str(failure)) for _ in range(len(entries) - len(receipts)))
    finally:
        pool.release(connection)
    return receipts


def _client(timeout: float) -> redis.Redis:
    """A connection that was closed meanwhile (Redis restarted) is opened again, once; a timeout is not repeated.

    redis-py would repeat both by itself and stretch a 5 s deadline to 20 s.
    """
    return redis.Redis.from_url(
        settings.STREAM_URL or "redis://127.0.0.1:6379/0",
        socket_timeout=timeout,
        socket_connect_timeout=1,
        retry=Retry(NoBackoff(), 1, (redis.ConnectionError,)),
        health_check_interval=0,
        decode_responses=True,
        encoding_errors="replace",  # bytes that are no text are somebody's rubbish, and must not stop who reads them
        max_connections=1024,
    )
