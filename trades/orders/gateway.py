"""The web side of the engine: send a command, wait for its answer, never past the deadline.

One reply list and one reader thread per web process. A request waits on an event of its own; the reader
wakes it by command id. Whatever is late or unknown is dropped, and the list expires when the process is gone,
so a timeout leaves no thread, connection or key behind.
"""

from __future__ import annotations

import logging
import os
import secrets
import threading
import time
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import redis
from django.conf import settings

from accounts import streams
from trades.orders.commands import Answer, Command, decode_answer, encode, stream_of
from trades.orders.errors import TooManyWaiting

log = logging.getLogger("orders")

READ_AT_ONCE = 256
STREAM_LONGEST = 1_000_000  # far past what can be waited for; keeps a dead engine from filling the memory


@dataclass(slots=True)
class _Waiting:
    woken: threading.Event
    answer: Answer | None = None


class Gateway:
    """Of one process: `send` may be called by any number of threads."""

    def __init__(self) -> None:
        self.channel = f"replies:{os.getpid()}-{secrets.token_hex(6)}"
        self._waiting: dict[UUID, _Waiting] = {}
        self._places = threading.BoundedSemaphore(settings.MAX_WAITING_REQUESTS)
        threading.Thread(target=self._read, name="replies", daemon=True).start()

    def send(self, command: Command, deadline: float) -> Answer | None:
        """Put a command on its stream and wait for its answer until `deadline` (monotonic seconds).

        Returns None when no answer came in time. Raises TooManyWaiting at once when too many wait already,
        and redis.RedisError when the command could not be sent.
        """
        if not self._places.acquire(blocking=False):
            raise TooManyWaiting
        waiting = _Waiting(threading.Event())
        self._waiting[command.id] = waiting
        try:
            fields: Any = encode(command)
            streams.client().xadd(stream_of(command.customer_id), fields, maxlen=STREAM_LONGEST, approximate=True)
            waiting.woken.wait(max(0.0, deadline - time.monotonic()))
            return waiting.answer
        finally:
            self._waiting.pop(command.id, None)
            self._places.release()

    def _read(self) -> None:
        while True:
            try:
                popped: Any = streams.client().blmpop(
                    streams.BLOCK_SECONDS, 1, self.channel, direction="LEFT", count=READ_AT_ONCE
                )
                for text in popped[1] if popped else ():
                    self._deliver(decode_answer(text))
            except redis.RedisError:
                time.sleep(0.1)
            except Exception:
                log.exception("an answer could not be read")

    def _deliver(self, answer: Answer) -> None:
        waiting = self._waiting.get(answer.command_id)
        if waiting is not None:  # else: late, or of a request that gave up
            waiting.answer = answer
            waiting.woken.set()


_gateway: Gateway | None = None
_gateway_pid = 0
_making = threading.Lock()


def gateway() -> Gateway:
    """This process' gateway; made anew after a fork, because threads don't survive one."""
    global _gateway, _gateway_pid
    if _gateway is None or _gateway_pid != os.getpid():
        with _making:
            if _gateway is None or _gateway_pid != os.getpid():
                _gateway, _gateway_pid = Gateway(), os.getpid()
    return _gateway
