"""What a process has read and keeps for a moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from accounts.clock import uptime

T = TypeVar("T")


class Kept(Generic[T]):
    """A value that is read anew where it is older than whoever asks allows.

    Threads share one without a lock: at worst several read at once, and the last one's value stands.
    """

    def __init__(self, read: Callable[[], T]) -> None:
        self._read = read
        self._last: tuple[float, T] | None = None  # by `uptime`, before it was asked for

    def get(self, at_most: float) -> T:
        """The value, `at_most` so many seconds old."""
        last = self._last  # one read: another thread may replace it meanwhile
        now = uptime()
        if last is None or not 0 <= now - last[0] < at_most:
            self._last = last = now, self._read()
        return last[1]

    def forget(self) -> None:
        """Read it anew at the next question, e.g. right after this process changed it."""
        self._last = None
