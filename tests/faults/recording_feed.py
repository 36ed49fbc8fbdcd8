"""The system's own feed process, which also writes down each tick at the moment it comes from the venue.

`python -m tests.faults.recording_feed FILE`: a line a tick, "uptime symbol bid ask". What is published, by which
code and when, is the system's own. A tick is written before it is handed on, so no price is younger than its line
says by more than the writing takes. The times are of the clock of durations, which no wrong clock moves.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from accounts.clock import uptime


def main(path: Path) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "brokerage.settings")
    import django

    django.setup()
    from django.core.management import call_command

    from quotes.feeds.simulator import Simulator

    with path.open("a", buffering=1) as file:
        _write_down(Simulator, file)
        call_command("run_feed")


def _write_down(venue: Any, file: Any) -> None:
    batches = venue.batches

    def written(self: Any, *args: Any, **named: Any) -> Iterator[Any]:
        for batch in batches(self, *args, **named):
            came = uptime()
            file.write("".join(f"{came:.4f} {tick.symbol} {tick.bid} {tick.ask}\n" for tick in batch))
            yield batch

    venue.batches = written


@dataclass
class PriceHistory:
    """Every price that came, by symbol, side of the market and price: when, epoch seconds, in the order of coming."""

    came: dict[tuple[str, str, Decimal], list[float]] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path, epoch_of_uptime: float) -> PriceHistory:
        """`epoch_of_uptime`: the time of the calendar when `uptime` was 0."""
        found = cls()
        for line in path.read_text().splitlines():
            parts = line.split()
            if len(parts) != 4:  # the last line of a feed that ended while it wrote
                continue
            at = float(parts[0]) + epoch_of_uptime
            for side, price in (("bid", parts[2]), ("ask", parts[3])):
                found.came.setdefault((parts[1], side, Decimal(price)), []).append(at)
        return found

    def age_at(self, symbol: str, side: str, price: Decimal, at: float) -> float | None:
        """How long before `at` this price came last, seconds; None where it never had by then."""
        before = [came for came in self.came.get((symbol, side, price), ()) if came <= at]
        return at - before[-1] if before else None


if __name__ == "__main__":
    main(Path(sys.argv[1]))
