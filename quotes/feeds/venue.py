"""What every source of prices looks like: the simulator now, live venues and replay beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import NamedTuple, Protocol

Pause = Callable[[float], bool]
"""Sleep for so many seconds; true means: stop, and sooner than that."""


class VenueTick(NamedTuple):
    """A venue's bid and ask for one whole unit of a symbol's base asset. Not judged yet.

    `came` is `accounts.clock.uptime()` when it came to this process: however late it is published, it is as
    old as that.
    """

    symbol: str
    bid: Decimal
    ask: Decimal
    came: float


class Venue(Protocol):
    """A source of prices. It knows nothing of Redis, of PostgreSQL or of the time of day."""

    @property
    def name(self) -> str:
        """As it stands in the log."""

    def batches(self, pause: Pause) -> Iterator[Sequence[VenueTick]]:
        """Ticks as they come, several at a time, until `pause` says to stop.

        A venue sleeps by `pause` alone, so a test passes time as it likes and a stop is never waited for.
        """
