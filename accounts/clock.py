"""The one clock that all processes share, for what is stored and due: PostgreSQL's.

A host's own clock may be wrong, and a process may stand still between any two of its lines. So a reading counts from
before it was asked for, and what must not happen after a moment is refused by the server that would make it happen,
not by a look before (docs/decisions/0035-which-clock-decides.md).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from django.db import OperationalError, connection
from django.db.backends.base.base import BaseDatabaseWrapper

READ_AGAIN_SECONDS: Final = 10.0  # an estimate older than this is replaced at the next connection
LONGEST_READING_SECONDS: Final = 1.0  # an answer that took longer says too little about when it was given

_CANCELLED: Final = "57014"
_BOOTTIME: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class TooLate(OperationalError):
    """The moment by which a transaction had to be committed has passed: it is undone, and may be tried anew."""


@dataclass(frozen=True, slots=True)
class _Reading:
    at: float  # PostgreSQL's clock, epoch seconds
    asked: float  # `uptime` before it was asked for


_reading: _Reading | None = None


def uptime() -> float:
    """Seconds on this machine's monotonic clock, time in which the machine was suspended included."""
    return time.clock_gettime(_BOOTTIME)


def now() -> datetime:
    """The time by the database's host, whatever transaction this is in. One query."""
    return _ask(connection)


def _ask(database: BaseDatabaseWrapper) -> datetime:
    asked = uptime()
    with database.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (at,) = cursor.fetchone()
    keep(at, asked)
    moment: datetime = at
    return moment


def keep(at: datetime, asked: float) -> None:
    """Remember what PostgreSQL's clock said to a question that was `asked` then (by `uptime`)."""
    global _reading
    if 0 <= uptime() - asked < LONGEST_READING_SECONDS:
        _reading = _Reading(at.timestamp(), asked)


def about_now() -> datetime:
    """PostgreSQL's clock without asking it: what it said last and the time since. The host's own until then."""
    return datetime.fromtimestamp(_about_now(), UTC)


def ahead_seconds() -> float:
    """How far this host's own clock is ahead of PostgreSQL's; negative: behind. 0 while nobody has asked."""
    return 0.0 if _reading is None else time.time() - _about_now()


def _about_now() -> float:
    reading = _reading
    return time.time() if reading is None else reading.at + (uptime() - reading.asked)


def read_at_connection(connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Read the clock where that was long ago; called with each connection that Django takes up."""
    if _reading is None or not 0 <= uptime() - _reading.asked < READ_AGAIN_SECONDS:
        _ask(connection)


def must_commit_by(moment: datetime) -> None:
    """Have PostgreSQL refuse the transaction at hand if it isn't committed by a moment of its clock.

    Call it last, after everything was written. Raises TooLate where the moment has passed. From then on the server ends
    the session when the moment comes, even if this process stands still: COMMIT meets a failure that `conflicts` calls
    ended, or is_too_late, and nothing was done. (On PostgreSQL 15 and 16 a server process that stands still is caught
    only by tables with the trigger `late_commit`.)

    Inside another transaction nothing is set: when that one is committed is its own business.
    """
    if not is_outermost():
        return
    with connection.cursor() as cursor:
        try:
            cursor.execute("SELECT must_commit_by(%s)", [moment])
        except OperationalError as failure:
            if is_too_late(failure):
                raise TooLate(str(failure)) from failure.__cause__
            raise


def is_outermost() -> bool:
    """Whether the transaction at hand is inside no other one: what it does is committed when it ends."""
    return not connection.savepoint_ids


def is_too_late(failure: Exception) -> bool:
    """Whether `must_commit_by` refused: nothing was done, and the same may be tried anew."""
    return getattr(failure.__cause__, "sqlstate", None) == _CANCELLED
