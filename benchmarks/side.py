"""One of the systems that `benchmarks.paired` compares: told by lines on stdin what to do, it answers by lines.

Run as a file in another checkout, it uses that checkout's code: `PYTHONPATH` names it.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from typing import Any

from benchmarks import system

CREATE_BODY = json.dumps({"symbol": "BTC-USD", "type": "buy", "quantity": "0.01", "leverage": 10}).encode()
CUSTOMERS = 500
PROCESSES = {"run_engine": "engine", "postgres": "postgres", "valkey": "valkey", "redis": "valkey", "granian": "web"}


class Side:
    def __init__(self, port: int) -> None:
        from benchmarks import data

        self._port = port
        self._people = data.customers(CUSTOMERS)
        self._tokens = data.access_tokens(self._people)
        self._takers = cycle(self._people)
        self._open: list[Any] = []

    def prepare(self, closes: int) -> dict[str, float]:
        """Open so many orders, to be closed by the bursts."""
        from benchmarks import data

        self._open += data.open_orders(self._people, closes)
        return {}

    def close(self, clients: int, requests: int) -> dict[str, float]:
        from benchmarks import load, orders

        taken = [self._open.pop() for _ in range(requests)]
        bodies = [(who, json.dumps({"orderId": code}).encode()) for who, code in taken]
        return self._burst(clients, [load.post(orders.CLOSE, self._tokens[who.pk.hex], body) for who, body in bodies])

    def create(self, clients: int, requests: int) -> dict[str, float]:
        from benchmarks import load, orders

        takers = [next(self._takers) for _ in range(requests)]
        return self._burst(clients, [load.post(orders.CREATE, self._tokens[who.pk.hex], CREATE_BODY) for who in takers])

    def _burst(self, clients: int, requests: list[bytes]) -> dict[str, float]:
        from benchmarks import load

        before = _cpu_seconds()
        run = load.run(self._port, clients, requests)
        after = _cpu_seconds()
        if set(run.statuses) != {200}:
            raise RuntimeError(f"not every request succeeded: {run.statuses}")
        spent = {f"us_{name}": (after[name] - before.get(name, 0)) / len(requests) * 1e6 for name in after}
        return {"per_s": run.per_second, "p50_ms": run.percentile_ms(50), "p99_ms": run.percentile_ms(99), **spent}


def _cpu_seconds() -> dict[str, float]:
    """CPU time so far of this process' descendants (Linux), by what they are."""
    spent: dict[str, float] = {}
    for process in _descendants():
        with suppress(OSError):  # it has ended meanwhile
            words = (process / "cmdline").read_text()
            tasks = [path.read_text().split()[0] for path in (process / "task").glob("*/schedstat")]
            name = next((name for word, name in PROCESSES.items() if word in words), "other")
            spent[name] = spent.get(name, 0.0) + sum(map(int, tasks)) / 1e9
    return spent


def _descendants() -> list[Path]:
    """Of this process, as directories of /proc."""
    children: dict[str, list[Path]] = {}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
            children.setdefault(parent, []).append(process)
    found = children.get(str(os.getpid()), [])[:]
    for process in found:  # which grows meanwhile
        found += children.get(process.name, [])
    return found


def main() -> None:
    system.START_SECONDS = 600  # two systems start beside whatever else the machine does
    with system.running("engine,feed,beat,worker,stream", WEB_THREADS="64") as started:
        import django

        django.setup()
        from benchmarks import data, orders

        side = Side(started.port)
        with data.FreshPrices(), orders._engines(started, 1):
            orders._wait_for_the_engine()
            print("{}", flush=True)
            for line in sys.stdin:
                verb, *numbers = json.loads(line)
                print(json.dumps(getattr(side, verb)(*numbers)), flush=True)


if __name__ == "__main__":
    main()
