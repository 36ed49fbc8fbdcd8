"""The order engine: reads a partition's stream, commits tick after tick, answers.

    read up to 256 commands -> drop those past their deadline -> add what prices fire
    -> one transaction -> answer and acknowledge in one pipeline

The process may stand still between any two lines. So what was read of Redis counts from before it was asked for, is
read again when it is too old, and PostgreSQL refuses a tick that is not committed in time (`bounds.py`).

What was read stays pending in the stream until it is acknowledged after the commit. An engine that dies in between
leaves it there; its successor reads it again, and applying it again changes nothing (`apply.py`).
"""

from __future__ import annotations

import gc
import logging
import os
import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import redis
from django.conf import settings
from django.db import DatabaseError, InterfaceError, InternalError, OperationalError, connection, transaction

from accounts import host_clock
from accounts.clock import LONGEST_READING_SECONDS, about_firm_now, about_now, is_too_late, uptime
from accounts.conflicts import TRIES, is_conflict, was_ended
from accounts.heartbeat import Heartbeat
from accounts.ids import floor_of
from accounts.management import connecting
from quotes.prices import Price, Prices
from quotes.symbols import market_hours
from trades.book.book import Book
from trades.engine import queries
from trades.engine.apply import Applied, apply
from trades.engine.bounds import FIRST_SECONDS, LONGEST_SECONDS, Bound, Reading
from trades.engine.command_stream import Entry, Stream
from trades.engine.counted import Counted
from trades.engine.lease import RENEW_SECONDS, Lease, LeaseLost
from trades.engine.price_extremes import ExtremeRow, Extremes
from trades.engine.redeliveries import Redeliveries
from trades.engine.resting import Parted, Withheld
from trades.engine.rollover import Rollover
from trades.margin.commands import Answer, own
from trades.margin.kinds import FIRE, JUDGE, CommandKind

log, commands = logging.getLogger("engine"), logging.getLogger("commands")

CASH_SECONDS = 1.0  # how long the book may not know of money that others moved
CASH_READ_ANEW = 500  # accounts whose cash is read at each look, in turn: a wrong clock may have hidden a movement
SLOWEST_POSTING = timedelta(seconds=10)  # a transfer's id may be older than its commit by this much
ABOUT = timedelta(seconds=LONGEST_READING_SECONDS)  # so that no night begins before PostgreSQL's clock says so
MOST_FIRED = 500  # what one tick takes of what prices fired; the rest follows in the next


class Engine:
    """One partition's engine. `run` returns when `stop` was called; raises LeaseLost when replaced.

    `parent`: the process that started it among others, after whose death it stops by itself.
    """

    def __init__(self, partition: int = 0, parent: int = 0) -> None:
        self.partition = partition
        self.lease = Lease(partition, settings.ENGINE_PARTITIONS)
        self.stream = Stream(partition, self.lease.holder)
        self.book = Book()  # empty until there is a lease
        self.extremes = Extremes(partition)
        self.rollover = Rollover(partition, settings.ENGINE_PARTITIONS, self.lease)
        self.redeliveries = Redeliveries()
        self.counted = Counted(partition)
        self.heart = Heartbeat(f"the engine of partition {partition}")
        self._stopping = threading.Event()
        self._parent = parent
        self._renewed = 0.0
        self._cash_looked = 0.0
        self._tick_seconds = FIRST_SECONDS
        self._seen: dict[str, Price] = {}
        self._withheld = Withheld()
        self._waiting: list[Entry] = []  # fired, and not applied yet

    def stop(self) -> None:
        """Finish the tick at hand, then return from `run`."""
        self._stopping.set()

    # --- the loop ----------------------------------------------------------------------------------

    def run(self) -> None:
        """Take the lease, then tick until stopped; a database or Redis that is away is waited for."""
        pause = 0.1
        while not self._stopping.is_set():
            self.heart.beat()
            try:
                if not self._start():
                    continue
                while not self._stopping.is_set():
                    self.turn()
                    pause = 0.1  # only now: what refuses the turn alone would have the book loaded ten times a second
            except (OperationalError, InterfaceError, InternalError, redis.RedisError) as gone:
                if isinstance(gone, InternalError) and not was_ended(gone):
                    raise
                log.warning("waiting for PostgreSQL and Redis: %s", _why(gone))
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
        self.lease.wait_for_ticks()
        self.lease.renew()
        self.stream.begin()
        began = uptime()
        self.book = Book.load(self.partition, settings.ENGINE_PARTITIONS)
        queries.by_index()
        log.info("%s live orders in the book after %.2f s", len(self.book), uptime() - began)
        gc.collect()
        gc.freeze()  # the book and the code stay: no tick waits while a collection looks through them
        self.extremes = Extremes(self.partition)
        self.rollover.begin()
        self._seen, self._withheld, self._waiting = {}, Withheld(), []
        return True

    def _finish(self) -> None:
        if self.lease.epoch:
            try:
                self.lease.give_back()
                self.stream.leave()
            except (DatabaseError, redis.RedisError):
                log.warning("the lease could not be given back; it runs out by itself")
        connection.close()

    def turn(self) -> int:
        """One turn: read, apply, answer. Returns how many commands were done."""
        self.heart.beat()
        self._renew()
        self._look_at_cash()
        entries, reading = self.stream.read(wait=not self._waiting)
        reading = self._fresh(reading)
        hours = market_hours()
        if self._withheld.waits_for_a_price(hours, about_firm_now()):
            reading = self.stream.prices()
        moved = self._moved(reading.prices)
        parted = self._withheld.parted(moved, hours, about_firm_now(), reading.now())
        self._waiting += self._fired(parted)
        fired, self._waiting = self._waiting[:MOST_FIRED], self._waiting[MOST_FIRED:]
        extreme = self.extremes.judged(parted.trading, self.book.trailing_symbols())
        done = 0
        if entries or fired or extreme:
            done = self._do(entries, fired, reading, extreme)
        self._take_up(self.rollover.turn(self._fresh(reading), about_firm_now() - ABOUT))
        return done

    def _do(
        self, entries: Sequence[Entry], fired: Sequence[Entry], reading: Reading, extreme: Sequence[ExtremeRow]
    ) -> int:
        """Apply what was read and what prices fired, answer, and take it up."""
        now = reading.now()
        in_time = _in_time(entries, now)
        if len(in_time) < len(entries):
            log.warning("%s commands were past their deadline and are dropped", len(entries) - len(in_time))
        first, again = self.redeliveries.split(in_time, now)
        applied = Applied()
        if first or fired or extreme:
            applied = self._tick([*fired, *first], reading, extreme)
        self.stream.answer(entries, applied.answers + self.redeliveries.answered(first, again, applied.answers))
        self._take_up(applied)  # after the answers, which somebody waits for; where they fail it is all loaded anew
        self.extremes.written(applied.at)
        if settings.ACCESS_LOG:
            _tell([*fired, *first], applied.answers)
        return len(fired) + len(in_time)

    def _fresh(self, reading: Reading) -> Reading:
        """This reading, or another one where it is too old to decide anything by."""
        for _ in range(TRIES):
            if reading.is_fresh:
                break
            reading = self.stream.prices()
        return reading

    def _renew(self) -> None:
        if not 0 <= uptime() - self._renewed < RENEW_SECONDS:
            if self._parent and os.getppid() != self._parent:
                self.stop()  # whoever started all engines was killed: leave the partition to its successor
            self.lease.renew()
            host_clock.look()
            self._renewed = uptime()

    # --- what moves by itself ----------------------------------------------------------------------

    def _moved(self, prices: Prices) -> list[Price]:
        """The prices that moved since the last turn."""
        moved = [price for symbol, price in prices.by_symbol.items() if self._seen.get(symbol) != price]
        self._seen = dict(prices.by_symbol)
        return moved

    def _fired(self, prices: Parted) -> list[Entry]:
        """What these prices fire, as commands. Each is looked at exactly, at a usable price, when it is applied."""
        fired = self.book.fired(prices.trading, resting=prices.resting, close_only=prices.close_only)
        known = {(e.command.customer_id, e.command.terms.get("orderId")) for e in self._waiting}
        orders = [
            _own(FIRE, customer, orderId=code) for customer, code in fired.orders if (customer, code) not in known
        ]
        accounts = [_own(JUDGE, customer) for customer in fired.accounts if (customer, None) not in known]
        return orders + accounts

    def _look_at_cash(self) -> None:
        """Tell the book of money that others moved: deposits, withdrawals, spot trades, corrections.

        Found by the time in the transfers' ids. What came with an older one, the next round finds.
        """
        if 0 <= uptime() - self._cash_looked < CASH_SECONDS:
            return
        self._cash_looked = uptime()
        with queries.by_index_within():
            moved = queries.whose_cash_moved(floor_of(about_now() - SLOWEST_POSTING))
            mine = {customer for customer in moved if self.book.knows(customer)}
            mine.update(self.book.next_few(CASH_READ_ANEW))
            if mine:
                self.book.set_cash(queries.cash_of(mine))

    def _take_up(self, applied: Applied | None) -> None:
        """Bring the book up to what was committed."""
        if applied is None:
            return
        self.book.let_go(applied.ended)
        self.book.take_up(applied.live)
        self.book.set_cash(applied.cash)
        self.book.set_hedged(applied.hedged)
        self.book.set_called(applied.called)
        self.extremes.restart(applied.trails_set)

    # --- applying ----------------------------------------------------------------------------------

    def _tick(self, entries: Sequence[Entry], reading: Reading, extreme: Sequence[ExtremeRow] = ()) -> Applied:
        """Apply commands in one transaction; where one of them breaks it, each in its own.

        Those whose deadline passes before they could be committed are left out, and the rest is tried again.
        """
        for _ in range(TRIES):
            reading = self._fresh(reading)
            entries = _in_time(entries, reading.now())
            if not entries and not extreme:
                break
            began = uptime()
            try:
                with transaction.atomic():
                    bound = Bound(self.lease, reading, _earliest(entries), self._tick_seconds)
                    applied = apply([entry.command for entry in entries], reading.prices, extreme, bound)
                self._tick_seconds = FIRST_SECONDS
                self.counted.tick([entry.command.kind for entry in entries], uptime() - began)
                return applied
            except OperationalError as failure:
                if is_too_late(failure):
                    self._tick_seconds = min(2 * self._tick_seconds, LONGEST_SECONDS)
                elif not is_conflict(failure):
                    raise
            except (LeaseLost, InterfaceError):
                raise
            except Exception as failure:
                if isinstance(failure, InternalError) and was_ended(failure):
                    raise
                if not entries:
                    raise
                if len(entries) == 1 and not extreme:
                    return self._broken(entries[0], failure)
                log.exception("a tick of %s commands failed; applying them one by one", len(entries))
                return _together([self._tick([], reading, extreme), *(self._tick([one], reading) for one in entries)])
        else:
            raise OperationalError("a tick kept meeting deadlocks, or could not be committed in time")
        return Applied()

    def _broken(self, entry: Entry, failure: Exception) -> Applied:
        """A command that no tick can take: told, set aside, and never in the way of the others."""
        log.error("command %s of %s failed: %r", entry.command.kind, entry.command.customer_id.hex, failure)
        if entry.id:
            self.stream.to_dead_letters(entry.id, {"command": entry.command.id.hex}, repr(failure))
        code = entry.command.terms.get("orderId", "")
        return Applied(answers=[Answer(entry.command.id, 500, '{"error":"Internal server error"}', code)])


def _tell(entries: Sequence[Entry], answers: Sequence[Answer]) -> None:
    """A line for each command that was applied: by its `request`, or its id, the web process' line is found."""
    by_command = {answer.command_id: answer for answer in answers}
    for command in (entry.command for entry in entries):
        answer = by_command.get(command.id)
        code = (answer and answer.order_code) or command.terms.get("orderId", "")
        said = {"command": command.id.hex, "customer": command.customer_id.hex, "order": code}
        if answer:
            said |= {"request": command.request_id or command.id.hex, "status": answer.status}
        commands.info("%s", command.kind, extra=said)


def _why(gone: Exception) -> str:
    if isinstance(gone, redis.RedisError):
        return str(gone).strip().partition("\n")[0]
    return connecting.why_refused(gone)


def _own(kind: CommandKind, customer_id: UUID, **terms: str) -> Entry:
    """What the engine asks of itself: nobody waits for its answer and it has no deadline."""
    return Entry("", own(kind, customer_id, **terms), None)


def _in_time(entries: Sequence[Entry], now: datetime) -> list[Entry]:
    return [entry for entry in entries if entry.deadline is None or entry.deadline > now]


def _earliest(entries: Sequence[Entry]) -> datetime | None:
    return min((entry.deadline for entry in entries if entry.deadline is not None), default=None)


def _together(parts: Sequence[Applied]) -> Applied:
    whole = Applied()
    for part in parts:
        whole.answers += part.answers
        whole.live += part.live
        whole.ended += part.ended
        whole.cash |= part.cash
        whole.hedged |= part.hedged
        whole.called |= part.called
        whole.trails_set |= part.trails_set
        whole.at = whole.at or part.at
    return whole
