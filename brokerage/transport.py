"""Celery's way through Redis, believing nothing of what it finds there.

kombu's own transport ends its worker at a message or a key that it doesn't expect, and the next worker at the same one.
Here a message that isn't ours is set aside, a key of another type is removed, and a Redis that refuses is asked again.
What a worker is doing isn't kept in Redis: a message only wakes it, the beat asks again (docs/decisions/0038-…).
"""

from __future__ import annotations

import json
import logging
import time
from queue import Empty
from typing import Any, Final

import redis
from kombu.transport import redis as kombu_redis
from kombu.transport import virtual

from brokerage.messages import NotOurs, judged

log = logging.getLogger("celery.broker")

DEAD_LETTERS_KEPT: Final = 1000
PAUSE_SECONDS: Final = 1.0  # before a Redis that refused is asked again
_KEPT_BYTES: Final = 4000


def dead_letters(queue: str) -> str:
    return f"{queue}:dead"


class Channel(kombu_redis.Channel):  # type: ignore[misc,unused-ignore]
    """Reads messages and judges them."""

    ack_emulation = False  # nor are there keys that somebody could fill with something else
    _refusal = ""

    def _brpop_read(self, **options: Any) -> bool:
        try:
            found = self._popped(**options)
            if not found:
                raise Empty
            queue = found[0].decode(errors="replace").rsplit(self.sep, 1)[0]
            self._queue_cycle.rotate(queue)
            try:
                message = judged(found[1])
            except NotOurs as reason:
                self._to_dead_letters(queue, found[1], str(reason))
            else:
                self.connection._deliver(message, queue)
            return True
        finally:
            self._in_poll = None  # type: ignore[assignment]
            self._flush_brpop_reauth()  # type: ignore[no-untyped-call]

    def _popped(self, **options: Any) -> tuple[bytes, bytes] | None:
        try:
            found: Any = self.client.parse_response(self.client.connection, "BRPOP", **options)
        except self.connection_errors:
            self.client.connection.disconnect()
            raise
        except redis.ResponseError as refusal:
            if not self._removed_other_types(refusal):
                if str(refusal) != self._refusal:
                    log.error("Redis gives no messages; asking again: %s", refusal)
                self._refusal = str(refusal)
                time.sleep(PAUSE_SECONDS)
            return None
        self._refusal = ""
        return found  # type: ignore[no-any-return]

    def _to_dead_letters(self, queue: str, item: bytes, reason: str) -> None:
        log.error("a message in %s is none of ours and goes to %s: %s", queue, dead_letters(queue), reason)
        dead_letter = {"at": int(time.time()), "reason": reason, "message": item[:_KEPT_BYTES].decode(errors="replace")}
        try:
            with self.conn_or_acquire() as client:
                if client.type(dead_letters(queue)) not in (b"list", b"none"):
                    client.unlink(dead_letters(queue))
                _keep(client, dead_letters(queue), json.dumps(dead_letter))
        except redis.RedisError as refusal:
            log.error("it can't be kept: %s", refusal)

    def _removed_other_types(self, refusal: redis.ResponseError, *queues: str) -> bool:
        """Remove what stands in the place of a queue and is no list. Says whether that was why Redis refused."""
        if "WRONGTYPE" not in str(refusal):
            return False
        with self.conn_or_acquire() as client:
            steps = [(queue, step) for queue in queues or self.active_queues for step in self.priority_steps]
            for queue, step in steps:
                name = self._q_for_pri(queue, step)  # type: ignore[no-untyped-call]
                kind = client.type(name).decode()
                if kind not in ("list", "none"):
                    log.error("a %s stood in the place of the queue %r, and is removed", kind, name)
                    client.unlink(name)
        return True

    def _put(self, queue: str, message: Any, **kwargs: Any) -> None:
        try:
            super()._put(queue, message, **kwargs)  # type: ignore[no-untyped-call]
        except redis.ResponseError as refusal:
            if not self._removed_other_types(refusal, queue):
                raise
            super()._put(queue, message, **kwargs)  # type: ignore[no-untyped-call]

    def _size(self, queue: str) -> int:
        """How many messages wait, which nobody relies on: 0 where Redis doesn't say."""
        try:
            return int(super()._size(queue))  # type: ignore[no-untyped-call]
        except redis.ResponseError as refusal:
            self._removed_other_types(refusal, queue)
            return 0

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        """Which queue a message goes to is what this process declared, not what somebody left in Redis."""

    def get_table(self, exchange: str) -> Any:
        return virtual.Channel.get_table(self, exchange)  # type: ignore[no-untyped-call]


def _keep(client: Any, name: str, dead_letter: str) -> None:
    pipe = client.pipeline(transaction=True)
    pipe.lpush(name, dead_letter)
    pipe.ltrim(name, 0, DEAD_LETTERS_KEPT - 1)
    pipe.execute()


class Transport(kombu_redis.Transport):  # type: ignore[misc,unused-ignore]
    Channel = Channel
