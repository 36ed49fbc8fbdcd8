"""Margin orders: over HTTP with one, 16 and 64 clients, and the engines alone, even and on few customers."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from statistics import median

from benchmarks import load, pgbench
from benchmarks.results import Row
from benchmarks.system import CHECKOUT, System, superuser_url

EMPTY, CLOSE, CREATE = "/api/v1/bench/empty", "/api/v1/trade/close", "/api/v1/trade/create"
LATENCY = "pgbench's mean latency"
ROUNDS = 3
CLOSES, ALONE = 3000, 300
ENGINE_CLOSES, ENGINE_CUSTOMERS = 20_000, 2000
BUSY_SHARE, BUSY_CUSTOMERS = 0.8, 0.01  # four fifths of the closes on one in a hundred customers
PARTITIONS = 2  # engines in the runs of the engines alone, as many as this kind of machine has cores


def measure(system: System) -> list[Row]:
    """pgbench's tps and the rows; everything in turns on one system, medians of three rounds."""
    over_http = _OverHTTP(system)
    over_http.run()
    tps, engine = _engines_alone(system)
    everything = [*over_http.tps, *tps]
    return [Row("pgbench_tps", median(everything), "transactions/s"), *over_http.rows(), *engine]


@contextmanager
def _engines(system: System, partitions: int) -> Iterator[None]:
    """Engine processes that this benchmark starts and ends itself."""
    engine = subprocess.Popen(
        [sys.executable, "manage.py", "run_engine", "--partitions", str(partitions)],
        cwd=CHECKOUT,
        env={**system.environment, "ENGINE_PARTITIONS": str(partitions)},
    )
    try:
        yield
    finally:
        engine.terminate()
        engine.wait(10)


@dataclass
class _OverHTTP:
    """The whole path, web, stream, engine, commit and reply, with the load on the same cores."""

    system: System
    tps: list[float] = field(default_factory=list)
    empty: list[load.Load] = field(default_factory=list)
    sixteen: list[load.Load] = field(default_factory=list)
    sixty_four: list[load.Load] = field(default_factory=list)
    alone: list[load.Load] = field(default_factory=list)
    creates: list[load.Load] = field(default_factory=list)

    def run(self) -> None:
        from benchmarks import data

        people = data.customers(500)
        tokens = data.access_tokens(people)
        orders = data.open_orders(people, (2 * CLOSES + ALONE) * ROUNDS + 200)
        wanted = json.dumps({"symbol": "BTC-USD", "type": "buy", "quantity": "0.01", "leverage": 10}).encode()
        numbers = count()

        def closes(number: int) -> list[bytes]:
            taken = [orders.pop() for _ in range(number)]
            return [load.post(CLOSE, tokens[who.pk.hex], json.dumps({"orderId": code}).encode()) for who, code in taken]

        def creates(number: int) -> list[bytes]:
            takers = [people[next(numbers) % len(people)] for _ in range(number)]
            return [load.post(CREATE, tokens[who.pk.hex], wanted) for who in takers]

        empties = [load.post(EMPTY, token, b"{}") for token in tokens.values()]
        with data.FreshPrices(), _engines(self.system, 1):
            _wait_for_the_engine()
            self._all_right(16, closes(200))
            for _ in range(ROUNDS):
                self.tps.append(pgbench.transactions_per_second(superuser_url(), 5))
                self.empty.append(load.run(self.system.port, 16, empties * 6))
                self.sixteen.append(self._all_right(16, closes(CLOSES)))
                self.alone.append(self._all_right(1, closes(ALONE)))
                self.sixty_four.append(self._all_right(64, closes(CLOSES)))
                self.creates.append(self._all_right(16, creates(CLOSES)))

    def _all_right(self, clients: int, requests: list[bytes]) -> load.Load:
        run = load.run(self.system.port, clients, requests)
        if set(run.statuses) != {200}:
            raise RuntimeError(f"not every request succeeded: {run.statuses}")
        return run

    def rows(self) -> list[Row]:
        tps, empty = median(self.tps), _rate(self.empty)
        latency = pgbench.CLIENTS / tps * 1000
        rate, p50, p99 = _rate(self.sixteen), _milliseconds(self.sixteen, 50), _milliseconds(self.sixteen, 99)
        alone, more, creates = _milliseconds(self.alone, 50), _rate(self.sixty_four), _rate(self.creates)
        return [
            Row("http_empty_16_per_s", empty, "requests/s", "pgbench_tps", empty / tps),
            Row("http_close_16_per_s", rate, "closes/s", "pgbench_tps", rate / tps),
            Row("http_close_16_over_empty", rate / empty, "times", "http_empty_16_per_s", rate / empty),
            Row("http_close_16_p50_ms", p50, "ms", LATENCY, p50 / latency),
            Row("http_close_16_p99_ms", p99, "ms", LATENCY, p99 / latency),
            Row("http_close_1_p50_ms", alone, "ms", LATENCY, alone / latency),
            Row("http_close_64_per_s", more, "closes/s", "pgbench_tps", more / tps),
            Row("http_create_16_per_s", creates, "creates/s", "pgbench_tps", creates / tps),
        ]


def _wait_for_the_engine() -> None:
    from trades.models import EngineLease

    while not EngineLease.objects.filter(renewed_at__isnull=False).exists():
        time.sleep(0.05)


def _rate(runs: list[load.Load]) -> float:
    return median(run.per_second for run in runs)


def _milliseconds(runs: list[load.Load], percent: float) -> float:
    return median(run.percentile_ms(percent) for run in runs)


def _engines_alone(system: System) -> tuple[list[float], list[Row]]:
    """Fill the streams, then start the engines on them: from their first commit to the last acknowledgement."""
    from benchmarks import bare_closes, data

    people = data.customers(ENGINE_CUSTOMERS)
    busy = people[: int(ENGINE_CUSTOMERS * BUSY_CUSTOMERS)]
    tps, even, one, hot, bare = [], [], [], [], []
    for _ in range(ROUNDS):
        tps.append(pgbench.transactions_per_second(superuser_url(), 5))
        even.append(_closed_per_s(system, PARTITIONS, lambda: data.open_orders(people, ENGINE_CLOSES)))
        one.append(_closed_per_s(system, 1, lambda: data.open_orders(people, ENGINE_CLOSES // 2)))
        with data.FreshPrices():
            bare.append(bare_closes.closed_per_s(data.open_orders(people, ENGINE_CLOSES), PARTITIONS))
        hot.append(_closed_per_s(system, PARTITIONS, lambda: _mostly_on(busy, people)))
    rate, tps_now = median(even), median(tps)
    return tps, [
        Row("engine_closes_per_s", rate, "closes/s", "pgbench_tps", rate / tps_now),
        Row("engine_1_closes_per_s", median(one), "closes/s", "pgbench_tps", median(one) / tps_now),
        Row("engine_bare_sql_per_s", median(bare), "closes/s", "pgbench_tps", median(bare) / tps_now),
        Row("engine_over_bare_sql", median(bare) / rate, "times", "engine_bare_sql_per_s", median(bare) / rate),
        Row("engine_hotspot_ratio", median(hot) / rate, "times", "engine_closes_per_s", median(hot) / rate),
    ]


def _mostly_on(busy: list, everybody: list) -> list:  # type: ignore[type-arg]
    """Open orders of which four fifths are the busy customers', in no particular order."""
    import random

    from benchmarks import data

    hot = data.open_orders(busy, int(ENGINE_CLOSES * BUSY_SHARE))
    orders = hot + data.open_orders(everybody, ENGINE_CLOSES - len(hot))
    random.Random(1).shuffle(orders)
    return orders


def _closed_per_s(system: System, partitions: int, opened: Callable[[], list]) -> float:  # type: ignore[type-arg]
    from accounts import streams
    from accounts.ids import partition_of, uuid7
    from benchmarks import data
    from trades.margin.commands import Command, encode, stream_name
    from trades.margin.kinds import CLOSE as CLOSE_COMMAND

    pipe = streams.client().pipeline(transaction=False)
    dead = [f"{stream_name(partition)}:dead" for partition in range(partitions)]
    streams.client().delete(*dead)
    for who, code in opened():
        command = Command(uuid7(), CLOSE_COMMAND, who.pk, who.user_id, {"orderId": code, "quantity": None}, 600_000)
        pipe.xadd(stream_name(partition_of(who.pk) % partitions), encode(command))  # type: ignore[arg-type]
    pipe.execute()
    names = [stream_name(partition) for partition in range(partitions)]
    with data.FreshPrices(), _engines(system, partitions):
        rate = _drained_per_s(names)
    if any(streams.client().xlen(name) for name in dead):
        raise RuntimeError("the engines took some of these commands for none")
    return rate


def _drained_per_s(names: list[str]) -> float:
    """From when every engine is at work; those that start earlier have done a tick or two by then."""
    from accounts import streams

    def left() -> list[int]:
        return [streams.client().xlen(name) for name in names]

    full = now = left()
    while any(was == is_ for was, is_ in zip(full, now, strict=True)):
        time.sleep(0.002)
        now = left()
    first, started = sum(now), time.perf_counter()
    while sum(left()):
        time.sleep(0.01)
    return first / (time.perf_counter() - started)
