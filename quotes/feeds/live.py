"""A live venue: connect, subscribe, listen, and begin anew after whatever goes wrong.

What is the same everywhere is here; what a venue's messages mean is its dialect's (`quotes/feeds/venues/`). A dialect
is made for each connection, so nothing of the one before is left: numbers begin anew, books are sent whole.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, Protocol

import httpx
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from accounts.clock import uptime
from quotes.feeds.venue import Health, Pause, VenueTick, no_price

log = logging.getLogger("feed")

OPEN_SECONDS: Final = 5.0
SILENT_SECONDS: Final = 12.0  # longer than any of these venues' heartbeats: then the connection is taken for dead
FIRST_PAUSE_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 30.0
SETTLED_SECONDS: Final = 10.0  # a connection that lasted so long was a good one: the next pause is the first again
LOOK_SECONDS: Final = 0.25  # how often a silent connection is looked away from: to stop, to subscribe to something new
CONFIRM_SECONDS: Final = 1.0
MOST_MESSAGES: Final = 200  # that are read before what they said is handed on
MOST_GARBAGE: Final = 10  # messages in a row that are none: then the connection is begun anew
LONGEST_MESSAGE: Final = 1 << 20


class Nonsense(Exception):
    """A message that isn't what the venue's documentation says."""


class Gap(Exception):
    """Something was missed: what is known of the market can't be trusted until the venue says it anew."""


class Halted(Gap):
    """The venue says that nothing is traded there now. Nothing was missed, but what it last said counts no longer."""


class Repeated(Exception):
    """A message that came before, or is overtaken by one that came."""


class Refused(Exception):
    """The venue doesn't give what was asked for."""


class Lost(Exception):
    """The connection is gone, or was never there."""


class Dialect(Protocol):
    """What one connection's messages mean."""

    def subscriptions(self) -> Sequence[str]:
        """What to send after connecting."""

    def read(self, message: str | bytes, came: float) -> Sequence[VenueTick]:
        """What a message says of prices, if anything. Raises Nonsense, Gap, Halted, Repeated, Refused."""


class Line(Protocol):
    """A connection's two ends."""

    def send(self, message: str) -> None:
        """Raises Lost."""

    def receive(self, seconds: float) -> str | bytes | None:
        """The next message, None where none came in time. Raises Lost."""


class WebSocketLine:
    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    def send(self, message: str) -> None:
        try:
            self._socket.send(message)
        except (WebSocketException, OSError) as error:
            raise Lost(first_line(error)) from error

    def receive(self, seconds: float) -> str | bytes | None:
        try:
            return self._socket.recv(timeout=seconds)
        except TimeoutError:
            return None
        except (WebSocketException, OSError) as error:
            raise Lost(first_line(error)) from error


def web_socket(url: str) -> Callable[[], AbstractContextManager[ClientConnection]]:
    def opened() -> AbstractContextManager[ClientConnection]:
        return connect(
            url, open_timeout=OPEN_SECONDS, close_timeout=1, max_size=LONGEST_MESSAGE, max_queue=MOST_MESSAGES
        )

    return opened


class LiveVenue:
    """`dialect` is made with the symbols that are wanted; `opened` gives the connection, `line` its two ends.

    `unchanged_is_current`: the venue says every change, so what it hasn't changed stands as long as the connection
    speaks. Then each symbol is told again every CONFIRM_SECONDS, and grows no older than that; where it is not so, a
    market without trades grows old. `messages_a_second` is how many subscriptions the venue takes in a second.
    """

    waits = False

    def __init__(
        self,
        name: str,
        symbols: Callable[[], Sequence[str]],
        dialect: Callable[[Sequence[str]], Dialect],
        opened: Callable[[], AbstractContextManager[Any]],
        line: Callable[[Any], Line] = WebSocketLine,
        *,
        unchanged_is_current: bool = False,
        messages_a_second: int = 100,
    ) -> None:
        self.name = name
        self.health = Health()
        self._symbols = symbols
        self._dialect = dialect
        self._opened = opened
        self._line = line
        self._unchanged_is_current = unchanged_is_current
        self._burst = messages_a_second
        self._pause_seconds = 0.0
        self._last: dict[str, VenueTick] = {}

    def batches(self, pause: Pause) -> Iterator[Sequence[VenueTick]]:
        while True:
            wanted = tuple(self._symbols())
            if not wanted:
                if pause(LOOK_SECONDS):
                    return
                continue
            began = uptime()
            try:
                with self._opened() as connection:
                    yield from self._listened(self._line(connection), wanted, pause)
                return
            except _Anew:
                is_away(self.name, self.health, "the instruments have changed")
                continue
            except Gap as error:
                is_away(self.name, self.health, str(error))
                now = uptime()
                yield [no_price(symbol, now, self.name) for symbol in self._last]
            except Lost as error:
                is_away(self.name, self.health, str(error))
            except (WebSocketException, httpx.HTTPError, OSError) as error:
                is_away(self.name, self.health, first_line(error))
            if pause(self._next_pause(uptime() - began)):
                return

    def _listened(self, line: Line, wanted: tuple[str, ...], pause: Pause) -> Iterator[Sequence[VenueTick]]:
        """What this connection says until it ends. Raises Gap, Lost, _Anew."""
        dialect = self._dialect(wanted)
        due = list(dialect.subscriptions())
        self._last = {}
        self.health.connections += 1
        last_message = sent_at = looked_at = uptime()
        line_is_new, garbage = True, 0
        while True:
            now = uptime()
            if due and (line_is_new or now - sent_at >= 1):
                for message in due[: self._burst]:
                    line.send(message)
                del due[: self._burst]
                sent_at, line_is_new = now, False
            if now - looked_at >= LOOK_SECONDS:
                looked_at = now
                if pause(0):
                    return
                if tuple(self._symbols()) != wanted:
                    raise _Anew
            messages = self._messages(line)
            if not messages:
                if now - last_message > SILENT_SECONDS:
                    raise Lost(f"nothing came for {SILENT_SECONDS:.0f} s")
                continue
            came = last_message = self.health.last_message = uptime()
            ticks, read = self._read(dialect, messages, came)
            is_back(self.name, self.health)
            garbage = 0 if read else garbage + len(messages)
            if garbage >= MOST_GARBAGE:
                raise Lost(f"{garbage} messages in a row can't be read")
            yield [*ticks, *self._confirmed(came)] if self._unchanged_is_current else ticks

    def _messages(self, line: Line) -> list[str | bytes]:
        """One that is waited for, and those that are there already."""
        found: list[str | bytes] = []
        while len(found) < MOST_MESSAGES:
            try:
                message = line.receive(0 if found else LOOK_SECONDS)
            except Lost:
                if not found:
                    raise
                break  # what came before is read first
            if message is None:
                break
            found.append(message)
        return found

    def _read(self, dialect: Dialect, messages: Sequence[str | bytes], came: float) -> tuple[list[VenueTick], int]:
        """The newest tick of each symbol that these say, and how many of them were messages at all."""
        ticks: dict[str, VenueTick] = {}
        read = 0
        for message in messages:
            self.health.messages += 1
            try:
                said = dialect.read(message, came)
            except Nonsense as error:
                self.health.garbage += 1
                self.health.trouble = str(error)[:200]
                if self._unchanged_is_current:  # it could have been a change
                    raise Gap(f"a message can't be read: {error}") from error
                continue
            except Repeated:
                self.health.repeated += 1
                said = ()
            except Halted:
                raise
            except Gap:
                self.health.gaps += 1
                raise
            except Refused as error:
                self._is_refused(str(error))
                said = ()
            read += 1
            ticks.update((tick.symbol, tick) for tick in said)
        self._last.update(ticks)
        return list(ticks.values()), read

    def _confirmed(self, came: float) -> list[VenueTick]:
        """What the venue would have said if it had changed. It says no time of it, so it is as of now."""
        old = [tick for tick in self._last.values() if came - tick.came >= CONFIRM_SECONDS]
        again = [tick._replace(came=came, at=None) for tick in old]
        self._last.update((tick.symbol, tick) for tick in again)
        return again

    def _next_pause(self, lasted: float) -> float:
        """Twice the one before, from half of it to the whole, so that many clients don't come back together."""
        before = 0.0 if lasted >= SETTLED_SECONDS else self._pause_seconds
        self._pause_seconds = min(before * 2, LONGEST_PAUSE_SECONDS) if before else FIRST_PAUSE_SECONDS
        return self._pause_seconds * random.uniform(0.5, 1)  # noqa: S311 - no secret

    def _is_refused(self, why: str) -> None:
        if self.health.trouble != why[:200]:
            log.warning("%s: %s", self.name, why[:200])
        self.health.trouble = why[:200]


class _Anew(Exception):
    """Something else is wanted now."""


def is_back(name: str, health: Health) -> bool:
    """A source has said something: whether it was away before, which the log then says is over."""
    if health.is_connected:
        return False
    health.is_connected = True
    log.info("%s: connected", name)
    return True


def is_away(name: str, health: Health, why: str) -> None:
    """Said once for each time that it was there, and the first time that it wasn't."""
    if health.is_connected or not health.trouble:
        log.warning("%s: %s; trying again", name, why[:200])
    health.is_connected, health.trouble = False, why[:200] or "away"


def first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


def by_venue_name(symbols: Sequence[str], between: str) -> Mapping[str, str]:
    """What a venue calls our symbols, BTC-USD being BTC/USD or BTC_USD, to the symbols."""
    return {symbol.replace("-", between): symbol for symbol in symbols}
