"""The order engine: reads a partition's stream, commits tick after tick, answers.

    read up to 256 commands -> drop those past their deadline -> add what prices fire
    -> one transaction -> answer and acknowledge in one pipeline

What was read stays pending in the stream until it is acknowledged after the commit. An engine that dies in
between leaves it there; its successor reads it again, and applying it again changes nothing (`apply.py`).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import redis
from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, connection, transaction

from accounts import streams
from accounts.ids import uuid7
from quotes import prices as markets
from quotes.prices import Prices
from trades.orders import rows
from trades.orders.apply import Applied, apply
from trades.orders.book import Book, Watched
from trades.orders.commands import CLOSE, GROUP, Answer, Command, Poison, decode, encode_answer, stream_name
from trades.orders.lease import RENEW_SECONDS, Lease, LeaseLost

log = logging.getLogger("engine")

POLL_MILLISECONDS = 50  # how long an idle engine sleeps at most before it looks at the prices again
REPLY_KEPT_SECONDS = 30
DEAD_LETTERS_KEPT = 10_000
WORTH_A_RETRY = {"40001", "40P01"}  # serialization failure, deadlock


class TooLate(Exception):
    """Some command's deadline passed while its tick was being prepared."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A stream entry that is a command; `deadline` is on Redis' clock, None for what a price fired."""

    id: str
    command: Command
    deadline: datetime | None


class Engine:
    """One partition's engine. `run` returns when `stop` was called; raises LeaseLost when replaced."""

    def __init__(self, partition: int = 0) -> None:
        self.partition = partition
        self.stream = stream_name(partition)
        self.lease = Lease(partition)
        self.book = Book()
        self._stopping = threading.Event()
        self._backlog = True  # what a predecessor, or we before a failure, read but did not acknowledge
        self._renewed = 0.0
        self._clock_read = 0.0
        self._seen: dict[str, Any] = {}

    def stop(self) -> None:
        """Finish the tick at hand, then return from `run`."""
        self._stopping.set()

    # --- the loop ----------------------------------------------------------------------------------

    def run(self) -> None:
        """Take the lease, then tick until stopped; a database or Redis that is away is waited for."""
        pause = 0.1
        while not self._stopping.is_set():
            try:
                if not self._start():
                    continue
                pause = 0.1
                while not self._stopping.is_set():
                    self.turn()
            except (OperationalError, InterfaceError, redis.RedisError) as gone:
                log.warning("waiting for PostgreSQL and Redis: %s", str(gone).strip().partition("\n")[0])
                connection.close()
                self._stopping.wait(pause)
                pause = min(pause * 2, 2.0)
        self._finish()

    def _start(self) -> bool:
        if not self.lease.epoch:
            if not self.lease.take():
                log.info("partition %s is held by another engine; waiting", self.partition)
                self._stopping.wait(1)
                return False
            log.info("partition %s taken, epoch %s", self.partition, self.lease.epoch)
        self.lease.renew()
        self._ensure_group()
        self.book = Book(rows.open_orders_with_triggers(self.partition, settings.ENGINE_PARTITIONS))
        self._seen = {}
        self._backlog = True
        return True

    def _finish(self) -> None:
        if self.lease.epoch:
            try:
                self.lease.give_back()
            except DatabaseError:
                log.warning("the lease could not be given back; it runs out by itself")
        connection.close()

    def turn(self) -> int:
        """One turn: read, apply, answer. Returns how many commands were done."""
        if time.monotonic() - self._renewed > RENEW_SECONDS:
            self.lease.renew()
            self._renewed = time.monotonic()
        entries = self._read()
        prices = self._prices()
        fired = [_closing(watched) for watched in self._fired(prices)]
        if not entries and not fired:
            return 0
        in_time = [entry for entry in entries if entry.deadline is None or entry.deadline > prices.now]
        if len(in_time) < len(entries):
            log.warning("%s commands were past their deadline and are dropped", len(entries) - len(in_time))
        applied = self._tick(fired + in_time, prices)
        self._answer(entries, applied)
        self.book.take_up(order for order in applied.opened if order.status == "OPEN")
        self.book.let_go(applied.closed)
        return len(fired) + len(in_time)

    # --- reading -----------------------------------------------------------------------------------

    def _ensure_group(self) -> None:
        try:
            streams.client().xgroup_create(self.stream, GROUP, id="0", mkstream=True)
        except redis.ResponseError as exists:
            if "BUSYGROUP" not in str(exists):
                raise

    def _read(self) -> list[Entry]:
        """The next commands: first what is pending, then what is new. Poison goes to the dead letters."""
        start = "0" if self._backlog else ">"
        try:
            answer: Any = streams.client().xreadgroup(
                GROUP,
                GROUP,
                {self.stream: start},
                count=settings.ENGINE_TICK_COMMANDS,
                block=None if self._backlog else POLL_MILLISECONDS,
            )
        except redis.ResponseError as lost:
            if "NOGROUP" not in str(lost):
                raise
            self._ensure_group()  # somebody emptied Redis: nothing of value was in it
            return []
        raw = answer[0][1] if answer else []
        if self._backlog and not raw:
            self._backlog = False
        entries = []
        for id_, fields in raw:
            try:
                command = decode(fields or {})
                at = markets.moment(int(id_.partition("-")[0]))
                entries.append(Entry(id_, command, at + timedelta(milliseconds=command.ttl_ms)))
            except Poison as reason:
                self._bury(id_, fields or {}, str(reason))
        return entries

    def _prices(self) -> Prices:
        prices = markets.latest()
        self._clock_read = time.monotonic()
        return prices

    def _fired(self, prices: Prices) -> list[Watched]:
        """What prices fire that moved since the last turn. A stale price fires nothing when it is applied."""
        moved = [price for symbol, price in prices.by_symbol.items() if self._seen.get(symbol) != price]
        self._seen = dict(prices.by_symbol)
        return self.book.fired(moved) if moved and len(self.book) else []

    # --- applying ----------------------------------------------------------------------------------

    def _tick(self, entries: Sequence[Entry], prices: Prices) -> Applied:
        """Apply commands in one transaction; where one of them breaks it, each in its own."""
        for _ in range(5):
            try:
                with transaction.atomic():
                    self.lease.check()
                    applied = apply([entry.command for entry in entries], prices)
                    self._check_deadlines(entries, prices)
                return applied
            except TooLate:
                now = self._now(prices)
                entries = [entry for entry in entries if entry.deadline is None or entry.deadline > now]
                if not entries:
                    return Applied()
            except OperationalError as failure:
                if getattr(failure.__cause__, "sqlstate", None) not in WORTH_A_RETRY:
                    raise
            except (LeaseLost, InterfaceError):
                raise
            except Exception as failure:
                if len(entries) == 1:
                    return self._broken(entries[0], failure)
                log.exception("a tick of %s commands failed; applying them one by one", len(entries))
                return _together([self._tick([entry], prices) for entry in entries])
        raise OperationalError("a tick kept meeting deadlocks")

    def _now(self, prices: Prices) -> datetime:
        """Redis' clock by now, without asking it again."""
        return prices.now + timedelta(seconds=time.monotonic() - self._clock_read)

    def _check_deadlines(self, entries: Sequence[Entry], prices: Prices) -> None:
        now = self._now(prices)
        if any(entry.deadline is not None and entry.deadline <= now for entry in entries):
            raise TooLate

    def _broken(self, entry: Entry, failure: Exception) -> Applied:
        """A command that no tick can take: told, set aside, and never in the way of the others."""
        log.error("command %s of %s failed: %r", entry.command.kind, entry.command.customer_id.hex, failure)
        if entry.id:
            self._bury(entry.id, {"command": entry.command.id.hex}, repr(failure))
        code = entry.command.terms.get("orderId", "")
        return Applied(answers=[Answer(entry.command.id, 500, '{"error":"Internal server error"}', code)])

    # --- answering ---------------------------------------------------------------------------------

    def _answer(self, entries: Sequence[Entry], applied: Applied) -> None:
        """Send the answers and let go of the entries, in one round trip."""
        if not entries:
            return
        reply_to = {entry.command.id: entry.command.reply_to for entry in entries}
        waiting: dict[str, list[str]] = {}
        for answer in applied.answers:
            if reply_to.get(answer.command_id):
                waiting.setdefault(reply_to[answer.command_id], []).append(encode_answer(answer))
        pipe = streams.client().pipeline(transaction=False)
        for channel, answers in waiting.items():
            pipe.rpush(channel, *answers)
            pipe.expire(channel, REPLY_KEPT_SECONDS)
        ids = [entry.id for entry in entries]
        pipe.xack(self.stream, GROUP, *ids)
        pipe.xdel(self.stream, *ids)
        pipe.execute()

    def _bury(self, id_: str, fields: dict[str, str], reason: str) -> None:
        log.error("entry %s goes to the dead letters: %s", id_, reason)
        letter: Any = {**fields, "reason": reason[:500]}
        pipe = streams.client().pipeline(transaction=True)
        pipe.xadd(f"{self.stream}:dead", letter, maxlen=DEAD_LETTERS_KEPT)
        pipe.xack(self.stream, GROUP, id_)
        pipe.xdel(self.stream, id_)
        pipe.execute()


def _closing(watched: Watched) -> Entry:
    """A fired order as a command like any other; nobody waits for its answer and it has no deadline."""
    return Entry("", Command(uuid7(), CLOSE, watched.customer_id, terms={"orderId": watched.code}), None)


def _together(parts: Sequence[Applied]) -> Applied:
    return Applied(
        answers=[answer for part in parts for answer in part.answers],
        opened=[order for part in parts for order in part.opened],
        closed=[order for part in parts for order in part.closed],
    )
