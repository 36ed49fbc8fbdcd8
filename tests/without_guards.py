"""What nobody may do, for tests of what comes after it: as the tables' owner, with a table's guards switched off."""

from __future__ import annotations

from django.db import connection


def without_guards(table: str, sql: str, *parameters: object) -> None:
    """One statement about one table."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        cursor.execute(sql, parameters)
        cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
