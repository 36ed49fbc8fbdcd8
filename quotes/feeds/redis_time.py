"""When a price came, on Redis' clock, by which everybody judges its age.

A reading of that clock is older than the moment at which its answer is looked at: the answer was under way, and this
process may have stood still before it looked. So what is reckoned from `after` is too early, never too late, and a
price that waited anywhere on its way is published as old as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from accounts.clock import uptime

KEPT_SECONDS: Final = 1.0  # then the clock is read again: either may run faster than the other, or be set
LONGEST_READING_SECONDS: Final = 1.0  # an answer that took longer would make every price older than it is by as much


class RedisTime:
    """Redis' clock as this process knows it."""

    def __init__(self, clock: Callable[[], float] = uptime) -> None:
        self._clock = clock
        self._value = 0
        self._after: float | None = None

    @property
    def is_known(self) -> bool:
        """Whether there is a reading that is young enough."""
        return self._after is not None and 0 <= self._clock() - self._after < KEPT_SECONDS

    def read(self, value: int, asked: float) -> None:
        """Redis' clock said `value`, in milliseconds, to a question that was `asked` then (by `uptime`)."""
        after = self._clock()
        if 0 <= after - asked < LONGEST_READING_SECONDS:
            self._value, self._after = value, after

    def of(self, came: float) -> int:
        """The moment of `uptime` at which something came, in milliseconds of Redis' clock; rather too early."""
        if self._after is None:
            raise RuntimeError("Redis' clock was never read")
        return self._value + int((came - self._after) * 1000 // 1)
