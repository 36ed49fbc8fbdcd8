"""Plays a file of ticks or candles again (`quotes/feeds/tick_files.py`), as if they came now.

At REPLAY_SPEED times the pace at which they came, 0 being as fast as they are taken. What was recorded keeps its
sources, and each tick its delay, at that pace: one that was a second old when it came is a second old again. After the
last there is silence, and prices grow old.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Final

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from accounts.clock import uptime
from quotes.feeds.simulator import SimulatorTerms, quoted
from quotes.feeds.sources import Asked
from quotes.feeds.tick_files import Recorded, Unreadable, recorded
from quotes.feeds.venue import Health, Pause, Venue, VenueTick

log = logging.getLogger("feed")

TOLD_SECONDS: Final = 10.0
AT_ONCE: Final = 200  # ticks handed on together, where there is no pace


def made(asked: Asked) -> Venue:
    """Raises ImproperlyConfigured where no file is named."""
    if not settings.REPLAY_FILE:
        raise ImproperlyConfigured("The source replay needs REPLAY_FILE.")
    return Replay(asked, Path(settings.REPLAY_FILE), float(settings.REPLAY_SPEED))


class Replay:
    waits = True

    def __init__(self, asked: Asked, path: Path, speed: float) -> None:
        self.health = Health()
        self._asked = asked
        self._path = path
        self._speed = speed
        self._count = 0
        self._told_at = 0.0

    @property
    def name(self) -> str:
        return f"replay of {self._path.name}, " + (f"{self._speed:g} x" if self._speed else "as fast as possible")

    def batches(self, pause: Pause) -> Iterator[Sequence[VenueTick]]:
        while not self._asked.simulated():  # instruments aren't known yet
            if pause(0.1):
                return
        self.health.is_connected = True
        self.health.connections += 1
        try:
            yield from self._played(pause)
        except Unreadable as error:
            self.health.trouble = str(error)
            log.error("replay: %s", error)
        self.health.is_connected = False
        while not pause(1):
            yield []

    def _played(self, pause: Pause) -> Iterator[Sequence[VenueTick]]:
        began = self._told_at = uptime()
        first: int | None = None
        waiting: list[VenueTick] = []
        last: Recorded | None = None
        for last in recorded(self._path):
            first = last.came if first is None else first
            due = began + (last.came - first) / 1000 / self._speed if self._speed else 0.0
            if due > uptime() or len(waiting) >= AT_ONCE:
                yield waiting
                waiting = []
                if pause(max(due - uptime(), 0)):
                    return
            tick = self._tick(last)
            if tick is not None:
                waiting.append(tick)
            self._tell(last)
        yield waiting
        if last is not None:
            self._tell(last, is_end=True)

    def _tick(self, said: Recorded) -> VenueTick | None:
        """As if it came now, as late as it was; None of a symbol that is no instrument of ours."""
        terms = self._asked.simulated().get(said.symbol)
        if terms is None:
            return None
        now = uptime()
        self._count += 1
        self.health.messages += 1
        self.health.last_message = now
        late = (said.came - said.at) / 1000 / self._speed if said.at is not None and self._speed else 0.0
        bid, ask = (said.bid, said.ask) if said.ask is not None else _around(said, terms)
        return VenueTick(said.symbol, bid, ask, now - late, said.source or self._asked.name)

    def _tell(self, said: Recorded, *, is_end: bool = False) -> None:
        now = uptime()
        if not is_end and now - self._told_at < TOLD_SECONDS:
            return
        self._told_at = now
        at = datetime.fromtimestamp(said.came // 1000, UTC)
        what = "has played all" if is_end else f"{said.done * 100:.0f} %"
        log.info("replay: %s, %s ticks, to %s UTC", what, self._count, f"{at:%Y-%m-%d %H:%M:%S}")


def _around(said: Recorded, terms: SimulatorTerms) -> tuple[Decimal, Decimal]:
    """A candle's middle with the instrument's own spread."""
    return quoted(said.bid, terms)
