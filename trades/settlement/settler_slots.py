"""How many workers settle at once: each takes a settler slot, so the others are free for what clients wait for.

Correctness doesn't rest on the slots: `settle.py` is right with any number of settlers.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final

from django.db import DatabaseError, InterfaceError

from accounts.db import locks

REVERSING: Final = 1_000
"""The slot of whoever carries reversals of batches on: one worker does."""


@contextlib.contextmanager
def settler_slot(number: int) -> Iterator[bool]:
    """Take this slot for as long as the block runs; gives False where another worker has it.

    A worker that dies frees its slot: the lock belongs to the connection.
    """
    is_mine = locks.try_keep(locks.SETTLER_SLOT, number)
    try:
        yield is_mine
    finally:
        # A connection that was lost has lost the slot; the error that ended it is the one to raise.
        with contextlib.suppress(DatabaseError, InterfaceError):
            if is_mine:
                locks.let_go(locks.SETTLER_SLOT, number)
