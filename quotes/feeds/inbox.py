"""Sources that speak by themselves, each in a thread of its own, and the newest of what they said."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from quotes.feeds.venue import Pause, Venue, VenueTick, is_overtaken

log = logging.getLogger("feed")

Follow = Callable[[Venue, Pause], Iterator[Sequence[VenueTick]]]

AGAIN_SECONDS: Final = 5.0  # after a source failed in a way that nobody thought of


class Inbox:
    """The newest tick of each source and symbol, until the one reader takes them: never more than there are of these,
    however long nobody reads."""

    def __init__(self) -> None:
        self._newest: dict[tuple[str, str], VenueTick] = {}
        self._has_come = threading.Condition()

    def put(self, ticks: Sequence[VenueTick]) -> None:
        with self._has_come:
            for tick in ticks:
                before = self._newest.get((tick.source, tick.symbol))
                if before is None or not is_overtaken(tick, before):
                    self._newest[tick.source, tick.symbol] = tick
            self._has_come.notify()

    def take(self, seconds: float) -> list[VenueTick]:
        """What came since the last time; waits for so long where nothing did."""
        with self._has_come:
            if not self._newest:
                self._has_come.wait(seconds)
            taken = list(self._newest.values())
            self._newest.clear()
        return taken

    def fill(self, sources: Sequence[Venue], follow: Follow, pause: Pause) -> None:
        """Start a thread for each source. They end with the process, or when `pause` says to stop."""
        for source in sources:
            threading.Thread(target=self._follow, args=(source, follow, pause), name=source.name, daemon=True).start()

    def _follow(self, source: Venue, follow: Follow, pause: Pause) -> None:
        for batch in follow(source, pause):
            self.put(batch)


def endless(source: Venue, pause: Pause) -> Iterator[Sequence[VenueTick]]:
    """A source's batches until `pause` says to stop. One that fails is begun anew: no source ends the others."""
    while True:
        try:
            yield from source.batches(pause)
        except Exception as error:
            source.health.is_connected, source.health.trouble = False, str(error)[:200]
            log.exception("%s failed; beginning it anew in %s s", source.name, AGAIN_SECONDS)
        else:
            return
        if pause(AGAIN_SECONDS):
            return
