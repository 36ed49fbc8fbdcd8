"""Closes per second: over HTTP with 16 clients and with one, and by the engine alone."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

from benchmarks import load, pgbench
from benchmarks.results import Row
from benchmarks.system import CHECKOUT, System, superuser_url

EMPTY, CLOSE = "/api/v1/bench/empty", "/api/v1/trade/close"
LATENCY = "pgbench's mean latency"
ROUNDS = 3
CLOSES, CLIENTS, ALONE = 3000, 16, 300
ENGINE_CLOSES = 20_000


def measure(system: System) -> list[Row]:
    """pgbench's tps and the rows; everything in turns on one system, medians of three rounds."""
    tps, http = _over_http(system)
    tps_too, engine = _engine_alone(system)
    return [Row("pgbench_tps", median([*tps, *tps_too]), "transactions/s"), *http, *engine]


@contextmanager
def _engine(system: System) -> Iterator[None]:
    """An engine process that this benchmark starts and ends itself."""
    engine = subprocess.Popen([sys.executable, "manage.py", "run_engine"], cwd=CHECKOUT, env=system.environment)
    try:
        yield
    finally:
        engine.terminate()
        engine.wait(10)


def _over_http(system: System) -> tuple[list[float], list[Row]]:
    from benchmarks import cast

    people = cast.customers(500)
    tokens = cast.access_tokens(people)
    orders = cast.open_orders(people, (CLOSES + ALONE) * ROUNDS + 200)

    def closes(count: int) -> list[bytes]:
        taken = [orders.pop() for _ in range(count)]
        return [load.post(CLOSE, tokens[who.pk.hex], json.dumps({"orderId": code}).encode()) for who, code in taken]

    empties = [load.post(EMPTY, token, b"{}") for token in tokens.values()]
    tps, empty, sixteen, one = [], [], [], []
    with cast.FreshPrices(), _engine(system):
        load.run(system.port, CLIENTS, closes(200))
        for _ in range(ROUNDS):
            tps.append(pgbench.transactions_per_second(superuser_url(), 5))
            empty.append(load.run(system.port, CLIENTS, empties * 6))
            sixteen.append(_all_closed(load.run(system.port, CLIENTS, closes(CLOSES))))
            one.append(_all_closed(load.run(system.port, 1, closes(ALONE))))
    empty_rate = median(run.per_second for run in empty)
    rate = median(run.per_second for run in sixteen)
    tps_now = median(tps)
    latency = pgbench.CLIENTS / tps_now * 1000

    p50, p99 = (median(run.percentile_ms(percent) for run in sixteen) for percent in (50, 99))
    alone = median(run.percentile_ms(50) for run in one)
    return tps, [
        Row("http_empty_16_per_s", empty_rate, "requests/s", "pgbench_tps", empty_rate / tps_now),
        Row("http_close_16_per_s", rate, "closes/s", "pgbench_tps", rate / tps_now),
        Row("http_close_16_over_empty", rate / empty_rate, "times", "http_empty_16_per_s", rate / empty_rate),
        Row("http_close_16_p50_ms", p50, "ms", LATENCY, p50 / latency),
        Row("http_close_16_p99_ms", p99, "ms", LATENCY, p99 / latency),
        Row("http_close_1_p50_ms", alone, "ms", LATENCY, alone / latency),
    ]


def _all_closed(run: load.Load) -> load.Load:
    if set(run.statuses) != {200}:
        raise RuntimeError(f"not every close succeeded: {run.statuses}")
    return run


def _engine_alone(system: System) -> tuple[list[float], list[Row]]:
    """Fill the stream, then start the engine on it: from its first commit to the last acknowledgement."""
    from accounts import streams
    from accounts.ids import uuid7
    from benchmarks import cast
    from trades.orders.commands import CLOSE as CLOSE_COMMAND
    from trades.orders.commands import Command, encode, stream_name

    people = cast.customers(2000)
    tps, rates = [], []
    for _ in range(ROUNDS):
        tps.append(pgbench.transactions_per_second(superuser_url(), 5))
        orders = cast.open_orders(people, ENGINE_CLOSES)
        pipe = streams.client().pipeline(transaction=False)
        for who, code in orders:
            command = Command(uuid7(), CLOSE_COMMAND, who.pk, who.user_id, {"orderId": code}, 600_000)
            pipe.xadd(stream_name(0), encode(command))  # type: ignore[arg-type]
        pipe.execute()
        with cast.FreshPrices():
            rates.append(_drain(system, stream_name(0)))
    rate, tps_now = median(rates), median(tps)
    return tps, [Row("engine_closes_per_s", rate, "closes/s", "pgbench_tps", rate / tps_now)]


def _drain(system: System, stream: str) -> float:
    from accounts import streams

    with _engine(system):
        left = total = streams.client().xlen(stream)
        while left == total:
            time.sleep(0.002)
            left = streams.client().xlen(stream)
        first, started = left, time.perf_counter()
        while left:
            time.sleep(0.01)
            left = streams.client().xlen(stream)
        return first / (time.perf_counter() - started)
