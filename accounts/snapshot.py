"""Reading the database as of one moment: as it comes, or several questions over two connections at once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from threading import local
from typing import Any, TypeVar

from django.db import DatabaseError, InterfaceError, connection, transaction
from psycopg.sql import SQL, Literal

R = TypeVar("R")

logger = logging.getLogger(__name__)

_SETTINGS = "SET LOCAL statement_timeout = 0; SET LOCAL work_mem = '64MB'; SET LOCAL jit = off"

_here = local()


@contextmanager
def in_one_snapshot() -> Iterator[bool]:
    """Whatever is read within is as of one moment, and nothing is written. Gives whether the snapshot is its own:
    inside somebody's transaction that one's has to do."""
    is_own = not connection.in_atomic_block
    with transaction.atomic():
        with connection.cursor() as cursor:
            if is_own:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            cursor.execute(_SETTINGS)
        yield is_own


def once(name: str, ask_for: Callable[[], R]) -> R:
    """What several jobs of one snapshot ask for alike: asked once, or twice at once."""
    kept: dict[str, Any] | None = getattr(_here, "kept", None)
    if kept is None:
        return ask_for()
    if name not in kept:
        kept[name] = ask_for()
    found: R = kept[name]
    return found


def ask(jobs: Sequence[Callable[[], R]]) -> list[R]:
    """Do all jobs, which only read, as of one moment; their results in order.

    A second connection takes half of them, in its own thread: aggregates of whole tables keep a processor each. Inside
    somebody's transaction, whose snapshot has to do, and where no second connection can be had, this one does all.
    """
    taken, results = count(), dict[int, R]()
    kept: dict[str, Any] = {}

    def work() -> None:
        _here.kept = kept
        try:
            while (number := next(taken)) < len(jobs):
                results[number] = jobs[number]()
        finally:
            del _here.kept

    with in_one_snapshot() as is_own:
        if is_own:
            _over_two(work)
        else:
            work()
    return [results[number] for number in range(len(jobs))]


def _over_two(work: Callable[[], None]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_export_snapshot()")
        ((snapshot,),) = cursor.fetchall()
    with ThreadPoolExecutor(1) as beside:
        other = beside.submit(_beside, snapshot, work)
        work()
        other.result()


def _beside(snapshot: str, work: Callable[[], None]) -> None:
    try:
        try:
            connection.ensure_connection()
        except (DatabaseError, InterfaceError) as reason:
            logger.warning("the audit has one connection only: %s", reason)
            return
        with in_one_snapshot(), connection.cursor() as cursor:
            cursor.execute(SQL("SET TRANSACTION SNAPSHOT {}").format(Literal(snapshot)).as_string(None))
            work()
    finally:
        connection.close()
