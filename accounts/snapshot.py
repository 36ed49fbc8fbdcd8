"""Several questions to one snapshot of the database, asked over two connections at once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import local
from typing import Any, TypeVar

from django.db import DatabaseError, InterfaceError, connection, transaction
from psycopg.sql import SQL, Literal

R = TypeVar("R")

logger = logging.getLogger(__name__)

_SETTINGS = "SET LOCAL statement_timeout = 0; SET LOCAL work_mem = '64MB'; SET LOCAL jit = off"

_here = local()


def once(name: str, ask_for: Callable[[], R]) -> R:
    """What several jobs of one snapshot ask for alike: asked once, or twice at once."""
    kept: dict[str, Any] = getattr(_here, "kept", None) or {}
    if name not in kept:
        kept[name] = ask_for()
    found: R = kept[name]
    return found


def ask(jobs: Sequence[Callable[[], R]]) -> list[R]:
    """Do all jobs, which only read, as of one moment; their results in order.

    A second connection takes half of them, in its own thread: aggregates of whole tables keep a processor each. Inside
    somebody's transaction, whose snapshot has to do, and where no second connection can be had, this one does all.
    """
    is_own = not connection.in_atomic_block
    taken, results = count(), dict[int, R]()
    kept: dict[str, Any] = {"": None}

    def work() -> None:
        _here.kept = kept
        try:
            while (number := next(taken)) < len(jobs):
                results[number] = jobs[number]()
        finally:
            del _here.kept

    with transaction.atomic(), connection.cursor() as cursor:
        if not is_own:
            cursor.execute(_SETTINGS)
            work()
            return [results[number] for number in range(len(jobs))]
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.execute(_SETTINGS)
        cursor.execute("SELECT pg_export_snapshot()")
        ((snapshot,),) = cursor.fetchall()
        with ThreadPoolExecutor(1) as beside:
            other = beside.submit(_beside, snapshot, work)
            work()
            other.result()
    return [results[number] for number in range(len(jobs))]


def _beside(snapshot: str, work: Callable[[], None]) -> None:
    try:
        try:
            connection.ensure_connection()
        except (DatabaseError, InterfaceError) as reason:
            logger.warning("the audit has one connection only: %s", reason)
            return
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                cursor.execute(SQL("SET TRANSACTION SNAPSHOT {}").format(Literal(snapshot)).as_string(None))
                cursor.execute(_SETTINGS)
            work()
    finally:
        connection.close()
