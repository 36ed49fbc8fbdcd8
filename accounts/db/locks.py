"""Every advisory lock of PostgreSQL that the system takes: its number, and what it guards.

To PostgreSQL a lock of one number and a lock of two are different, whatever the numbers. The slices of a settlement
have two numbers, too, and none of them stands here: the first is a hash of the round (`trades/settlement/settle.py`).
Should it ever be that of another lock, the two wait for each other, and nothing else happens.
"""

from __future__ import annotations

from typing import Final

from django.db import connection

# Of one number.
RECONCILIATION: Final = 0x4EC0  # runs of the reconciliation take turns, so an asset's break is opened once
SEALING: Final = 0x5EA1  # sealers take turns, so the chain of blocks never forks
SEED: Final = 0x5EED  # who seeds takes turns, so each user of the demo is made once
MEMBERSHIP: Final = 0x5E771E  # whoever changes which trades are in which batch
LEASE_TAKING: Final = 0x6C65617365  # engines take leases in turn: two takers would not see each other

# The first of two numbers.
SETTLER_SLOT: Final = 0x5EA7  # and the slot's number: one settler has it
TICK: Final = 0x7469636B  # and the partition: a tick holds it until its outcome can be seen


def hold(number: int) -> None:
    """Take a lock of one number, waiting for whoever has it, and hold it until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [number])
