"""How a loop bears a server that is away: one line when it goes, one when it is back, pauses in between."""

from __future__ import annotations

import logging
from collections.abc import Callable

from accounts.clock import uptime

FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 2.0  # well below the price age limit: prices are fresh again soon after


class Outage:
    """Whether a server is worth asking again, told by the calls that failed and worked.

    `is_told`: whether the log hears of it; not where another's outage of the same server says so already. `of`: whose
    log.
    """

    def __init__(
        self, server: str, clock: Callable[[], float] = uptime, *, is_told: bool = True, of: str = "feed"
    ) -> None:
        self._log = logging.getLogger(of)
        self._server = server
        self._clock = clock
        self._is_told = is_told
        self._pause = 0.0
        self._until = 0.0

    @property
    def lasts(self) -> bool:
        """True while the last call failed and it is too early for another."""
        return self._pause > 0 and self._clock() < self._until

    @property
    def pause_seconds(self) -> float:
        return self._pause

    def failed(self, error: Exception) -> None:
        if not self._pause and self._is_told:
            self._log.warning("%s is away, trying on: %s", self._server, str(error).partition("\n")[0])
        self._pause = min(self._pause * 2, LONGEST_PAUSE_SECONDS) if self._pause else FIRST_PAUSE_SECONDS
        self._until = self._clock() + self._pause

    def worked(self) -> None:
        if self._pause and self._is_told:
            self._log.warning("%s is back", self._server)
        self._pause = 0.0
