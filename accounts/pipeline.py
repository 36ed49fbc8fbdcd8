"""Several statements in one round trip: PostgreSQL's pipeline mode on Django's connection.

    with together():
        orders = ask("SELECT …", parameters)      # on its way, not answered yet
        accounts = ask("SELECT …", parameters)
        print(orders.rows())                      # waits for this answer

They run in the order in which they were asked, in the transaction at hand, and the first that fails undoes it like
any other. Statements are prepared once per connection, so that a short transaction is not spent on planning.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import psycopg
from django.db import connection


class Asked:
    """A statement on its way. Its errors are raised where its answer is read, or where the pipeline ends."""

    def __init__(self, cursor: psycopg.Cursor[tuple[Any, ...]]) -> None:
        self._cursor = cursor

    def rows(self) -> list[tuple[Any, ...]]:
        """Wait for the answer."""
        with connection.wrap_database_errors:
            return self._cursor.fetchall()

    @property
    def count(self) -> int:
        """How many rows it wrote or gave; known once its answer or the pipeline's end is there."""
        return self._cursor.rowcount


@contextmanager
def together() -> Iterator[None]:
    """Send what is asked inside without waiting; at the end everything has been answered."""
    connection.ensure_connection()
    with connection.wrap_database_errors, _raw().pipeline():
        yield


def ask(sql: str, parameters: Sequence[Any] = ()) -> Asked:
    """Send a statement. Parameters are bound by the server: texts, numbers, moments and array literals."""
    connection.ensure_connection()
    raw = _raw()
    if raw.prepare_threshold is None:
        raw.prepare_threshold = 2
    with connection.wrap_database_errors:
        cursor = psycopg.Cursor(raw)
        cursor.format = psycopg.pq.Format.BINARY
        cursor.execute(sql.encode(), parameters)
    return Asked(cursor)


def _raw() -> psycopg.Connection[tuple[Any, ...]]:
    return cast("psycopg.Connection[tuple[Any, ...]]", connection.connection)
