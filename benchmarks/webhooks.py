"""Webhooks to a hundred endpoints of which ten never answer: how many go out a second, and how late they come.

    .venv/bin/python -m benchmarks events webhooks      this part alone; printed, nothing is kept

The endpoints are a process of their own on the same machine. The system's own beat and worker send.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import IO, Any, NamedTuple

from benchmarks import events
from benchmarks.results import Row, percentile
from benchmarks.system import CHECKOUT, System, superuser_url

CLIENTS, OF_EACH, HANGING = 4, 25, 10
SETTLES_SECONDS = 3.0  # after the endpoints that hang were called the first time


class Sizes(NamedTuple):
    rounds: int
    burst: int  # events of one transaction, to each endpoint
    paced: int  # events one by one
    a_second: float
    pgbench_seconds: int


FULL = Sizes(3, 200, 50, 5.0, 5)
SMALL = Sizes(1, 20, 10, 5.0, 1)


def measure(system: System, sizes: Sizes = FULL) -> list[Row]:
    from benchmarks import data, pgbench

    people = data.customers(sizes.burst + sizes.paced + 1)
    answering = CLIENTS * OF_EACH - HANGING
    rates, spent, tps = [], [], []
    with _senders(system) as worker, _endpoints() as (say, answers, (answers_at, hangs_at)):
        _subscribe(answers_at, hangs_at)
        _freeze(people[-1:])
        _told(say, answers, f"wait {answering} 60")
        time.sleep(SETTLES_SECONDS)
        _told(say, answers, "report")
        for number in range(sizes.rounds):
            tps.append(pgbench.transactions_per_second(superuser_url(), sizes.pgbench_seconds))
            before = _cpu_seconds(worker)
            _freeze(people[: sizes.burst], thaw=number % 2 == 1)
            came = _all_of(say, answers, answering * sizes.burst)
            spent.append(_cpu_seconds(worker) - before)
            times = [at for _, _, at in came]
            rates.append(len(came) / (max(times) - min(times)))
        late = _paced(say, answers, people[sizes.burst : -1], answering, 1 / sizes.a_second)
    calls = answering * sizes.burst * sizes.rounds
    rate, yardstick = median(rates), median(tps)
    return [
        Row("webhooks_out_per_s", rate, "webhooks/s", "pgbench_tps", rate / yardstick),
        Row("webhooks_worker_us", sum(spent) / calls * 1e6, "us of CPU"),
        Row("webhooks_p50_ms", percentile(late, 50), "ms"),
        Row("webhooks_p99_ms", percentile(late, 99), "ms"),
    ]


def _subscribe(answers_at: int, hangs_at: int) -> None:
    """Whose endpoints hang is spread over the clients."""
    from django.utils import timezone

    from accounts import services
    from accounts.identity import FIRM_SCOPES
    from accounts.services import subscriptions

    number = 0
    for _ in range(CLIENTS):
        client, _ = services.create_api_client("benchmark", FIRM_SCOPES, timezone.now())
        for _ in range(OF_EACH):
            port = hangs_at if number % (CLIENTS * OF_EACH // HANGING) == 0 else answers_at
            url = f"http://127.0.0.1:{port}/{number}"
            kinds = ["customer.frozen", "customer.verified"]
            subscriptions.subscribe(subscriptions.NewSubscription(client.pk, "benchmark", url, kinds), timezone.now())
            number += 1


def _freeze(people: Sequence[Any], *, thaw: bool = False) -> float:
    """An event of each; when they were committed."""
    from accounts.models import Customer

    ids = [one.pk for one in people]
    Customer.objects.filter(pk__in=ids).update(state="verified" if thaw else "frozen")
    return time.time()


def _all_of(say: IO[str], answers: IO[str], count: int, seconds: float = 300) -> list[tuple[str, str, float]]:
    """So many calls. Raises RuntimeError where one event comes twice to an endpoint, or not at all."""
    _told(say, answers, f"wait {count} {seconds}")
    came = json.loads(_told(say, answers, "report"))
    if len({(endpoint, guid) for endpoint, guid, _ in came}) != count or len(came) != count:
        raise RuntimeError(f"{len(came)} instead of {count} calls came")
    return [(endpoint, guid, at) for endpoint, guid, at in came]


def _paced(say: IO[str], answers: IO[str], people: Sequence[Any], endpoints: int, seconds: float) -> list[float]:
    """Milliseconds from the commit of each change to each endpoint."""
    committed = []
    for one in people:
        committed.append(_freeze([one]))
        time.sleep(seconds)
    came = _all_of(say, answers, endpoints * len(people))
    begins = dict(zip(sorted({guid for _, guid, _ in came}), committed, strict=True))
    return [1000 * (at - begins[guid]) for _, guid, at in came]


@contextlib.contextmanager
def _senders(system: System) -> Iterator[int]:
    """The beat and the worker, as `up` starts them; the worker's pid."""
    from brokerage.stack.processes import children

    commands = {child.name: child.command for child in children("127.0.0.1", system.port, system.environment)}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    started = [
        subprocess.Popen(commands[name], cwd=CHECKOUT, env=system.environment, **quiet) for name in ("worker", "beat")
    ]
    try:
        yield started[0].pid
    finally:
        for one in started:
            one.terminate()
        for one in started:
            one.wait(30)


def _cpu_seconds(worker: int) -> float:
    """What the worker and its processes have taken so far."""
    pids, total = [worker], 0.0
    for pid in pids:  # which grows meanwhile
        total += events.cpu_seconds(pid)
        pids += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    return total


@contextlib.contextmanager
def _endpoints() -> Iterator[tuple[IO[str], IO[str], tuple[int, int]]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.endpoints"],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        answers_at, hangs_at = map(int, process.stdout.readline().split())
        yield process.stdin, process.stdout, (answers_at, hangs_at)
    finally:
        process.kill()
        process.wait()


def _told(say: IO[str], answers: IO[str], word: str) -> str:
    say.write(f"{word}\n")
    say.flush()
    answer = answers.readline()
    if not answer:
        raise RuntimeError("the endpoints have ended")
    return answer
