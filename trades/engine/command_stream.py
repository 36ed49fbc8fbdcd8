"""One partition's stream of commands, as its engine reads it: new ones, and what others have left behind.

What was read stays pending until it is acknowledged, after the commit. An engine that dies or loses its lease in
between leaves entries pending under its own name; XAUTOCLAIM brings them to whoever serves the partition now: all at
the start, and from then on those that stand longer than a moment, which a paused engine has read and can't apply.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import redis
from django.conf import settings

from accounts import streams
from accounts.clock import uptime
from accounts.timestamps import from_milliseconds
from quotes import prices as markets
from quotes.prices import Prices
from trades.engine import stream_repair
from trades.engine.bounds import Reading
from trades.margin.commands import GROUP, Answer, Command, Poison, decode, encode_answer, stream_name

log = logging.getLogger("engine")

POLL_MILLISECONDS = 50  # how long an idle engine sleeps at most before it looks at the prices again
REPLY_KEPT_SECONDS = 30
MOST_DELIVERIES = 5  # a command that was read so often and never acknowledged kills whoever applies it
LEFT_BEHIND_MILLISECONDS = 1000
LOOK_SECONDS = 1.0
START = "0-0"


@dataclass(frozen=True, slots=True)
class Entry:
    """A stream entry that is a command; `deadline` is on Redis' clock, None for what the engine asks itself."""

    id: str
    command: Command
    deadline: datetime | None


class Stream:
    """The commands of one partition, read as `consumer`."""

    def __init__(self, partition: int, consumer: str) -> None:
        self.name = stream_name(partition)
        self.consumer = consumer
        self._cursor = START  # where XAUTOCLAIM goes on
        self._all_at_once = True  # at the start nobody else serves this partition: whatever is pending is ours
        self._looked = 0.0
        self._before: Prices | None = None
        self._line = streams.Line(streams.client)

    def begin(self) -> None:
        """At an engine's start, or after a failure in the middle: see to the group and take up what is pending."""
        self._repair()
        self._cursor, self._all_at_once = START, True

    def read(self, *, wait: bool = True) -> tuple[list[Entry], Reading]:
        """The next commands, first what is pending, then what is new, and the prices as of then.

        Poison goes to the dead letters. Waits for a command for a moment at most.
        """
        raw = self._left_behind()
        asked = uptime()
        # The prices are answered when the blocking read has been: one round trip for both.
        *new, rows, clock = self._line.call(*([] if raw else [self._reads(wait)]), *markets.LATEST)
        for answer in (*new, rows, clock):
            if new and answer is new[0] and stream_repair.is_about_keys(answer):
                self._repair()  # somebody emptied Redis, or put something else into the stream's place
            elif isinstance(answer, Exception):
                raise answer
        if new and new[0] and not isinstance(new[0], Exception):
            raw = _read(new[0], self.name)
        clock = [int(part) for part in clock]
        if raw and stream_repair.is_ahead(raw[-1][0], clock):
            self._repair()
            raw = []  # what is good of it is read again
        return self._entries(raw), self._reading(markets.read_latest(streams.as_map(rows), clock), asked)

    def _reads(self, wait: bool) -> Sequence[str | int]:
        block = ("BLOCK", POLL_MILLISECONDS) if wait else ()
        count = settings.ENGINE_TICK_COMMANDS
        return ("XREADGROUP", "GROUP", GROUP, self.consumer, "COUNT", count, *block, "STREAMS", self.name, ">")

    def prices(self) -> Reading:
        """The prices and Redis' clock once more, without commands."""
        asked = uptime()
        return self._reading(markets.latest(), asked)

    def _reading(self, prices: Prices, asked: float) -> Reading:
        """Where something stands that is no price, the one of the reading before stays, and grows old."""
        self._before = prices if self._before is None else prices.after(self._before)
        return Reading(self._before, asked)

    def _left_behind(self) -> list[tuple[str, dict[str, str] | None]]:
        """What others have read and not acknowledged: all of it at the start, later what has stood for a moment."""
        if not self._all_at_once and uptime() - self._looked < LOOK_SECONDS:
            return []
        self._looked = uptime()
        try:
            stream_repair.repair(self.name)
            raw = self._claim(0 if self._all_at_once else LEFT_BEHIND_MILLISECONDS)
        except redis.ResponseError as lost:
            if not stream_repair.is_about_keys(lost):
                raise
            self._repair()
            return []
        self._all_at_once = self._all_at_once and self._cursor != START
        return raw

    def _claim(self, idle_milliseconds: int) -> list[tuple[str, dict[str, str] | None]]:
        """Take over pending entries from the cursor on; those that killed every engine so far are set aside."""
        self._cursor, raw, _ = streams.client().xautoclaim(
            self.name,
            GROUP,
            self.consumer,
            min_idle_time=idle_milliseconds,
            start_id=self._cursor,
            count=settings.ENGINE_TICK_COMMANDS,
        )
        if not raw:
            return []
        pending: Any = streams.client().xpending_range(
            self.name, GROUP, min=raw[0][0], max=raw[-1][0], count=len(raw), consumername=self.consumer
        )
        deliveries = {entry["message_id"]: entry["times_delivered"] for entry in pending}
        killers = [(id_, fields) for id_, fields in raw if deliveries.get(id_, 0) > MOST_DELIVERIES]
        stream_repair.to_dead_letters(
            self.name,
            [(id_, fields, f"delivered {deliveries[id_]} times and never acknowledged") for id_, fields in killers],
        )
        return [entry for entry in raw if entry not in killers]

    def _entries(self, raw: Sequence[tuple[str, dict[str, str] | None]]) -> list[Entry]:
        entries, letters = [], []
        for id_, fields in raw:
            try:
                command = decode(fields or {})
                deadline = int(id_.partition("-")[0]) + command.ttl_ms
                if command.until_ms:
                    deadline = min(deadline, command.until_ms)
                entries.append(Entry(id_, command, from_milliseconds(deadline)))
            except (Poison, OverflowError, ValueError) as reason:  # the latter: a time that no calendar has
                letters.append((id_, fields or {}, str(reason)))
        stream_repair.to_dead_letters(self.name, letters)
        return entries

    def _repair(self) -> None:
        stream_repair.repair(self.name)
        try:
            streams.client().xgroup_create(self.name, GROUP, id="0", mkstream=True)
        except redis.ResponseError as exists:
            if "BUSYGROUP" not in str(exists):
                raise

    def answer(self, entries: Sequence[Entry], answers: Sequence[Answer]) -> None:
        """Send the answers and let go of the entries, in one round trip. Only what is done with is removed.

        All or nothing: whoever was told "no" must not have their command delivered once more.
        """
        if not entries:
            return
        reply_to = {entry.command.id: entry.command.reply_to for entry in entries}
        waiting: dict[str, list[str]] = {}
        for answer in answers:
            if channel := reply_to.get(answer.command_id):
                waiting.setdefault(channel, []).append(encode_answer(answer))
        commands: list[Sequence[str | int]] = []
        for channel, texts in waiting.items():
            commands += [("RPUSH", channel, *texts), ("EXPIRE", channel, REPLY_KEPT_SECONDS)]
        ids = [entry.id for entry in entries]
        told = self._line.transact(*commands, ("XACK", self.name, GROUP, *ids), ("XDEL", self.name, *ids))
        for (channel, texts), answer in zip(waiting.items(), told[::2], strict=False):
            if stream_repair.is_about_keys(answer):
                _push_anew(channel, texts)

    def to_dead_letters(self, id_: str, fields: dict[str, str], reason: str) -> None:
        """Set an entry aside with a reason, out of the others' way."""
        stream_repair.to_dead_letters(self.name, [(id_, fields, reason)])

    def leave(self) -> None:
        """Take this consumer's name off the group; what it holds pending, if anything, stays with its name."""
        if not streams.client().xpending_range(self.name, GROUP, "-", "+", 1, consumername=self.consumer):
            streams.client().xgroup_delconsumer(self.name, GROUP, self.consumer)


def _read(answer: Any, stream: str) -> list[tuple[str, dict[str, str] | None]]:
    """The entries (id, fields) of XREADGROUP's answer: a map by stream, or in RESP2 a list of pairs."""
    entries = answer[stream] if isinstance(answer, dict) else answer[0][1]
    return [(id_, fields and streams.as_map(fields)) for id_, fields in entries]


def _push_anew(channel: str, texts: Sequence[str]) -> None:
    """Send answers to a reply list in whose place something else stood: it goes."""
    log.error("%s was no list, and is removed", channel)
    pipe = streams.client().pipeline(transaction=True)
    pipe.unlink(channel)
    pipe.rpush(channel, *texts)
    pipe.expire(channel, REPLY_KEPT_SECONDS)
    pipe.execute(raise_on_error=False)
