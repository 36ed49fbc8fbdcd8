"""One readable log of many processes: `12:00:01 web     | line`, whole lines only, in the order they came."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable
from typing import IO, TextIO

from brokerage.stack.masking import masked

COLOURS = (36, 33, 32, 35, 34, 96, 93, 92)
LONGEST_LINE = 64 * 1024


class Log:
    """Lines from several threads to one stream; colours only for a person's terminal."""

    def __init__(self, out: TextIO, names: Iterable[str]) -> None:
        known = [*names]
        self._out = out
        self._width = max(map(len, known), default=0)
        self._colour = dict(zip(known, COLOURS * len(known), strict=False)) if _wants_colour(out) else {}
        self._lock = threading.Lock()

    def line(self, name: str, text: str) -> None:
        """Write one line, without secrets. A reader that went away doesn't stop the system whose log it read."""
        label = f"{time.strftime('%H:%M:%S')} {name:<{self._width}} |"
        if name in self._colour:
            label = f"\x1b[{self._colour[name]}m{label}\x1b[0m"
        with self._lock:
            try:
                self._out.write(f"{label} {masked(text)}\n")
                self._out.flush()
            except (OSError, ValueError):
                pass

    def follow(self, name: str, pipe: IO[bytes]) -> threading.Thread:
        """Write what comes through a pipe until it closes."""

        def read() -> None:
            with pipe:
                while line := pipe.readline(LONGEST_LINE):
                    self.line(name, line.decode(errors="replace").rstrip())

        reader = threading.Thread(target=read, name=f"log of {name}", daemon=True)
        reader.start()
        return reader


def _wants_colour(out: TextIO) -> bool:
    return out.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
