"""The event stream before ten thousand connections: memory, and how long a change takes from its commit to its readers.

    .venv/bin/python -m benchmarks events

The connections are a process of their own on the same machine, so its time to take up ten thousand messages is in the
figures, too. One change that everybody is told (a held price), and changes of one customer each.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import IO, Any, NamedTuple

from benchmarks.results import Row, percentile
from benchmarks.system import CHECKOUT, System

OF_CUSTOMERS = "?event_type=price.held,price.released,orders,figures"
OF_CHANGES = "?event_type=price.held,price.released,customer.frozen"
AND_PRICES = f"{OF_CHANGES},prices"
STEPS = (1_000, 5_000, 10_000)


class Sizes(NamedTuple):
    steps: tuple[int, ...]
    rounds: int  # changes that everybody is told
    own: int  # changes of one customer each


FULL = Sizes(STEPS, 20, 1_000)
SMALL = Sizes((200, 400, 600), 4, 50)


def measure(system: System, sizes: Sizes = FULL) -> list[Row]:
    from django.utils import timezone

    from accounts import services, tokens
    from accounts.identity import CUSTOMER_SCOPES, FIRM_SCOPES
    from benchmarks import data

    people = data.customers(sizes.steps[-1])
    client, _ = services.create_api_client("benchmark", FIRM_SCOPES, timezone.now())
    shown = [tokens.customer_token(client.pk, one.pk, CUSTOMER_SCOPES) for one in people]
    pid = stream_pid()
    port = int(system.environment["STREAM_PORT"])
    memory = [_memory_mb(pid)]
    with data.FreshPrices():
        with _listening(port, OF_CHANGES, shown) as (say, answers):
            before = 0
            for step in sizes.steps:
                _told(say, answers, f"connect {step - before}")
                before = step
                time.sleep(2)
                memory.append(_memory_mb(pid))
            everybody, last = _everybody(say, answers, sizes)
            own = _own(say, answers, people[: sizes.own])
            time.sleep(1)
            at_the_end = _memory_mb(pid)
        time.sleep(3)
        with _listening(port, AND_PRICES, shown) as (say, answers):
            _told(say, answers, f"connect {sizes.steps[-1]}")
            time.sleep(3)
            began, used = time.monotonic(), cpu_seconds(pid)
            time.sleep(10)
            share = (cpu_seconds(pid) - used) / (time.monotonic() - began)
            beside, _ = _everybody(say, answers, sizes)
        time.sleep(3)
        data.open_orders(people[: sizes.steps[-1]], sizes.steps[-1])
        back, figures_share = _come_back(port, shown)
    return [
        Row("events_memory_mb_none", memory[0], "MB"),
        Row("events_memory_mb_1k", memory[1], "MB"),
        Row("events_memory_mb_5k", memory[2], "MB"),
        Row("events_memory_mb_10k", memory[3], "MB"),
        Row("events_memory_mb_10k_told", at_the_end, "MB", "events_memory_mb_10k", at_the_end / memory[3]),
        Row("events_everybody_p50_ms", percentile(everybody, 50), "ms"),
        Row("events_everybody_p99_ms", percentile(everybody, 99), "ms"),
        Row("events_everybody_last_ms", median(last), "ms"),
        Row("events_own_p50_ms", percentile(own, 50), "ms"),
        Row("events_own_p99_ms", percentile(own, 99), "ms"),
        Row("events_prices_core_share", share, "cores"),
        Row("events_beside_prices_p50_ms", percentile(beside, 50), "ms"),
        Row("events_beside_prices_p99_ms", percentile(beside, 99), "ms"),
        Row("events_figures_core_share", figures_share, "cores"),
        Row("events_back_ready_s", back["last"]["ready"], "s"),
        Row("events_back_event_s", back["last"]["event"], "s"),
        Row("events_back_orders_s", back["last"]["orders"], "s"),
        Row("events_back_figures_s", back["last"]["figures"], "s"),
        Row("events_back_refused", sum(back["refused"].values()), "connections"),
        Row("events_back_unanswered", back["unanswered"], "connections"),
        Row("events_back_memory_mb", back["memory_mb"], "MB", "events_memory_mb_10k", back["memory_mb"] / memory[3]),
    ]


def _come_back(port: int, shown: list[str]) -> tuple[dict[str, Any], float]:
    """How everybody's return to another process went, and the cores that their figures took before it.

    Each has an open order, and its price moves. An event happens while nobody is there to tell it.
    """
    from quotes.models import Instrument
    from quotes.services import hold_price, release_price

    btc = Instrument.objects.get(symbol="BTC-USD")
    with _listening(port, OF_CUSTOMERS, shown) as (say, answers):
        _told(say, answers, f"connect {len(shown)}")
        time.sleep(10)
        first = stream_pid()
        began, used = time.monotonic(), cpu_seconds(first)
        for number in range(20):
            hold_price(btc, Decimal(42_000 + number), Decimal(42_010 + number), reason="a benchmark")
            time.sleep(1)
        share = (cpu_seconds(first) - used) / (time.monotonic() - began)
        _told(say, answers, "back")
        os.kill(first, signal.SIGKILL)
        release_price(btc, reason="a benchmark")
        back: dict[str, Any] = json.loads(answers.readline())
        return {**back, "memory_mb": _memory_mb(stream_pid())}, share


def stream_pid() -> int:
    from brokerage.stack.where import data_dir, read_state

    return int(read_state(data_dir())["children"]["stream"]["pid"])


def _everybody(say: IO[str], answers: IO[str], sizes: Sizes) -> tuple[list[float], list[float]]:
    """Milliseconds to each reader, and to the last of each round. Raises RuntimeError where one was told nothing."""
    from quotes.models import Instrument
    from quotes.services import hold_price, release_price

    btc = Instrument.objects.get(symbol="BTC-USD")
    committed: list[float] = []
    for number in range(sizes.rounds):
        if number % 2 == 0:
            hold_price(btc, Decimal("42000"), Decimal("42010"), reason="a benchmark")
        else:
            release_price(btc, reason="a benchmark")
        committed.append(time.time())
        time.sleep(1)
    time.sleep(2)
    came = json.loads(_told(say, answers, "report"))
    if len(came) != sizes.rounds or {len(times) for times in came.values()} != {sizes.steps[-1]}:
        raise RuntimeError(f"told: { {guid: len(times) for guid, times in came.items()} }")
    rounds = [[1000 * (at - begin) for at in came[guid]] for guid, begin in zip(sorted(came), committed, strict=True)]
    return [one for times in rounds for one in times], [max(times) for times in rounds]


def _own(say: IO[str], answers: IO[str], people: list) -> list[float]:  # type: ignore[type-arg]
    """Milliseconds from a customer's change to that customer's reader, 200 changes a second."""
    from accounts.models import Customer

    committed = []
    for one in people:
        Customer.objects.filter(pk=one.pk).update(state="frozen")
        committed.append(time.time())
        time.sleep(0.005)
    time.sleep(3)
    came = json.loads(_told(say, answers, "report"))
    if len(came) != len(people):
        raise RuntimeError(f"{len(came)} of {len(people)} were told")
    return [1000 * (came[guid][0] - begin) for guid, begin in zip(sorted(came), committed, strict=True)]


@contextlib.contextmanager
def _listening(port: int, query: str, shown: list[str]) -> Iterator[tuple[IO[str], IO[str]]]:
    with tempfile.NamedTemporaryFile("w") as file:
        file.write("\n".join(shown))
        file.flush()
        command = [sys.executable, "-m", "benchmarks.listeners", str(port), query, file.name]
        process = subprocess.Popen(
            command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield process.stdin, process.stdout
        finally:
            process.kill()
            process.wait()


def _told(say: IO[str], answers: IO[str], word: str) -> str:
    say.write(f"{word}\n")
    say.flush()
    answer = answers.readline()
    if not answer:
        raise RuntimeError("the listeners have ended")
    return answer


def _memory_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1000


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
