"""The Redis that carries commands, replies, wake-ups and prices. Nothing in it is the truth.

Every method may raise redis.RedisError; edges turn that into 503, loops wait and try again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import chain
from typing import Any

import hiredis
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


class Line:
    """A connection of its own, which one thread uses, without the pool and the readers of answers of a client's."""

    def __init__(self, whose: Callable[[], redis.Redis]) -> None:
        """`whose` gives the client with the address and the timeouts."""
        self._whose = whose
        self._client: redis.Redis | None = None
        self._connection: Any = None

    def call(self, *commands: Sequence[str | int]) -> list[Any]:
        """Send these in one round trip: for each its answer as it came, or the ResponseError that refused it.

        Raises another redis.RedisError when not all were answered; then nobody knows which of them were done.
        """
        answers, broke = self._exchange(self._connected(), commands)
        if isinstance(broke, OSError):
            raise redis.ConnectionError(str(broke)) from broke
        if broke is not None:
            raise broke
        return answers

    def transact(self, *commands: Sequence[str | int]) -> list[Any]:
        """All or none of these, in one round trip: their answers, as `call` gives them."""
        _, *queued, done = self.call(("MULTI",), *commands, ("EXEC",))
        if isinstance(done, redis.ResponseError):
            raise next((one for one in queued if isinstance(one, redis.ResponseError)), done)
        answers: list[Any] = done
        return answers

    def append(self, entries: Sequence[tuple[str, Mapping[str, str]]]) -> list[str | redis.RedisError]:
        """XADD these (stream, fields) promptly, each once, in one round trip: for each its id, or what went wrong.

        That is Unanswered where it was sent and Redis may take it all the same, and another redis.RedisError where it
        was not sent, or was refused.
        """
        try:
            connection = self._connected()
        except (redis.RedisError, OSError) as failure:
            kind = redis.TimeoutError if isinstance(failure, redis.TimeoutError) else redis.ConnectionError
            return [kind(str(failure)) for _ in entries]
        added = [("XADD", stream, "*", *chain.from_iterable(fields.items())) for stream, fields in entries]
        receipts, broke = self._exchange(connection, added)
        return receipts + [Unanswered(str(broke)) for _ in entries[len(receipts) :]]

    def _exchange(
        self, connection: Any, commands: Sequence[Sequence[str | int]]
    ) -> tuple[list[Any], redis.RedisError | OSError | None]:
        """Send these and read their answers: those that came, and what broke off where some did not."""
        answers: list[Any] = []
        try:
            connection.send_packed_command([_packed(commands)], check_health=False)
            for _ in commands:
                answers.append(_answer(connection))
        except (redis.RedisError, OSError) as failure:
            connection.disconnect()
            return answers, failure
        except BaseException:
            connection.disconnect()
            raise
        return answers, None

    def _connected(self) -> Any:
        """The connection, made anew where Redis has closed it: what is sent into a closed one might be lost."""
        if self._client is not self._whose():
            self._client = self._whose()
            self._connection = self._client.connection_pool.make_connection()
        try:
            is_over = self._connection.is_connected and self._connection.can_read()
        except (redis.RedisError, OSError):
            is_over = True
        if is_over:
            self._connection.disconnect()
        if not self._connection.is_connected:
            self._connection.connect()
        return self._connection


def _packed(commands: Sequence[Sequence[str | int]]) -> bytes:
    """As they go over the wire; redis-py looks through each argument of each command first."""
    return b"".join([hiredis.pack_command(tuple(command)) for command in commands])  # type: ignore[arg-type]  # any length


def _answer(connection: Any) -> Any:
    try:
        return connection.read_response()
    except redis.ResponseError as refused:
        return refused


def as_map(answer: Any) -> dict[str, Any]:
    """A map as `Line.call` gives it: pairs in a row from a Redis that speaks RESP2."""
    return answer if isinstance(answer, dict) else dict(zip(answer[::2], answer[1::2], strict=True))


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
