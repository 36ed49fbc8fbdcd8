"""The web side of the engine: send a command, wait for its answer, never past the deadline.

One reply list, one reader thread and one sender (`sender.py`) per web process. A request waits on a queue of its own;
the reader wakes it by command id. Whatever is late or unknown is dropped, and the list expires when the
process is gone. A command that got no answer in time is taken out of the stream again: its deadline has passed, so no
engine may execute it any more. So a timeout leaves no thread, connection, key or entry behind, not even where no
engine runs.
"""

from __future__ import annotations

import logging
import os
import secrets
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Final
from uuid import UUID

import redis
from django.conf import settings

from accounts import streams
from accounts.clock import uptime
from trades.gateway.sender import Sender, Waiting
from trades.margin.commands import GROUP, Answer, Command, Poison, decode_answer, encode, stream_of
from trades.margin.errors import TooManyWaiting

log = logging.getLogger("orders")

READ_AT_ONCE = 256
LEAVE: Final = """
if redis.call('TYPE', KEYS[1]).ok == 'string' and redis.call('GET', KEYS[1]) == ARGV[1] then
    return redis.call('DEL', KEYS[1])
end
return 0
"""
"""Takes a request's mark away (`idempotency.py`); only the request that set it does."""


class Gateway:
    """Of one process: `send` may be called by any number of threads."""

    def __init__(self) -> None:
        self.channel = f"replies:{os.getpid()}-{secrets.token_hex(6)}"
        self._pops = ("BLMPOP", streams.BLOCK_SECONDS, 1, self.channel, "LEFT", "COUNT", READ_AT_ONCE)
        self._waiting: dict[UUID, Waiting] = {}
        self._counting = threading.Lock()
        self._sender = Sender()
        self._given_up: deque[tuple[str, str]] = deque()  # stream and entry of what was not answered in time
        self._marks: deque[tuple[str, str]] = deque()  # of requests that gave up while Redis did not answer
        self._places: int = settings.MAX_WAITING_REQUESTS
        self._ahead = _ahead(streams.prompt_client().time())
        threading.Thread(target=self._read, name="replies", daemon=True).start()

    def on_its_clock(self, moment: float) -> int:
        """A moment (`uptime` seconds) on Redis' clock, in milliseconds: rather too early than too late."""
        return int((moment + self._ahead) * 1000)

    def leave_later(self, mark: str, command_id: UUID) -> None:
        """Take a mark away as soon as Redis answers again."""
        self._marks.append((mark, command_id.hex))

    def send(self, command: Command, deadline: float, commit_by: float | None = None) -> Answer | None:
        """Put a command on its stream and wait for its answer until `deadline`; both by `uptime`.

        No engine executes it after `commit_by` (the deadline, unless said). Returns None when no answer came in time.
        Raises TooManyWaiting at once when too many wait already; streams.Unanswered, after `commit_by`, when Redis has
        not said that it took the command and no answer came either; another redis.RedisError when it was not sent.
        """
        waiting = Waiting(stream_of(command.customer_id), encode(command))
        with self._counting:
            if len(self._waiting) >= self._places:
                raise TooManyWaiting
            self._waiting[command.id] = waiting
        try:
            self._sender.send(waiting)
            said = waiting.hear(deadline)
            if isinstance(said, streams.Unanswered):  # it may lie in the connection, executed as soon as Redis wakes
                said = waiting.hear(deadline if commit_by is None else commit_by) or said
            if said is None:
                self._give_up(waiting)
            elif not isinstance(said, Answer):
                raise said
            return said
        finally:
            del self._waiting[command.id]

    def _give_up(self, waiting: Waiting) -> None:
        """Leave a command that was not answered in time. Raises redis.TimeoutError when it was not sent."""
        if self._sender.withdraw(waiting):
            raise redis.TimeoutError("the command could not be sent in time")
        if not waiting.entry:
            raise streams.Unanswered("Redis has not said that it took the command")
        self._given_up.append((waiting.stream, waiting.entry))  # the reader takes it back: nobody waits for that

    def _read(self) -> None:
        line = streams.Line(streams.client)
        while True:
            try:
                popped, clock = line.call(self._pops, ("TIME",))  # the second is answered when the blocking one was
                for refused in (popped, clock):
                    if isinstance(refused, redis.ResponseError):
                        raise refused
                self._ahead = _ahead(clock)
                for text in popped[1] if popped else ():
                    self._deliver(text)
                self._take_back()
            except redis.ResponseError as refused:
                if str(refused).startswith("WRONGTYPE"):
                    self._make_room()
                time.sleep(0.1)
            except redis.RedisError:
                time.sleep(0.1)
            except Exception:
                log.exception("replies are not read")  # it goes on: every request of this process waits for it
                time.sleep(0.1)

    def _make_room(self) -> None:
        log.error("something else stood in the place of %s and is removed", self.channel)
        with suppress(redis.RedisError):
            streams.client().unlink(self.channel)

    def _deliver(self, text: str) -> None:
        try:
            answer = decode_answer(text)
        except Poison as reason:
            log.error("what is no answer came instead of one: %s", reason)
            return
        waiting = self._waiting.get(answer.command_id)
        if waiting is not None:  # else: late, or of a request that gave up
            waiting.said.put(answer)

    def _take_back(self) -> None:
        """Take the commands that were given up out of their streams, whether an engine has read them or not.

        And the marks of requests that could not do so themselves.
        """
        given_up = [self._given_up.popleft() for _ in range(len(self._given_up))]
        marks = [self._marks.popleft() for _ in range(len(self._marks))]
        if not (given_up or marks):
            return
        pipe = streams.client().pipeline(transaction=False)
        for stream, entry in given_up:
            pipe.xack(stream, GROUP, entry)
            pipe.xdel(stream, entry)
        for mark, command in marks:
            pipe.eval(LEAVE, 1, mark, command)
        try:
            pipe.execute()
        except redis.RedisError:
            self._given_up.extend(given_up)
            self._marks.extend(marks)
            raise


def _ahead(clock: Sequence[int | str]) -> float:
    """How far Redis' clock, just read, is ahead of `uptime`, in seconds: its way shorter, and what passed since."""
    return int(clock[0]) + int(clock[1]) / 1_000_000 - uptime()


_gateway: Gateway | None = None
_making = threading.Lock()


def gateway() -> Gateway:
    """This process' gateway; made anew after a fork, because threads don't survive one."""
    global _gateway
    if _gateway is None:
        with _making:
            if _gateway is None:
                _gateway = Gateway()
    return _gateway


def _forget() -> None:
    global _gateway, _making
    _gateway, _making = None, threading.Lock()


os.register_at_fork(after_in_child=_forget)
