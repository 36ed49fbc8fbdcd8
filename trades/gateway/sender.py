"""A web process puts the commands of its requests on their streams over one connection, as many at once as wait.

A request that finds the connection free sends its command itself. Whoever comes meanwhile hands theirs over and
sleeps until their answer is there; what has gathered by then, a thread of the process' own sends. What Redis refuses,
or does not answer, is said to the request instead of an answer.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Mapping, Sequence
from typing import Final

import redis

from accounts import streams
from accounts.clock import uptime
from trades.margin.commands import Answer

log = logging.getLogger("orders")

MOST_AT_ONCE: Final = 256  # commands in one round trip


class Waiting:
    """A request's command on its way to an engine, and what the request is told."""

    __slots__ = ("entry", "fields", "is_sent", "is_withdrawn", "said", "since", "stream")

    def __init__(self, stream: str, fields: Mapping[str, str]) -> None:
        self.stream = stream
        self.fields = fields
        self.since = uptime()
        self.entry = ""  # the stream entry's id, once Redis has said it
        self.is_sent = False  # Redis has it, or may have it
        self.is_withdrawn = False
        self.said: queue.SimpleQueue[Answer | redis.RedisError] = queue.SimpleQueue()

    def hear(self, until: float) -> Answer | redis.RedisError | None:
        """The engine's answer, or why the command could not be sent; None when nothing came until then (`uptime`)."""
        try:
            return self.said.get(timeout=max(0.0, until - uptime()))
        except queue.Empty:
            return None


class Sender:
    """Of one process; `send` and `withdraw` may be called by any number of threads."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Waiting] = queue.SimpleQueue()
        self._line = streams.Line(streams.prompt_client)
        self._sending = threading.Lock()  # who holds it has the connection
        self._left: queue.SimpleQueue[None] = queue.SimpleQueue()  # something was left to the process' own thread
        self._choosing = threading.Lock()  # what is withdrawn is not sent, and what is sent can't be withdrawn
        threading.Thread(target=self._run, name="commands", daemon=True).start()

    def send(self, waiting: Waiting) -> None:
        """Put the command on its stream as soon as may be.

        `waiting` is told streams.Unanswered when Redis has not said whether it took it, and may still; another
        redis.RedisError when it was not sent and won't be.
        """
        self._queue.put(waiting)
        if self._sending.acquire(blocking=False):
            self._send_what_waits()
            if not self._queue.empty():  # looked at after the release: whoever was refused the lock had queued before
                self._left.put(None)

    def withdraw(self, waiting: Waiting) -> bool:
        """Never send it. False when it was sent already."""
        with self._choosing:
            waiting.is_withdrawn = not waiting.is_sent
            return waiting.is_withdrawn

    def _run(self) -> None:
        while True:
            self._left.get()
            while not self._queue.empty():
                self._sending.acquire()
                self._send_what_waits()

    def _send_what_waits(self) -> None:
        """Send what is queued by now, and give the connection back."""
        batch: list[Waiting] = []
        try:
            while len(batch) < MOST_AT_ONCE and not self._queue.empty():
                batch.append(self._queue.get_nowait())  # only the holder of the connection takes from the queue
            self._put(batch)
        except Exception as failure:
            log.exception("commands were not sent")  # it goes on: every request of this process needs it
            for waiting in batch:
                waiting.said.put(streams.Unanswered(repr(failure)))
        finally:
            self._sending.release()

    def _put(self, batch: Sequence[Waiting]) -> None:
        oldest = uptime() - streams.PROMPT_SECONDS
        chosen, late = [], []
        with self._choosing:
            for waiting in batch:
                if waiting.since < oldest:
                    late.append(waiting)
                elif not waiting.is_withdrawn:
                    waiting.is_sent = True
                    chosen.append(waiting)
        for waiting in late:
            waiting.said.put(redis.TimeoutError("Redis left those before it without an answer"))
        if not chosen:
            return
        receipts = self._line.append([(waiting.stream, waiting.fields) for waiting in chosen])
        for waiting, receipt in zip(chosen, receipts, strict=True):
            if isinstance(receipt, str):
                waiting.entry = receipt
            else:
                waiting.said.put(receipt)
