"""Wake a worker because there is something to do, without ever waiting for the broker.

A wake-up goes into a short queue; one thread per process sends what has gathered there as one message. A broker
that hangs blocks that thread and no request. What can't be queued or sent is dropped and logged once: the state
column is the queue, and the sweeper on the beat finds what stands there.
"""

from __future__ import annotations

import logging
import os
import threading
from queue import Full, Queue
from uuid import UUID

from celery import current_app

logger = logging.getLogger(__name__)

ADVANCE, SETTLE = "trades.tasks.advance", "trades.tasks.settle_open"
MOST_WAITING = 10_000
MOST_PER_MESSAGE = 500


class WakeUps:
    """What waits to be sent, and the thread that sends it: a trade to advance, or None for a batch to settle."""

    def __init__(self) -> None:
        self._waiting: Queue[UUID | None] = Queue(MOST_WAITING)
        self._starting = threading.Lock()
        self._sender_of = 0  # the process whose thread sends

    def put(self, item: UUID | None) -> None:
        self._start_sender()
        try:
            self._waiting.put_nowait(item)
        except Full:
            logger.warning("the broker is behind: a wake-up was dropped, the sweeper will find its work")

    def _start_sender(self) -> None:
        """One thread per process; a forked child has none of its parent's threads and starts its own."""
        if self._sender_of == os.getpid():
            return
        with self._starting:
            if self._sender_of != os.getpid():
                threading.Thread(target=self._send_for_ever, name="wake-ups", daemon=True).start()
                self._sender_of = os.getpid()

    def _send_for_ever(self) -> None:
        was_away = False
        while True:
            items = {self._waiting.get()}
            while len(items) < MOST_PER_MESSAGE and not self._waiting.empty():
                items.add(self._waiting.get())
            try:
                _send(items)
                was_away = False
            except Exception as reason:  # whatever the transport raises: a lost wake-up is worth no more than a line
                if not was_away:
                    logger.warning("no worker could be woken (%s); the sweeper will find what waits", reason)
                was_away = True


wake_ups = WakeUps()


def to_advance(trade_id: UUID) -> None:
    """Ask for a stored trade to be moved. Call it after the commit that stored it."""
    wake_ups.put(trade_id)


def to_settle() -> None:
    """Ask for the confirmed batches to be settled. Call it after the commit that confirmed one."""
    wake_ups.put(None)


def _send(items: set[UUID | None]) -> None:
    ids = [item.hex for item in items if item is not None]
    if ids:
        current_app.send_task(ADVANCE, args=[ids], ignore_result=True)
    if None in items:
        current_app.send_task(SETTLE, ignore_result=True)
