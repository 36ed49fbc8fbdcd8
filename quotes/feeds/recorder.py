"""Writes down each tick as it came from its source, before anything is made of it: replay plays it again."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from threading import Lock

from accounts.clock import about_now_seconds, uptime
from quotes.feeds.tick_files import COLUMNS
from quotes.feeds.venue import VenueTick


class Recorder:
    """Appends to a CSV file, from any thread. Raises OSError where it can't be opened."""

    def __init__(self, path: Path) -> None:
        is_new = not path.exists() or path.stat().st_size == 0
        self._file = path.open("a", newline="", encoding="ascii", buffering=1)
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._lock = Lock()
        if is_new:
            self._writer.writerow(COLUMNS)

    def write(self, ticks: Sequence[VenueTick]) -> None:
        """The time at which each came is by PostgreSQL's clock, as this process knows it."""
        ahead = about_now_seconds() - uptime()
        rows = [
            (int((tick.came + ahead) * 1000), tick.source, tick.symbol, f"{tick.bid:f}", f"{tick.ask:f}", tick.at or "")
            for tick in ticks
        ]
        with self._lock:
            self._writer.writerows(rows)

    def close(self) -> None:
        self._file.close()
