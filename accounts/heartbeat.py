"""Does the loop of this process still come round? One that hangs ends, and whoever keeps it running starts it again.

The watch counts its own seconds, not those of a clock: a process, or a host, that stood still has not hung.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import threading
import time
from pathlib import Path
from typing import Final

from django.conf import settings

log = logging.getLogger("heartbeat")

LOOK_SECONDS: Final = 1.0
HUNG: Final = 70  # the code of a bug, as in accounts/management/exits.py


class Heartbeat:
    """Of one loop, which says `beat` each time it comes round: one number, so that it costs nothing."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._silent = 0  # looks since the last beat; below 0 it rests

    def beat(self, rests: float = 0.0) -> None:
        """The loop is here. `rests`: it will wait for so many seconds, which don't count."""
        self._silent = -int(rests)

    def watch(self) -> None:
        """From now on, in a thread: end this process once the loop hasn't come round for HEARTBEAT_SECONDS (0: never).

        While it comes round HEARTBEAT_FILE, if it is set, is touched, at 0 too: for the health checks of containers.
        """
        threading.Thread(target=self._watch, name="heartbeat", daemon=True).start()

    def hangs(self) -> bool:
        """One look: whether there were HEARTBEAT_SECONDS of them without a beat; at 0 never."""
        self._silent += 1
        return 0 < int(settings.HEARTBEAT_SECONDS) < self._silent

    def _watch(self) -> None:
        while not self.hangs():
            if self._silent <= 1:
                self._touch()
            time.sleep(LOOK_SECONDS)
        log.critical(
            "%s hasn't come round for %s s: it ends, to be started again", self._name, settings.HEARTBEAT_SECONDS
        )
        faulthandler.dump_traceback()  # where each thread stands
        os._exit(HUNG)

    def _touch(self) -> None:
        if settings.HEARTBEAT_FILE:
            try:
                Path(settings.HEARTBEAT_FILE).touch()
            except OSError as failure:
                log.warning("%s can't be touched: %s", settings.HEARTBEAT_FILE, failure.strerror)
