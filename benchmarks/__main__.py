"""`make bench`: the foundation's table. `make bench ARGS=orders` or `ARGS=settlement`: a part, and nothing is kept.

`make bench-settlement`: a million trades of a hundred thousand customers.
`make bench-orders`: margin orders over HTTP, the engines alone, and a book of a million orders.
`make bench-door`: one trader closes while strangers hold connections, or log in.
`make bench-events`: the event stream before ten thousand connections, and webhooks.
`make bench-feed`: the feed before three live venues of 500 symbols each.
`make bench-candles`: ten million candles.
`python -m benchmarks events webhooks`: these alone, and nothing is kept.
`python -m benchmarks door small`, `events small`, `feed small`, `candles small`: a short round, to see if it runs;
nothing is kept.
"""

from __future__ import annotations

import sys

from benchmarks.results import Row, report, show
from benchmarks.system import free_port, running

PARTS = ("orders", "settlement")
MILLION, ENGINE, DOOR, EVENTS, FEED = "million", "engine", "door", "events", "feed"
CANDLES = "candles"
SMALL, WEBHOOKS = "small", "webhooks"


def main(names: list[str]) -> None:
    if names == [MILLION]:
        settle_a_million()
        return
    if names == [ENGINE]:
        engine()
        return
    if names in ([DOOR], [DOOR, SMALL]):
        door(small=SMALL in names)
        return
    if names in ([EVENTS], [EVENTS, SMALL]):
        events(small=SMALL in names)
        return
    if names in ([EVENTS, WEBHOOKS], [EVENTS, WEBHOOKS, SMALL]):
        events(small=SMALL in names, only_webhooks=True)
        return
    if names in ([FEED], [FEED, SMALL]):
        live(small=SMALL in names)
        return
    if names in ([CANDLES], [CANDLES, SMALL]):
        candles(small=SMALL in names)
        return
    if unknown := set(names).difference(PARTS):
        sys.exit(f"There is no part {', '.join(sorted(unknown))}; the parts are {', '.join(PARTS)}.")
    rows: list[Row] = []
    # The engine is started and ended by the benchmark itself; the others would only take the cores away.
    with running("engine,feed,beat,worker,stream", WEB_THREADS="64") as system:
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
    with running("engine,feed,beat,worker,stream") as system:
        import django

        django.setup()
        from benchmarks import settlement

        report("settlement", settlement.measure(system, settlement.Sizes(1_000_000, 100_000)))


def engine() -> None:
    with running("engine,feed,beat,worker,stream", WEB_THREADS="64") as system:
        import django

        django.setup()
        from benchmarks import book, orders

        rows = orders.measure(system)
        report("orders", [*rows, *(row for row in book.measure(system) if row.measure != "pgbench_tps")])


def door(*, small: bool) -> None:
    from benchmarks.front_door_logins import UNLIMITED

    with running("engine,feed,beat,worker,stream", **UNLIMITED) as system:
        import django

        django.setup()
        from benchmarks import front_door, front_door_logins

        if small:
            sizes = front_door.Sizes(rounds=1, closes=20)
            show("door small", [*front_door.measure(system, sizes), *front_door_logins.measure(system, sizes)])
        else:
            report("front_door", front_door.measure(system))
            report("front_door_logins", front_door_logins.measure(system))


def events(*, small: bool, only_webhooks: bool = False) -> None:
    settings = {"STREAM_PORT": str(free_port()), "WEBHOOK_ALLOWED_NETWORKS": "127.0.0.1/32"}
    with running("engine,feed,beat,worker", **settings) as system:
        import django

        django.setup()
        from benchmarks import events as stream
        from benchmarks import webhooks

        rows = [] if only_webhooks else stream.measure(system, stream.SMALL if small else stream.FULL)
        rows += webhooks.measure(system, webhooks.SMALL if small else webhooks.FULL)
        if small or only_webhooks:
            show("webhooks" if only_webhooks else "events small", rows)
        else:
            report("events", rows)


def live(*, small: bool) -> None:
    with running("engine,feed,beat,worker,stream") as system:
        import django

        django.setup()
        from benchmarks import feed

        if small:
            show("feed small", feed.measure(system, feed.SMALL))
        else:
            report("feed", feed.measure(system))


def candles(*, small: bool) -> None:
    with running("engine,feed,beat,worker,stream"):
        import django

        django.setup()
        from benchmarks import candles

        rows = candles.measure(small=small)
        if small:
            show("candles small", rows)
        else:
            report("candles", rows)


if __name__ == "__main__":
    main(sys.argv[1:])
