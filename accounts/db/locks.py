"""Every advisory lock of PostgreSQL that the system takes: its number, and what it guards.

To PostgreSQL a lock of one number and a lock of two are different, whatever the numbers. The slices of a settlement
have two numbers, too, and none of them stands here: the first is a hash of the round (`trades/settlement/settle.py`).
Should it ever be that of another lock, the two wait for each other, and nothing else happens. The lock of a request
under an Idempotency-Key has one number, a hash of caller and key in 64 bits (`accounts/services/idempotency.py`).

What outlasts a transaction is kept by a session. Behind a pooler that gives each transaction another one, that is a
session past the pooler (decision 0101).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from django.conf import settings
from django.db import connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper

# Of one number.
RECONCILIATION: Final = 0x4EC0  # runs of the reconciliation take turns, so an asset's break is opened once
FIRM_CLOCK: Final = 0xC10C  # who moves the firm's clock takes turns, so each move starts from the one before
SEALING: Final = 0x5EA1  # sealers take turns, so the chain of blocks never forks
SEED: Final = 0x5EED  # who seeds takes turns, so each user of the demo is made once
ACCEPTING: Final = 0xACCE97  # shared by whoever writes trades down; nobody takes it alone, cuts look who has it
MEMBERSHIP: Final = 0x5E771E  # whoever changes which trades are in which batch
WEBHOOKS: Final = 0x3EB4  # one worker begins sending webhooks at a time: a session holds it over many transactions
LEASE_TAKING: Final = 0x6C65617365  # engines take leases in turn: two takers would not see each other
OPENING: Final = 0x09E4  # who opens positions against a limit of the firm takes turns, from its sums to its commit

# The first of two numbers.
SETTLER_SLOT: Final = 0x5EA7  # and the slot's number: one settler has it
WEBHOOK: Final = 0x3EB5  # and a hash of the subscription: a session sends its deliveries, and no other does
TICK: Final = 0x7469636B  # and the partition: a tick holds it until its outcome can be seen


def hold(number: int) -> None:
    """Take a lock of one number, waiting for whoever has it, and hold it until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [number])


def try_hold(number: int) -> bool:
    """Take a lock of one number until the transaction ends, without waiting; False where somebody else has it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [number])
        (is_held,) = cursor.fetchone()
    return bool(is_held)


def _keeper() -> BaseDatabaseWrapper:
    """The connection whose session keeps locks."""
    return connections["direct" if settings.DB_POOLER else "default"]


def session() -> object:
    """The session that keeps this thread's locks, None where there is none; with it, they are gone."""
    return _keeper().connection


def try_keep(number: int, second: int | None = None) -> bool:
    """Take a lock of one number or of two for this session, without waiting; False where another session has it.

    Give it back with `let_go`; PostgreSQL frees it where the session ends.
    """
    with _keeper().cursor() as cursor:
        if second is None:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [number])
        else:
            cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [number, second])
        (is_held,) = cursor.fetchone()
    return bool(is_held)


def let_go(number: int, second: int | None = None) -> None:
    """Give back what `try_keep` took."""
    with _keeper().cursor() as cursor:
        if second is None:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [number])
        else:
            cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [number, second])


def try_keep_each(number: int, seconds: Collection[int]) -> set[int]:
    """Take locks of two numbers for this session, as `try_keep` does; the second numbers of those that it has now."""
    if not seconds:
        return set()
    with _keeper().cursor() as cursor:
        cursor.execute(
            "SELECT second, pg_try_advisory_lock(%s, second) FROM unnest(%s::int[]) AS n (second)",
            [number, [*seconds]],
        )
        return {second for second, is_held in cursor.fetchall() if is_held}


def let_go_each(number: int, seconds: Collection[int]) -> None:
    """Give back what `try_keep_each` took."""
    if seconds:
        with _keeper().cursor() as cursor:
            cursor.execute(
                "SELECT pg_advisory_unlock(%s, second) FROM unnest(%s::int[]) AS n (second)", [number, [*seconds]]
            )


def hold_shared(number: int) -> None:
    """Take a lock of one number together with others, and hold it until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [number])


def holders(number: int) -> frozenset[str]:
    """The transactions, other than this one's, that have a lock of one number just now; a name is never used again."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT virtualtransaction FROM pg_locks"
            " WHERE locktype = 'advisory' AND classid = %s AND objid = %s AND objsubid = 1 AND granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            " AND pid <> pg_backend_pid()",
            [number >> 32, number & 0xFFFFFFFF],
        )
        return frozenset(name for (name,) in cursor.fetchall())
