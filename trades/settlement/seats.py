"""How many workers settle at once: each takes a seat, so the others are free for what clients wait for.

A seat is only good manners: `settle.py` is right with any number of settlers.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from django.db import DatabaseError, InterfaceError, connection

from accounts.db.locks import SETTLERS_SEAT


@contextlib.contextmanager
def seat(number: int) -> Iterator[bool]:
    """Sit down on this seat for as long as the block takes; False when somebody sits there.

    Whoever dies leaves it: the lock belongs to the connection.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [SETTLERS_SEAT, number])
        is_mine = bool(cursor.fetchone()[0])
    try:
        yield is_mine
    finally:
        # A connection that was lost has lost the seat, and what took it away is what is to be told.
        with contextlib.suppress(DatabaseError, InterfaceError):
            if is_mine:
                with connection.cursor() as cursor:
                    cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [SETTLERS_SEAT, number])
