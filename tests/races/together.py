"""Real threads on real connections, let go at the same moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar

from django.db import DatabaseError, InterfaceError, connection

T = TypeVar("T")
MOST = 16  # connections of one process
TIMEOUT_SECONDS = 3  # below the database's lock_timeout
LOCK_TIMEOUT = "30s"  # of a race's own connections: a machine that stands still for four seconds decides no race


def together(calls: Sequence[Callable[[], T]], *, threads: int = MOST) -> list[T | Exception]:
    """Run all calls on so many threads that start at once; the results, or what was raised, in order."""
    results: list[T | Exception] = [RuntimeError("never ran")] * len(calls)
    threads = min(threads, len(calls))
    gate = threading.Barrier(threads)

    def work(first: int) -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config('lock_timeout', %s, false)", [LOCK_TIMEOUT])
            gate.wait(10)
            for number in range(first, len(calls), threads):
                try:
                    results[number] = calls[number]()
                except Exception as error:
                    results[number] = error
        finally:
            with suppress(DatabaseError, InterfaceError), connection.cursor() as cursor:
                cursor.execute("RESET lock_timeout")  # the pool hands the connection to others
            connection.close()

    running = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join(60)
    return results


def raised(results: Sequence[object], *kinds: type[Exception]) -> list[object]:
    """The results that are none of these refusals: what a race must never let through, and what went right."""
    return [result for result in results if not isinstance(result, kinds)]


def wait_until_waiting(count: int = 1) -> None:
    """Wait until so many connections of this database wait for a lock."""
    give_up = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < give_up:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_stat_clear_snapshot()")  # inside a transaction the first look would be the last
            cursor.execute(
                "SELECT count(DISTINCT pid) FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
                " WHERE NOT granted AND datname = current_database()"
            )
            if cursor.fetchone()[0] >= count:
                return
        time.sleep(0.005)
    raise AssertionError(f"there are no {count} that wait for a lock")
