"""Deliveries that are due are sent: each subscription's by one thread in order, many subscriptions side by side.

One worker at a time begins to send; what it has begun it ends while another one goes on with the rest. Threads only
talk to endpoints; the worker's own alone talks to PostgreSQL, of many subscriptions at once, in no transaction while it
waits. What was sent is marked afterwards, so a worker that is killed between the two makes an event be sent again,
under the same id; nothing makes one be lost.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import datetime
from queue import Empty, SimpleQueue
from typing import Final
from uuid import UUID

from django.db import Error, OperationalError

from accounts import clock
from accounts.db import locks
from accounts.webhooks import due, feeding, sending
from accounts.webhooks.noting import note
from accounts.webhooks.sending import Batch, Lines

log = logging.getLogger(__name__)

THREADS: Final = 64
OF_ONE_CLIENT: Final = 32  # threads that one client's endpoints may have at once
OF_FAILING: Final = 16  # and those whose last call wasn't answered well
SECONDS: Final = 60.0  # then another worker has its turn
FEED_SECONDS: Final = 0.1  # between two looks at the outbox while something is sent
_A_MOMENT: Final = 0.1  # to wait for a first answer
_GATHER: Final = 0.01  # and for others that come with it


def deliver(now: Callable[[], datetime] = clock.about_now, seconds: float = SECONDS) -> int:
    """Make and send what is due until nothing is, or begin it for so long; how many calls were made.

    Where another worker begins, nothing.
    """
    if not locks.try_keep(locks.WEBHOOKS):
        return 0
    with closing(Lines()) as lines, ThreadPoolExecutor(THREADS, thread_name_prefix="webhooks") as threads:
        work = _Sending(threads, lines, now)
        try:
            try:
                work.go_on_until(time.monotonic() + seconds)
            finally:
                locks.let_go(locks.WEBHOOKS)
            while work.running:
                work.note_what_came()
        finally:
            work.give_up()
        return work.calls


class _Sending:
    """What one worker has under way."""

    def __init__(self, threads: ThreadPoolExecutor, lines: Lines, now: Callable[[], datetime]) -> None:
        self._threads, self._lines, self._now = threads, lines, now
        self._session = locks.session()  # whose locks say that nobody else begins: with it they are gone
        self.running: dict[Future[Batch], due.Waiting] = {}
        self.calls = 0
        self._ended: SimpleQueue[Future[Batch]] = SimpleQueue()
        self._fed_at = float("-inf")
        self._turns: Counter[UUID] = Counter()  # by subscription: who had fewer is served first

    def go_on_until(self, end: float) -> None:
        while time.monotonic() < end and locks.session() is self._session:
            made = self._feed()
            begun = self._begin()
            if self.running:
                self.note_what_came()
            elif not made and not begun:
                return

    def note_what_came(self) -> None:
        """Wait a moment for answers, and write down what came."""
        self._lines.close_idle()
        done = self._what_ended()
        if not done:
            return
        ended = [(one, self.running.pop(one)) for one in done]
        try:
            self._note([one.result() for one, _ in ended])
        finally:
            locks.let_go_each(locks.WEBHOOK, [_half(its.id) for _, its in ended])

    def give_up(self) -> None:
        """Where something went wrong: what was begun ends, is marked where PostgreSQL can be had, though the session of
        the locks can't, and doesn't stay locked. What isn't marked is sent again."""
        while self.running:
            with suppress(Error):
                self.note_what_came()

    def _feed(self) -> int:
        """Make deliveries; how many. While something is sent not at every turn."""
        began = time.monotonic()
        if self.running and began - self._fed_at < FEED_SECONDS:
            return 0
        self._fed_at = began
        return feeding.feed(self._now())

    def _what_ended(self) -> list[Future[Batch]]:
        try:
            done = [self._ended.get(timeout=_A_MOMENT)]
        except Empty:
            return []
        time.sleep(_GATHER)
        with suppress(Empty):
            while True:
                done.append(self._ended.get_nowait())
        return done

    def _note(self, batches: Sequence[Batch]) -> None:
        """All in one transaction; those that somebody has just now each in its own."""
        noted: set[UUID] = set()
        with suppress(OperationalError):  # somebody has one of their deliveries for long: alone it is told whose
            noted = note(batches)
        for batch in batches:
            id_ = batch.subscription.pk
            try:
                if id_ in noted or note([batch], waits=True):
                    self.calls += len(batch.sent)
            except OperationalError as failure:  # this one alone comes again
                log.warning("What was sent to subscription %s couldn't be marked: %s", id_.hex, failure)

    def _begin(self) -> int:
        """Begin what is due of as many subscriptions as there are threads for; how many they and the refused deliveries
        are: 0 where nothing was left to do."""
        chosen = self._chosen()
        if not chosen:
            return 0
        kept = locks.try_keep_each(locks.WEBHOOK, [_half(its.id) for its in chosen])
        # Of the others a worker that had its turn before still waits for the endpoint.
        mine = {its.id: its for its in chosen if _half(its.id) in kept}
        batches: list[Batch] = []
        try:
            found, refused = due.messages(mine.keys(), self._now())
            batches += [Batch(*one) for one in found]
        finally:
            begun = {batch.subscription.pk for batch in batches}
            locks.let_go_each(locks.WEBHOOK, [_half(id_) for id_ in mine if id_ not in begun])
        for batch in batches:
            its = mine[batch.subscription.pk]
            future = self._threads.submit(sending.send, batch, self._lines, self._now)
            self.running[future] = its
            future.add_done_callback(self._ended.put)
            self._turns[its.id] += 1
        return len(batches) + refused

    def _chosen(self) -> list[due.Waiting]:
        """Who is next of those that have something due: who had fewer turns, so many of a client and of failing."""
        free = THREADS - len(self.running)
        if free <= 0:
            return []
        clients = Counter(its.client_id for its in self.running.values())
        failing = sum(its.is_failing for its in self.running.values())
        chosen: list[due.Waiting] = []
        for its in sorted(due.waiting(self._now(), [its.id for its in self.running.values()]), key=self._turn):
            if len(chosen) == free:
                break
            if clients[its.client_id] >= OF_ONE_CLIENT or (its.is_failing and failing >= OF_FAILING):
                continue
            chosen.append(its)
            clients[its.client_id] += 1
            failing += its.is_failing
        return chosen

    def _turn(self, its: due.Waiting) -> tuple[bool, int]:
        return its.is_failing, self._turns[its.id]


def _half(id_: UUID) -> int:
    """The second number of a subscription's lock, of 32 bits with a sign; two subscriptions that share it wait."""
    return (id_.int & 0xFFFFFFFF) - 0x80000000
