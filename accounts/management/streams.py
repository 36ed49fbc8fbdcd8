"""A command's stdout and stderr, of which nothing that was done depends.

Whoever reads may be gone (`| head -1`), the disk may be full, the terminal may know ASCII alone. A command goes on with
its work and ends with the code that the work had.
"""

from __future__ import annotations

import os
import sys
from typing import Any, TextIO

from django.core.management.base import OutputWrapper


class Careful(OutputWrapper):
    """A stream of the process. What can't be written is lost; `lost` says why, or "" where nobody needs to be told.

    `is_broken`: nothing that is written arrives any more, for whatever reason.
    """

    def __init__(self, out: TextIO) -> None:
        super().__init__(out)
        self._number = out.fileno
        self.lost = ""
        self.is_broken = False

    def write(self, msg: str = "", style_func: Any = None, ending: str | None = None) -> None:  # type: ignore[override]
        try:
            super().write(msg, style_func, ending)
        except OSError as failure:
            self._lose(failure)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as failure:
            self._lose(failure)

    def _lose(self, failure: OSError) -> None:
        """From here on into nothing: what stands in Python's buffer would fail again when the process ends."""
        self.is_broken = True
        if not isinstance(failure, BrokenPipeError):
            self.lost = failure.strerror or str(failure)
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, self._number())
        os.close(nothing)


def of_the_process() -> tuple[Careful, Careful]:
    """stdout and stderr, which take every character, and are there even where the caller closed them."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - as long as the process
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115, PTH123
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a test's own streams may not have it
            stream.reconfigure(errors="backslashreplace")
    return Careful(sys.stdout), Careful(sys.stderr)
