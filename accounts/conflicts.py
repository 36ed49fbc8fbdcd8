"""A transaction that PostgreSQL itself gave up is tried again, so that nobody hears of it.

A deadlock (40P01) or a serialization failure (40001) says for certain that nothing of the transaction happened, and
that the same again will most likely go through. So does `clock.must_commit_by`: this process stood still, and what it
had read of clocks and prices is too old. Of nothing else both is true: after a lost connection nobody knows
whether COMMIT arrived, and who waited in vain for a lock (55P03) would only wait longer.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial, wraps
from typing import Any, Final, ParamSpec, TypeVar

from django.db import DatabaseError, InternalError, OperationalError, connection, transaction

from accounts import clock, request_id

log = logging.getLogger(__name__)

# Serialization failure, deadlock; a prepared statement that another session has (`db/pipeline.py`).
SQLSTATES: Final = frozenset({"40001", "40P01", "26000"})
ENDED: Final = frozenset({"25P03", "25P04"})  # the session was ended for a transaction that took too long
TRIES: Final = 10  # with one statement in twenty failing, not one transaction in a million fails ten times
LONGEST_PAUSE: Final = 0.02  # seconds, times the tries so far; random, so that two who met don't meet again

# Of a Celery task whose every step may be made twice: what undid its transaction lets it begin anew, lock timeouts too.
AGAIN: Final[dict[str, Any]] = {
    "autoretry_for": (OperationalError,),
    "retry_backoff": True,
    "retry_backoff_max": 5,
    "max_retries": 5,
    "ignore_result": True,
}

P = ParamSpec("P")
T = TypeVar("T")


def is_conflict(failure: OperationalError) -> bool:
    """Whether PostgreSQL gave the transaction up for another's sake: the same may be tried again."""
    return getattr(failure.__cause__, "sqlstate", None) in SQLSTATES


def was_ended(failure: DatabaseError) -> bool:
    """Whether the server ended the session because its transaction took too long: nothing of it was done."""
    return getattr(failure.__cause__, "sqlstate", None) in ENDED


def atomic(service: Callable[P, T]) -> Callable[P, T]:
    """`@transaction.atomic` that begins anew after a conflict: ten tries in all, then the failure is the caller's.

    Inside another transaction it is Django's own, a savepoint: that gives back neither the locks taken before it nor
    the snapshot, so only the outermost can begin anew. Its `on_commit` hooks are those of the try that was committed.

    Whatever the service does must be undone with its transaction. So it makes and loads the rows that it changes
    itself, changes no argument in a way that another try would see, and writes to nobody but PostgreSQL. An argument
    `at` is what was the time at the first try: each further one gets it as much later as it is.
    """
    whole = transaction.atomic(_named(service))

    @wraps(service)
    def tried(*args: P.args, **kwargs: P.kwargs) -> T:
        began, later = clock.uptime(), whole
        for number in range(1, 1 if connection.in_atomic_block else TRIES):
            try:
                return later(*args, **kwargs)
            except (OperationalError, InternalError) as failure:
                if not _may_be_tried_again(failure):
                    raise
                log.info("%s begins anew (try %s): %s", service.__qualname__, number, failure)
            time.sleep(random.uniform(0, LONGEST_PAUSE) * number)  # noqa: S311 - no secret
            later = partial(_later, whole, clock.uptime() - began)
        return later(*args, **kwargs)

    return tried


def _named(service: Callable[P, T]) -> Callable[P, T]:
    """In the name of the HTTP request, where there is one: what triggers write down about it says so."""

    @wraps(service)
    def begun(*args: P.args, **kwargs: P.kwargs) -> T:
        if (name := request_id.current()) and clock.is_outermost():
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config('brokerage.request_id', %s, true)", [name])
        return service(*args, **kwargs)

    return begun


def _may_be_tried_again(failure: DatabaseError) -> bool:
    if was_ended(failure):
        connection.close()
        return True
    return isinstance(failure, clock.TooLate) or (isinstance(failure, OperationalError) and is_conflict(failure))


def _later(whole: Callable[..., T], seconds: float, *args: Any, **kwargs: Any) -> T:
    """Call with an `at` that has moved on."""
    if isinstance(at := kwargs.get("at"), datetime):
        kwargs["at"] = at + timedelta(seconds=seconds)
    return whole(*args, **kwargs)
