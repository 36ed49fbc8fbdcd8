"""Whether this host's own clock is right, by PostgreSQL's: said in the log, and by /readyz.

Nothing that is stored or due goes by a host's clock. But its log lines, its tokens' ages and a person's eyes do, and a
host that is off today is worse tomorrow: it isn't ready until somebody has seen to it.
"""

from __future__ import annotations

import logging
from typing import Any, Final

from accounts import clock

log = logging.getLogger("clock")

MOST_SECONDS_OFF: Final = 5.0

_told_seconds = 0.0


def off_seconds() -> float:
    """How far this host's clock is ahead of PostgreSQL's (negative: behind); 0.0 where that is near enough."""
    ahead = clock.ahead_seconds()
    return ahead if abs(ahead) > MOST_SECONDS_OFF else 0.0


def in_words(off: float) -> str:
    """Such as "25 min ahead of PostgreSQL's"."""
    much = f"{abs(off):.0f} s" if abs(off) < 120 else f"{abs(off) / 60:.0f} min"
    return f"{much} {'ahead of' if off > 0 else 'behind'} PostgreSQL's"


def look(**_: Any) -> None:
    """Say it in the log where the clock is off, and where that has changed. Costs nothing; asks no server."""
    global _told_seconds
    off = off_seconds()
    if off and abs(off - _told_seconds) > MOST_SECONDS_OFF:
        log.error("this host's clock is %s: set it right", in_words(off))
        _told_seconds = off
    elif not off and _told_seconds:
        log.warning("this host's clock is right again")
        _told_seconds = 0.0
