"""What every source of prices looks like: simulator, replay, and live venues (`quotes/feeds/venues/`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple, Protocol

Pause = Callable[[float], bool]
"""Sleep for so many seconds; true means: stop, and sooner than that."""


class VenueTick(NamedTuple):
    """A venue's bid and ask for one whole unit of a symbol's base asset. Not judged yet.

    `came` is `accounts.clock.uptime()` when it came to this process: however late it is published, it is as
    old as that. `at` is what the venue's own clock said of it, in milliseconds since 1970; None where it says nothing.
    """

    symbol: str
    bid: Decimal
    ask: Decimal
    came: float
    source: str = ""
    at: int | None = None


def no_price(symbol: str, came: float, source: str) -> VenueTick:
    """What a source says that has no price any more, or none that it trusts: what it said before counts no longer."""
    return VenueTick(symbol, Decimal(0), Decimal(0), came, source)


def is_overtaken(tick: VenueTick, by: VenueTick) -> bool:
    """Whether a source's tick is older than another of its ticks of the same symbol: it came out of order."""
    if tick.came < by.came:
        return True
    return tick.at is not None and by.at is not None and tick.at < by.at


@dataclass(slots=True)
class Health:
    """How a source is. Its own thread writes it, others read it; the counts are since the process began.

    `last_message` is `uptime` when anything came; `gaps` counts what the venue numbered and was missed, or a book
    that was not what the venue says it is; `repeated` what came twice or out of order; `garbage` what was no message.
    """

    is_connected: bool = False
    last_message: float | None = None
    messages: int = 0
    connections: int = 0
    gaps: int = 0
    repeated: int = 0
    garbage: int = 0
    trouble: str = ""


class Venue(Protocol):
    """A source of prices. It knows nothing of Redis, of PostgreSQL or of the time of day."""

    @property
    def name(self) -> str:
        """As it stands in the log."""

    @property
    def health(self) -> Health: ...

    @property
    def waits(self) -> bool:
        """Whether it makes its ticks when it is asked, so that none is lost; else they come by themselves, and only
        the newest of each symbol counts."""

    def batches(self, pause: Pause) -> Iterator[Sequence[VenueTick]]:
        """Ticks as they come, several at a time, until `pause` says to stop.

        A venue that waits sleeps by `pause` alone, so a test passes time as it likes and a stop is never waited for.
        """
