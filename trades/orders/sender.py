"""One thread of a web process puts the commands of all its requests on their streams, as many at once as wait.

A request hands its command over and sleeps until its answer is there: it isn't woken for Redis' receipt, and takes no
connection of its own. What Redis refuses, or does not answer, is said to the request instead of an answer.
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
from trades.orders.commands import Answer

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
        self._appender = streams.Appender()
        self._choosing = threading.Lock()  # what is withdrawn is not sent, and what is sent can't be withdrawn
        threading.Thread(target=self._run, name="commands", daemon=True).start()

    def send(self, waiting: Waiting) -> None:
        """Put the command on its stream as soon as may be.

        `waiting` is told streams.Unanswered when Redis has not said whether it took it, and may still; another
        redis.RedisError when it was not sent and won't be.
        """
        self._queue.put(waiting)

    def withdraw(self, waiting: Waiting) -> bool:
        """Never send it. False when it was sent already."""
        with self._choosing:
            waiting.is_withdrawn = not waiting.is_sent
            return waiting.is_withdrawn

    def _run(self) -> None:
        while True:
            batch = self._gathered()
            try:
                self._put(batch)
            except Exception as failure:
                log.exception("commands were not sent")  # it goes on: every request of this process needs it
                for waiting in batch:
                    waiting.said.put(streams.Unanswered(repr(failure)))

    def _gathered(self) -> list[Waiting]:
        """The next command, and whatever else waits by then."""
        batch = [self._queue.get()]
        try:
            while len(batch) < MOST_AT_ONCE:
                batch.append(self._queue.get_nowait())
        except queue.Empty:
            pass
        return batch

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
        receipts = self._appender.append([(waiting.stream, waiting.fields) for waiting in chosen])
        for waiting, receipt in zip(chosen, receipts, strict=True):
            if isinstance(receipt, str):
                waiting.entry = receipt
            else:
                waiting.said.put(receipt)
