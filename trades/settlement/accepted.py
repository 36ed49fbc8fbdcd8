"""Whether everything that was accepted before a moment can be seen.

A trade's time is that of its INSERT by PostgreSQL's clock, and it can be seen once it is committed, some milliseconds
later. Whoever writes one down takes the shared lock ACCEPTING before (`trades/spot/execute.py`). So who looks for its
holders after a moment has passed, and waits until those are gone, sees every trade accepted before that moment: whoever
takes the lock later is timed later. Nobody takes the lock alone, so accepting never waits for a cut.
"""

from __future__ import annotations

import logging
import time
from typing import Final

from accounts import clock
from accounts.db import locks

logger = logging.getLogger(__name__)

LONGEST_SECONDS: Final = 5.0  # PostgreSQL refuses to commit a trade three seconds after its id was made
_PAUSE_SECONDS: Final = 0.01


def wait_for_commits() -> None:
    """Wait until whoever is accepting a trade just now has ended, committed or not; a few seconds at the most."""
    at_it, give_up = locks.holders(locks.ACCEPTING), clock.uptime() + LONGEST_SECONDS
    while at_it:
        if clock.uptime() > give_up:
            logger.warning("a cut goes on: what is being accepted for %s s can't be committed", LONGEST_SECONDS)
            return
        time.sleep(_PAUSE_SECONDS)
        at_it &= locks.holders(locks.ACCEPTING)
