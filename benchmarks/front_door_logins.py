"""One trader closes while nobody logs in, and while forty do, without end: what each close takes.

A part of `python -m benchmarks door`, and by itself `python -m benchmarks.front_door_logins`.

The forty hash as long as anybody: an unknown address costs what a wrong password does. Limits are on, but those of
logins, which would let none of them through after the first ten.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from itertools import count

from benchmarks import load
from benchmarks.front_door import Sizes
from benchmarks.orders import CLOSE, _engines, _wait_for_the_engine
from benchmarks.results import Row
from benchmarks.system import System

LOGIN = "/api/v1/auth/login"
LOGINS = 40
FULL = Sizes(rounds=5, closes=500)
QUIET = "logins_0_close_p99_ms"
UNLIMITED = {"LIMIT_LOGIN_ADDRESS": "", "LIMIT_LOGIN_ACCOUNT": ""}


def measure(system: System, sizes: Sizes = FULL) -> list[Row]:
    """For a system that was started with UNLIMITED. Everything in turns; p50 and p99 of all closes of a kind."""
    from benchmarks import data

    people = data.customers(20)
    tokens = data.access_tokens(people)
    orders = data.open_orders(people, sizes.rounds * 2 * sizes.closes + 100)
    quiet, beside, logins = load.Load(), load.Load(), load.Load()

    def closes(number: int) -> list[bytes]:
        taken = [orders.pop() for _ in range(number)]
        return [load.post(CLOSE, tokens[who.pk.hex], json.dumps({"orderId": code}).encode()) for who, code in taken]

    with data.FreshPrices(), _engines(system, 1):
        _wait_for_the_engine()
        load.run(system.port, 1, closes(100))
        for _ in range(sizes.rounds):
            _add(quiet, load.run(system.port, 1, closes(sizes.closes)))
            with _Logins(system.port, logins):
                _add(beside, load.run(system.port, 1, closes(sizes.closes)))
    if set(quiet.statuses) | set(beside.statuses) != {200}:
        raise RuntimeError(f"not every close succeeded: {quiet.statuses}, {beside.statuses}")
    return [*_rows(quiet, beside), Row("logins_40_per_s", logins.per_second, "logins/s")]


def _rows(quiet: load.Load, beside: load.Load) -> Iterator[Row]:
    for percent in (50, 99):
        before, after = quiet.percentile_ms(percent), beside.percentile_ms(percent)
        yield Row(f"logins_0_close_p{percent}_ms", before, "ms")
        yield Row(f"logins_40_close_p{percent}_ms", after, "ms", f"logins_0_close_p{percent}_ms", after / before)


class _Logins:
    """Forty connections that log in, each again when it was answered, until the end of the block."""

    def __init__(self, port: int, into: load.Load) -> None:
        self._port, self._into, self._over = port, into, threading.Event()

    def _requests(self) -> Iterator[bytes]:
        for number in count():
            if self._over.is_set():
                return
            body = {"email": f"nobody-{number}@example.com", "password": "a guess"}
            yield load.post(LOGIN, "", json.dumps(body).encode())

    def _run(self) -> None:
        _add(self._into, load.run(self._port, LOGINS, self._requests()))

    def __enter__(self) -> None:
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def _add(all_: load.Load, one: load.Load) -> None:
    all_.seconds += one.seconds
    all_.statuses += Counter(one.statuses)
    all_.took += one.took


def main() -> None:
    from benchmarks.results import report
    from benchmarks.system import running

    with running("engine,feed,beat,worker,stream", **UNLIMITED) as system:
        import django

        django.setup()
        report("front_door_logins", measure(system))


if __name__ == "__main__":
    main()
