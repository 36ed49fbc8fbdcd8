"""The Redis that carries commands, replies, wake-ups and prices. Nothing in it is the truth.

Every method may raise redis.RedisError; edges turn that into 503, loops wait and try again.
"""

from __future__ import annotations

from collections.abc import Mapping
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


def append(stream: str, fields: Mapping[str, str]) -> str:
    """XADD, promptly and once; the entry's id.

    Raises Unanswered when it was sent and Redis may take it all the same, and another redis.RedisError when it wasn't.
    """
    pool = prompt_client().connection_pool
    connection = pool.get_connection()
    try:
        try:
            connection.send_command("XADD", stream, "*", *chain.from_iterable(fields.items()))  # type: ignore[no-untyped-call]
            entry: str = connection.read_response()
        except (redis.ConnectionError, redis.TimeoutError, OSError) as failure:
            connection.disconnect()  # type: ignore[no-untyped-call]
            raise Unanswered(str(failure)) from failure
    finally:
        pool.release(connection)
    return entry


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
