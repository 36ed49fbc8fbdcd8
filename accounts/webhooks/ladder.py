"""When a delivery is tried again, and when it is given up."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Final

GIVEN_UP_AFTER: Final = timedelta(days=3)
_STEPS: Final = (5, 30, 120, 600, 1800, 3600, 2 * 3600, 4 * 3600, 8 * 3600, 12 * 3600)  # seconds
_SHORTEST_PAUSE, _LONGEST_PAUSE = 5, 300


def next_attempt(tries: int, since: datetime, at: datetime) -> datetime | None:
    """When to try again after so many tries since then; None: no more.

    Up to a quarter later than the step says, so that what failed together doesn't come back together.
    """
    step = _STEPS[min(tries, len(_STEPS)) - 1]
    then = at + _with_jitter(step)
    return then if then <= since + GIVEN_UP_AFTER else None


def pause(failures: int) -> timedelta:
    """For how long an endpoint is left alone that gave no good answer so many times in a row."""
    return _with_jitter(min(_SHORTEST_PAUSE * 2 ** (min(failures, 10) - 1), _LONGEST_PAUSE))


def _with_jitter(seconds: float) -> timedelta:
    return timedelta(seconds=seconds * random.uniform(1, 1.25))  # noqa: S311 - no secret
