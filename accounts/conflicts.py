"""A transaction that PostgreSQL itself gave up for another one's sake is tried again, so that nobody hears of it.

A deadlock (40P01) or a serialization failure (40001) says for certain that nothing of the transaction happened, and
that the same again will most likely go through. Of nothing else both is true: after a lost connection nobody knows
whether COMMIT arrived, and who waited in vain for a lock (55P03) would only wait longer.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from functools import wraps
from typing import Final, ParamSpec, TypeVar

from django.db import OperationalError, connection, transaction

log = logging.getLogger(__name__)

SQLSTATES: Final = frozenset({"40001", "40P01"})  # serialization failure, deadlock
TRIES: Final = 10  # with one statement in twenty failing, not one transaction in a million fails ten times
LONGEST_PAUSE: Final = 0.02  # seconds, times the tries so far; random, so that two who met don't meet again

P = ParamSpec("P")
T = TypeVar("T")


def is_conflict(failure: OperationalError) -> bool:
    """Whether PostgreSQL gave the transaction up for another's sake: the same may be tried again."""
    return getattr(failure.__cause__, "sqlstate", None) in SQLSTATES


def atomic(service: Callable[P, T]) -> Callable[P, T]:
    """`@transaction.atomic` that begins anew after a conflict: ten tries in all, then the failure is the caller's.

    Inside another transaction it is Django's own, a savepoint: that gives back neither the locks taken before it nor
    the snapshot, so only the outermost can begin anew. Its `on_commit` hooks are those of the try that was committed.

    Whatever the service does must be undone with its transaction. So it makes and loads the rows that it changes
    itself, changes no argument in a way that another try would see, and writes to nobody but PostgreSQL.
    """
    whole = transaction.atomic(service)

    @wraps(service)
    def tried(*args: P.args, **kwargs: P.kwargs) -> T:
        for number in range(1, 1 if connection.in_atomic_block else TRIES):
            try:
                return whole(*args, **kwargs)
            except OperationalError as failure:
                if not is_conflict(failure):
                    raise
                log.info("%s met a conflict and begins anew (try %s): %s", service.__qualname__, number, failure)
            time.sleep(random.uniform(0, LONGEST_PAUSE) * number)  # noqa: S311 - no secret
        return whole(*args, **kwargs)

    return tried
