"""`make bench`: the foundation's table. `make bench ARGS=orders` or `ARGS=settlement`: a part, and nothing is kept.

`make bench-settlement`: a million trades of a hundred thousand customers.
`make bench-orders`: margin orders over HTTP, the engines alone, and a book of a million orders.
"""

from __future__ import annotations

import sys

from benchmarks.results import Row, report, show
from benchmarks.system import running

PARTS = ("orders", "settlement")
MILLION, ENGINE = "million", "engine"


def main(names: list[str]) -> None:
    if names == [MILLION]:
        settle_a_million()
        return
    if names == [ENGINE]:
        engine()
        return
    if unknown := set(names).difference(PARTS):
        sys.exit(f"There is no part {', '.join(sorted(unknown))}; the parts are {', '.join(PARTS)}.")
    rows: list[Row] = []
    # The engine is started and ended by the benchmark itself; the others would only take the cores away.
    with running("engine,feed,beat,worker", WEB_THREADS="64") as system:
        import django

        django.setup()
        from benchmarks import orders, settlement

        if not names or "orders" in names:
            rows += orders.measure(system)
        if not names or "settlement" in names:
            rows += [row for row in settlement.measure(system) if row.measure not in {kept.measure for kept in rows}]
    if names:
        show(" ".join(names), rows)
    else:
        report("foundation", rows)


def settle_a_million() -> None:
    with running("engine,feed,beat,worker") as system:
        import django

        django.setup()
        from benchmarks import settlement

        report("settlement", settlement.measure(system, settlement.Sizes(1_000_000, 100_000)))


def engine() -> None:
    with running("engine,feed,beat,worker", WEB_THREADS="64") as system:
        import django

        django.setup()
        from benchmarks import book, orders

        rows = orders.measure(system)
        report("orders", [*rows, *(row for row in book.measure(system) if row.measure != "pgbench_tps")])


if __name__ == "__main__":
    main(sys.argv[1:])
