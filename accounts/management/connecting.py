"""Why there is no database to work on: what a server says when it is asked once more, and whether it is migrated."""

from __future__ import annotations

import re
from typing import Final

import psycopg
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from psycopg_pool import PoolTimeout

# libpq tells no SQLSTATE of a connection that was refused (it would be 28P01, 28000, 3D000, 42501), so this reads its
# words. A server that speaks another language is one that can't be reached: its line is told all the same.
_REFUSAL: Final = re.compile(
    r"password authentication failed[^\n]*|no password supplied|no pg_hba\.conf entry[^\n]*|"
    r'(?:role|database) "[^\n]*" does not exist|role "[^\n]*" is not permitted to log in|'
    r'permission denied for database "[^\n]*"|'
    # And pgbouncer's: settings that it doesn't pass on, databases and users that it doesn't know.
    r"unsupported startup parameter[^\n]*|no such (?:database|user)[^\n]*|SASL authentication failed"
)


def why_refused(failure: BaseException) -> str:
    """What the server says. The pool knows only how long it waited, so the server is asked once more, without it."""
    if isinstance(failure.__cause__, PoolTimeout):
        try:
            psycopg.connect(**connection.get_connection_params()).close()
        except psycopg.Error as refused:
            failure = refused
    lines = str(failure).strip().splitlines()
    return lines[-1].strip("- ") if lines else type(failure).__name__


def refusal_in(said: str) -> str:
    """What of it no later try will change, without somebody who mends the settings; empty where that isn't so."""
    found = _REFUSAL.search(said)
    return found[0] if found else ""


def in_words(said: str) -> str:
    """The sentence about what a server has said, or why it said nothing."""
    if found := refusal_in(said):
        return f"PostgreSQL refuses: {found}. Mend DATABASE_URL, for migrate MIGRATION_DATABASE_URL."
    return f"PostgreSQL can't be reached, or refuses: {said}"


def misses_migrations() -> bool:
    """Whether the database is older than this code. False where it can't be asked."""
    try:
        executor = MigrationExecutor(connection)
        return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    except DatabaseError:
        return False
