"""Who may write for a partition: one engine at a time, and never one that was away too long.

Taking a lease raises its epoch. Every tick reads its own epoch inside its transaction, under a shared lock:
an engine that was paused past its lease finds a higher epoch and its late write is rolled back, and a
taker waits for the tick that is just committing. Not for longer than a tick may take: PostgreSQL ends the transaction
of an engine that was paused, or whose host was lost, in the middle of one.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db import connection, transaction

from accounts import clock, holders
from accounts.db.locks import LEASE_TAKING, TICK
from accounts.db.pipeline import Pending, Pipeline, Rows, pipeline
from trades.engine.queries import by_index_in_sql

log = logging.getLogger("engine")

LEASE_SECONDS = 5
RENEW_SECONDS = 0.4  # readers believe that no tick is in doubt for somewhat longer (in_doubt.py)
LONGEST_TICK_SECONDS = 10  # until it has written and is bound more closely; enforced from PostgreSQL 17 on


class LeaseLost(Exception):
    """Another engine has taken this partition."""


class Lease:
    """The right to write for one partition, once `take` has said yes."""

    def __init__(self, partition: int, partitions: int = 1) -> None:
        self.partition = partition
        self.partitions = partitions
        self.holder = holders.name()
        self.epoch = 0

    def take(self) -> bool:
        """Try to take the lease: free, run out, ours, or its holder is a dead process of this host.

        Not while an engine lives that believes in another number of partitions: one customer would have two engines.
        """
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO trades_enginelease (partition, epoch, holder, partitions) VALUES (%s, 0, '', %s)"
                " ON CONFLICT DO NOTHING",
                [self.partition, self.partitions],
            )
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LEASE_TAKING])  # two takers would not see each other
            cursor.execute(
                "SELECT holder, partitions FROM trades_enginelease WHERE partitions <> %s"
                " AND renewed_at >= clock_timestamp() - make_interval(secs => %s)",
                [self.partitions, LEASE_SECONDS],
            )
            if others := [row for row in cursor.fetchall() if not holders.is_dead(row[0])]:
                log.warning("an engine runs for %s partitions, this one for %s", others[0][1], self.partitions)
                return False
            cursor.execute(
                "SELECT holder, renewed_at IS NULL OR renewed_at < clock_timestamp() - make_interval(secs => %s)"
                " FROM trades_enginelease WHERE partition = %s FOR UPDATE",
                [LEASE_SECONDS, self.partition],
            )
            holder, is_over = cursor.fetchone()
            if not (is_over or holders.is_dead(holder)):
                return False
            cursor.execute(  # who is only paused, and believes in another number, must not write when it wakes
                "UPDATE trades_enginelease SET epoch = epoch + 1, holder = '', renewed_at = NULL"
                " WHERE partition IN (SELECT partition FROM trades_enginelease WHERE partitions <> %s FOR UPDATE)",
                [self.partitions],
            )
            cursor.execute(
                "UPDATE trades_enginelease SET epoch = epoch + 1, holder = %s, partitions = %s,"
                " renewed_at = clock_timestamp() WHERE partition = %s RETURNING epoch",
                [self.holder, self.partitions, self.partition],
            )
            self.epoch = cursor.fetchone()[0]
        return True

    def ask(self, p: Pipeline) -> Pending[datetime]:
        """Inside a tick's transaction: hold the lease still until its end.

        The result raises LeaseLost, or is PostgreSQL's clock as of when it was held. How far the firm's time is ahead
        of that comes with it (`clock.ahead_known`).
        """
        return p.send(
            f"SELECT {_said()}, pg_advisory_xact_lock_shared({TICK}, partition::int),"  # noqa: S608
            f" {clock.ahead_in_sql()}, clock_timestamp()"
            " FROM trades_enginelease WHERE partition = %s AND epoch = %s FOR KEY SHARE",
            [self.partition, self.epoch],
            _held_at,
        )

    def check(self) -> datetime:
        """`ask`, and wait for what it says."""
        with pipeline() as p:
            return self.ask(p).result()

    def renew(self) -> None:
        """Say that this engine lives, and that none of its ticks is in doubt. Raises LeaseLost."""
        asked = clock.uptime()
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE trades_enginelease SET renewed_at = clock_timestamp() WHERE partition = %s AND epoch = %s"  # noqa: S608
                f" RETURNING renewed_at, {clock.ahead_in_sql()}",
                [self.partition, self.epoch],
            )
            row = cursor.fetchone()
        if row is None:
            raise LeaseLost
        clock.keep(row[0], asked)
        clock.keep_ahead(row[1])

    def wait_for_ticks(self) -> None:
        """Wait until no earlier tick of this partition is in flight any more: a lost connection may leave one."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [TICK, self.partition])

    def give_back(self) -> None:
        """Let a successor start at once."""
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE trades_enginelease SET renewed_at = NULL, holder = '' WHERE partition = %s AND epoch = %s",
                [self.partition, self.epoch],
            )


def _held_at(rows: Rows) -> datetime:
    if not rows:
        raise LeaseLost
    ahead: timedelta
    at: datetime
    *_, ahead, at = rows[0]
    clock.keep_ahead(ahead)
    return at


def _said() -> str:
    """What holds for the transaction at hand. Its end, where the server can: a paused engine holds no successor."""
    said = [*by_index_in_sql()]
    if connection.pg_version >= 170000:  # type: ignore[attr-defined]
        said.append(f"set_config('transaction_timeout', '{LONGEST_TICK_SECONDS}s', true)")
    return ", ".join(said) or "1"
