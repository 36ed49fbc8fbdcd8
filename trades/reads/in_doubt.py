"""Reads that are true to what was told: while a tick's outcome can't be seen yet, they wait for it.

There is a moment in which a tick can't be refused any more and can't be seen yet: from when PostgreSQL begins to
commit it until it has done so. Mostly that is a fraction of a millisecond; where the server's process stands still, or
its disk does, it is as long as that. Meanwhile a request may have been answered "outcome unknown; read it", and what is
read as open must stay open.

So who reads a customer's orders or money looks whether an engine has come round lately: it renews its lease between two
ticks. A command is told as unknown at the earliest `submit.COMMIT_ALLOWANCE` after the last moment at which its tick
could begin. So while the lease was renewed within less than that, nothing that was told is in doubt. Otherwise the read
waits for the tick in flight, if any (it holds an advisory lock until it can be seen), and reads again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar
from uuid import UUID

from django.conf import settings
from django.db import OperationalError, connection, transaction

from accounts.clock import uptime
from accounts.db.locks import TICK
from accounts.ids import partition_of
from trades.margin.commands import Command, remembered_by

UNTOLD_SECONDS: Final = 0.7  # less than COMMIT_ALLOWANCE, more than an engine takes to come round
LOOK_SECONDS: Final = 0.3  # for a tick in flight, where a request with a deadline asks

_IS_YOUNG = """
SELECT extract(epoch FROM clock_timestamp() - renewed_at) FROM trades_enginelease WHERE partition = %s
"""
# What a command leaves behind where it was done; a refusal leaves nothing, and nothing was done.
_WAS_DONE = """
SELECT EXISTS (SELECT FROM trades_order WHERE customer_id = %(customer)s AND command_id = %(command)s)
    OR EXISTS (SELECT FROM trades_order o JOIN trades_deal d ON d.order_id = o.id AND d.kind = 'close'
               WHERE o.customer_id = %(customer)s AND o.code = %(code)s AND d.command_id = %(command)s)
    OR EXISTS (SELECT FROM trades_idempotentanswer
               WHERE customer_id = %(customer)s AND key = %(key)s AND command_id = %(command)s)
"""

T = TypeVar("T")

_untold_until: dict[int, float] = {}
"""By partition: until when (by `uptime`) no tick that is in doubt can have been told of."""


def decided(customer_id: UUID, read: Callable[[], T]) -> T:
    """What `read` gives, with every command of this customer decided that was told of.

    `read` may be called twice. Raises django.db.OperationalError when a tick in flight does not end within the lock
    timeout.
    """
    partition = partition_of(customer_id) % settings.ENGINE_PARTITIONS
    found = read()
    if uptime() < _untold_until.get(partition, 0.0) or _engine_came_round(partition):
        return found
    _wait(partition)
    return read()


def was_done(command: Command) -> bool | None:
    """Whether a command whose time is over was done; None where that can't be seen at once."""
    partition = partition_of(command.customer_id) % settings.ENGINE_PARTITIONS
    asked = {
        "customer": command.customer_id,
        "command": command.id,
        "code": command.terms.get("orderId", ""),
        "key": remembered_by(command),
    }
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{LOOK_SECONDS * 1000:.0f}ms"])
            _wait(partition)
            cursor.execute(_WAS_DONE, asked)
            return bool(cursor.fetchone()[0])
    except OperationalError:
        return None


def _engine_came_round(partition: int) -> bool:
    """Whether the lease was renewed so lately that nothing told of can be in doubt."""
    asked = uptime()
    with connection.cursor() as cursor:
        cursor.execute(_IS_YOUNG, [partition])
        row = cursor.fetchone()
    if row is None or row[0] is None:
        return False
    until = _untold_until[partition] = asked + UNTOLD_SECONDS - float(row[0])
    return uptime() < until


def _wait(partition: int) -> None:
    """Pass through the lock that a tick holds until its outcome can be seen."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [TICK, partition])
