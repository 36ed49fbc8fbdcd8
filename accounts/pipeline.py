"""Fewer waits for PostgreSQL than there are things to say to it, on Django's connection and in its transaction.

Reading, several questions in one round trip (PostgreSQL's pipeline mode):

    with together():
        orders = ask("SELECT …", parameters)      # on its way, not answered yet
        accounts = ask("SELECT …", parameters)
        print(orders.rows())                      # waits for this answer

They run in the order in which they were asked, and the first that fails undoes the transaction like any other.

Writing, several tables in one statement: `write([Part("INSERT …", …), Part("UPDATE …", …, expected=2)])`. Inside a
`together`, `ask_to_write` sends it with what ends the pipeline, and what it gives is called after that.

A transaction that begins with a `together` begins inside it, and BEGIN is not waited for.

Statements are prepared once per connection, so that a short transaction is not spent on planning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

import psycopg
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.pq import TransactionStatus


class Part(NamedTuple):
    """An INSERT or UPDATE among others; `expected`: how many rows it must write, where that is a guard."""

    sql: str
    parameters: Sequence[Any]
    expected: int | None = None


class ChangedMeanwhile(RuntimeError):
    """A guarded row was not as it was read: somebody else changed it. Nothing of the transaction may stay."""


class Asked:
    """A statement on its way. Its errors are raised where its answer is read, or where the pipeline ends."""

    def __init__(self, database: BaseDatabaseWrapper, cursor: psycopg.Cursor[tuple[Any, ...]]) -> None:
        self._database = database
        self._cursor = cursor

    def rows(self) -> list[tuple[Any, ...]]:
        """Wait for the answer."""
        with self._database.wrap_database_errors:
            return self._cursor.fetchall()


@contextmanager
def together() -> Iterator[None]:
    """Send what is asked inside without waiting; at the end everything has been answered."""
    database = connections["default"]
    database.ensure_connection()
    raw = database.connection
    begins = not raw.autocommit and raw.pgconn.transaction_status == TransactionStatus.IDLE
    if begins:
        raw.autocommit = True  # psycopg would wait for its own BEGIN; Django sets it back after the transaction
    with database.wrap_database_errors, raw.pipeline():
        if begins:
            ask("BEGIN")
        yield


def ask(sql: str, parameters: Sequence[Any] = ()) -> Asked:
    """Send a statement. Parameters are bound by the server: texts, numbers, moments and array literals."""
    database = connections["default"]
    raw = database.connection
    if raw is None:
        database.ensure_connection()
        raw = database.connection
    if raw.prepare_threshold is None:
        raw.prepare_threshold = 2
    with database.wrap_database_errors:
        cursor = psycopg.Cursor(raw)
        cursor.format = psycopg.pq.Format.BINARY
        cursor.execute(sql.encode(), parameters)
    return Asked(database, cursor)


def write(parts: Iterable[Part | None], commit_by: datetime | None = None) -> None:
    """Write several tables in one statement; no part sees what another writes, and no row is in two of them.

    `commit_by` as in `clock.must_commit_by`, without a wait of its own.
    Raises ChangedMeanwhile where a part wrote another number of rows than expected.
    """
    ask_to_write(parts, commit_by)()


def ask_to_write(parts: Iterable[Part | None], commit_by: datetime | None = None) -> Callable[[], None]:
    """`write`, on its way: call what this gives before the transaction is committed, to wait and raise."""
    said = [part for part in parts if part is not None]
    if not said:
        return _nothing_was_written
    sql = _statement(tuple((part.sql, part.expected is not None) for part in said), commit_by is not None)
    parameters = [value for part in said for value in part.parameters]
    if commit_by is not None:
        parameters.append(commit_by)
    asked = ask(sql, parameters)

    def check() -> None:
        ((*counts, _),) = asked.rows()
        if counts != [part.expected for part in said if part.expected is not None]:
            raise ChangedMeanwhile("a row that was locked, or was ours alone, had been changed by somebody else")

    return check


def _nothing_was_written() -> None:
    pass


@lru_cache(maxsize=256)
def _statement(parts: tuple[tuple[str, bool], ...], is_bound: bool) -> str:
    named = ", ".join(
        f"w{number} AS ({sql}{' RETURNING 1' if is_guarded else ''})" for number, (sql, is_guarded) in enumerate(parts)
    )
    guarded = [number for number, (_, is_guarded) in enumerate(parts) if is_guarded]
    counts = [f"(SELECT count(*) FROM w{number})" for number in guarded]  # noqa: S608 - our own statements
    bound = "must_commit_by(%s)" if is_bound else "NULL"  # the last to be evaluated
    return f"WITH {named} SELECT {', '.join([*counts, bound])}"
