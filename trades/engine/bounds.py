"""By when a tick must be committed, so that nothing is done after its time, whoever stood still meanwhile.

Deadlines of commands and ages of prices are on Redis' clock, and PostgreSQL is the one that refuses. Both clocks are
read in every tick, Redis' first: what elapsed between the two readings is at most the time from before the one was
asked for until after the other had answered, on this host's monotonic clock. So a moment on Redis' clock becomes one
on PostgreSQL's, rather too early than too late.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from accounts.clock import ahead_known, uptime
from accounts.db.pipeline import Pending, Pipeline
from quotes.prices import Prices
from trades.engine.lease import Lease

FRESH_SECONDS: Final = 0.2  # a reading older than this is read again before anything is decided by it
FIRST_SECONDS: Final = 1.0  # for a tick, from its reading of PostgreSQL's clock, which its rows carry, to the commit
LONGEST_SECONDS: Final = 8.0  # for one that could not be done in less: the limit doubles with each failure


@dataclass(frozen=True, slots=True)
class Reading:
    """All prices and Redis' clock, as they were some time after `asked` (`clock.uptime` seconds)."""

    prices: Prices
    asked: float

    @property
    def age_seconds(self) -> float:
        """How old it is at the most; endless where this host's clock was set back."""
        age = uptime() - self.asked
        return age if age >= 0 else float("inf")

    @property
    def is_fresh(self) -> bool:
        return self.age_seconds < FRESH_SECONDS

    def now(self) -> datetime:
        """Redis' clock by now, without asking it again: rather too late than too early."""
        return self.prices.now + timedelta(seconds=max(0.0, uptime() - self.asked))


class Bound:
    """Of one tick: begin it by `begin` and `began`, and hand `commit_by` to whatever writes last.

    `redis_at` is what Redis' clock said when it began.
    """

    def __init__(self, lease: Lease, reading: Reading, deadline: datetime | None, seconds: float) -> None:
        """`deadline` is the earliest of the commands', on Redis' clock; `seconds` is how long the tick may take."""
        self._lease = lease
        self._reading = reading
        self._deadline = deadline
        self._seconds = seconds
        self._asked: Pending[datetime] | None = None
        self._at: datetime | None = None
        self.redis_at = reading.prices.now

    def begin(self, p: Pipeline) -> None:
        """Hold the lease until the transaction ends."""
        self._asked = self._lease.ask(p)

    def began(self) -> datetime:
        """The firm's time, as the lease's answer has it. Raises LeaseLost."""
        assert self._asked is not None
        self._at = self._asked.result()
        self.redis_at = self._reading.now()
        return self._at + ahead_known()

    def commit_by(self, prices_until: datetime | None) -> datetime:
        """The moment on PostgreSQL's clock; `prices_until` is when the first price used will be too old."""
        assert self._at is not None
        by = self._at + timedelta(seconds=self._seconds)
        for limit in (self._deadline, prices_until):
            if limit is not None:
                by = min(by, self._at + (limit - self.redis_at))
        return by
