"""`make bench`: the foundation's table. `python -m benchmarks orders` measures the orders alone."""

from __future__ import annotations

import sys

from benchmarks import orders
from benchmarks.results import report


def main(names: list[str]) -> None:
    tps, rows = orders.measure()
    if not names or "settlement" in names:
        from benchmarks import settlement

        rows += settlement.measure(tps)
    report("foundation", rows)


if __name__ == "__main__":
    main(sys.argv[1:])
