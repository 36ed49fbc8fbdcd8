"""Wake a worker because there is something to do, without ever waiting for the broker.

A wake-up goes into a short queue; one thread per process sends what has gathered there, one message a task. A broker
that hangs blocks that thread and no request. What can't be queued or sent is dropped and logged once: the state
column is the queue, and the sweeper on the beat finds what stands there.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import defaultdict
from queue import Full, Queue
from typing import Final
from uuid import UUID

from celery import current_app

logger = logging.getLogger(__name__)

CHECK: Final = "accounts.tasks.check_customers"
MOST_WAITING: Final = 10_000
MOST_PER_MESSAGE: Final = 500

WakeUp = tuple[str, UUID | None]
"""A task's name, and the row that it is to look at; None for a task that takes no ids."""


class WakeUps:
    """What waits to be sent, and the thread that sends it."""

    def __init__(self) -> None:
        self._waiting: Queue[WakeUp] = Queue(MOST_WAITING)
        self._starting = threading.Lock()
        self._sender_of = 0  # the process whose thread sends

    def put(self, item: WakeUp) -> None:
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


def to_check(customer_id: UUID) -> None:
    """Ask for a customer who stands in storing to be checked. Call it after the commit that stored them."""
    wake_ups.put((CHECK, customer_id))


def _send(items: set[WakeUp]) -> None:
    wanted: defaultdict[str, list[str]] = defaultdict(list)
    for task, id_ in items:
        wanted[task] += [] if id_ is None else [id_.hex]
    for task, ids in wanted.items():
        current_app.send_task(task, args=[ids] if ids else [], ignore_result=True)
