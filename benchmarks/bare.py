"""The same rows by bare SQL: what PostgreSQL itself needs for a batch's completion, on copies of the tables.

Same columns, indexes, checks and fill; no triggers, no batch, no guard, nothing to go on from: five statements in one
transaction, which is rolled back, so that it can be taken again.
"""

from __future__ import annotations

import time

import psycopg

from accounts.ids import uuid7
from benchmarks.system import superuser_url

_TABLES = ("trades_trade", "trades_tradeevent", "accounts_transfer", "accounts_ledgeraccount")

_STATEMENTS = (
    """UPDATE bare.trades_trade SET state = 'completed', updated_at = now()
       WHERE batch_id = %(batch)s AND state = 'settling'""",
    """INSERT INTO bare.trades_tradeevent (id, trade_id, customer_id, became, detail, at)
       SELECT (%(stamp)s || substr(id::text, 14))::uuid, id, customer_id, 'completed', %(detail)s, now()
       FROM bare.trades_trade WHERE batch_id = %(batch)s""",
    """CREATE TEMP TABLE netted ON COMMIT DROP AS
       SELECT customer_id, asset, sum(amount) AS amount FROM (
           SELECT customer_id, receive_asset_id AS asset, receive_amount AS amount FROM bare.trades_trade
           WHERE batch_id = %(batch)s
           UNION ALL
           SELECT customer_id, deliver_asset_id, -taken_from_settling FROM bare.trades_trade
           WHERE batch_id = %(batch)s AND taken_from_settling > 0
       ) both_ways GROUP BY customer_id, asset HAVING sum(amount) > 0""",
    """INSERT INTO bare.accounts_transfer
           (id, debit_account_id, credit_account_id, asset_id, amount, kind, key, customer_id, subject, at)
       SELECT new_uuid7(), d.id, c.id, n.asset, n.amount, 'trade_settled', %(key)s || n.asset, n.customer_id,
              %(batch)s, now()
       FROM netted n
       JOIN bare.accounts_ledgeraccount d
           ON d.customer_id = n.customer_id AND d.asset_id = n.asset AND d.type = 'settling'
       JOIN bare.accounts_ledgeraccount c
           ON c.customer_id = n.customer_id AND c.asset_id = n.asset AND c.type = 'available'""",
    """UPDATE bare.accounts_ledgeraccount a
       SET debits = a.debits + CASE WHEN a.type = 'settling' THEN n.amount ELSE 0 END,
           credits = a.credits + CASE WHEN a.type = 'available' THEN n.amount ELSE 0 END
       FROM netted n
       WHERE a.customer_id = n.customer_id AND a.asset_id = n.asset AND a.type IN ('settling', 'available')""",
)


class Bare:
    """Copies of the tables as they are now, with all that is settling in one batch."""

    def __init__(self) -> None:
        batch_id = uuid7()
        self._given = {
            "batch": batch_id,
            "detail": batch_id.hex,
            "key": f"batch:{batch_id.hex}:1:",
            "stamp": str(batch_id)[:13],
        }
        with self._connect() as connection:
            connection.execute("CREATE SCHEMA bare")
            for table in _TABLES:
                connection.execute(f"CREATE TABLE bare.{table} (LIKE public.{table} INCLUDING ALL)")
                self._fill_alike(connection, table)
                columns = self._columns(connection, table)
                copied = columns.replace("batch_id", f"'{batch_id}'::uuid") if table == "trades_trade" else columns
                connection.execute(
                    f"INSERT INTO bare.{table} ({columns}) SELECT {copied} FROM public.{table} ORDER BY id"
                )

    def seconds(self) -> float:
        """How long the statements and their commit-ready flush took; afterwards everything is as it was."""
        with self._connect() as connection:
            for table in _TABLES:
                connection.execute(f"VACUUM ANALYZE bare.{table}")
            started = time.perf_counter()
            with connection.transaction(force_rollback=True):
                for statement in _STATEMENTS:
                    connection.execute(statement, self._given)
                return time.perf_counter() - started

    @staticmethod
    def _fill_alike(connection: psycopg.Connection, table: str) -> None:
        """Leave as much room on the copy's pages as the table's own have: LIKE doesn't."""
        found = connection.execute(
            "SELECT option_value FROM pg_class, pg_options_to_table(reloptions)"
            " WHERE oid = %s::regclass AND option_name = 'fillfactor'",
            [f"public.{table}"],
        ).fetchone()
        if found:
            connection.execute(f"ALTER TABLE bare.{table} SET (fillfactor = {found[0]})")

    @staticmethod
    def _columns(connection: psycopg.Connection, table: str) -> str:
        found = connection.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
            " AND attgenerated = ''",
            [f"public.{table}"],
        )
        return ", ".join(name for (name,) in found.fetchall())

    @staticmethod
    def _connect() -> psycopg.Connection:
        return psycopg.connect(superuser_url(), autocommit=True)
