"""One trader closes positions while strangers hold connections: quiet, beside idle ones, beside bodies that never end.

    .venv/bin/python -m benchmarks door

Each measure is taken in turns with the quiet one, on one system. A further kind of stranger is a line in `STRANGERS`.
Beside logins: `front_door_logins`, on the same system.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from statistics import median
from typing import NamedTuple

from benchmarks import load
from benchmarks.orders import CLOSE, _engines, _wait_for_the_engine
from benchmarks.results import Row
from benchmarks.system import System

CONNECTIONS = 401
QUIET = "door_quiet_p99_ms"
BEGUN = b"POST /api/v1/trade/close HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"


class Sizes(NamedTuple):
    rounds: int
    closes: int  # of one trader, one after the other


FULL = Sizes(rounds=5, closes=400)
Strangers = Callable[[System], AbstractContextManager[None]]


@contextlib.contextmanager
def idle(system: System) -> Iterator[None]:
    """Connections on which a request was answered, and nothing follows."""
    with contextlib.ExitStack() as stack:
        for _ in range(CONNECTIONS):
            wire = stack.enter_context(socket.create_connection(("127.0.0.1", system.port), 30))
            wire.sendall(load.get("/livez"))
            wire.recv(65_536)
        yield


@contextlib.contextmanager
def slow_bodies(system: System) -> Iterator[None]:
    """Bodies that have begun and don't end; one that is hung up on begins anew."""
    done = threading.Event()

    def hold(number: int) -> None:
        while not done.is_set():
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", system.port), 30) as wire:
                wires[number] = wire
                wire.sendall(BEGUN)
                wire.recv(65_536)  # 408, or nothing when the end of the benchmark closes it

    wires: dict[int, socket.socket] = {}
    threads = [threading.Thread(target=hold, args=[number], daemon=True) for number in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for wire in [*wires.values()]:
            with contextlib.suppress(OSError):
                wire.shutdown(socket.SHUT_RDWR)


# What is measured beside the quiet trader, by the name of its row.
STRANGERS: dict[str, Strangers] = {
    "door_401_idle_p99_ms": idle,
    "door_401_slow_bodies_p99_ms": slow_bodies,
}


def measure(system: System, sizes: Sizes = FULL) -> list[Row]:
    """The p99 of one trader's closes, and its ratio to the quiet one's: at most 2 is asked for."""
    from benchmarks import data

    people = data.customers(50)
    tokens = data.access_tokens(people)
    seen: dict[str, list[float]] = {name: [] for name in (QUIET, *STRANGERS)}

    def closes() -> float:
        orders = data.open_orders(people, sizes.closes)
        asked = [load.post(CLOSE, tokens[who.pk.hex], json.dumps({"orderId": code}).encode()) for who, code in orders]
        run = load.run(system.port, 1, asked)
        if set(run.statuses) != {200}:
            raise RuntimeError(f"not every close succeeded: {run.statuses}")
        return run.percentile_ms(99)

    with data.FreshPrices(), _engines(system, 1):
        _wait_for_the_engine()
        closes()
        for _ in range(sizes.rounds):
            seen[QUIET].append(closes())
            for name, strangers in STRANGERS.items():
                with strangers(system):
                    seen[name].append(closes())
    quiet = median(seen[QUIET])
    return [
        Row(QUIET, quiet, "ms"),
        *(Row(name, median(seen[name]), "ms", QUIET, median(seen[name]) / quiet) for name in STRANGERS),
    ]
