"""The one clock that all processes share, for what is stored and due: PostgreSQL's.

A host's own clock may be wrong, and a process may stand still between any two of its lines. So a reading counts from
before it was asked for, and what must not happen after a moment is refused by the server that would make it happen,
not by a look before (docs/decisions/0035-which-clock-decides.md).

In a sandbox the firm's time may have been moved ahead of it (docs/decisions/0076-the-sandbox-by-api.md). By
`firm_now` is decided what is due in the firm's business, and what it writes down is dated; by `now` all that somebody
outside compares with a clock of their own, and all that is about processes. Elsewhere both are one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.conf import settings
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
_ahead = timedelta(0)  # of the firm's time before PostgreSQL's clock, as this process heard last
_together: ContextVar[bool] = ContextVar("together", default=False)


def uptime() -> float:
    """Seconds on this machine's monotonic clock, time in which the machine was suspended included."""
    return time.clock_gettime(_BOOTTIME)


def now() -> datetime:
    """The time by the database's host, whatever transaction this is in. One query."""
    return _ask(connection)


# --- the firm's time --------------------------------------------------------------------------------


def firm_now() -> datetime:
    """The firm's time, whatever transaction this is in. One query."""
    return both()[1]


def both() -> tuple[datetime, datetime]:
    """PostgreSQL's clock, and the firm's time at that moment. One query."""
    if not settings.SANDBOX:
        at = now()
        return at, at
    asked = uptime()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp(), firm_ahead()")
        at, ahead = cursor.fetchone()
    keep(at, asked)
    keep_ahead(ahead)
    return at, at + ahead


def about_firm_now() -> datetime:
    """The same without asking: it is behind where the clock was moved since this process asked."""
    return about_now() + _ahead


def ahead_known() -> timedelta:
    """How far the firm's time is ahead of PostgreSQL's clock, as this process heard last."""
    return _ahead


def keep_ahead(ahead: timedelta) -> None:
    """Remember what PostgreSQL's `firm_ahead()` said."""
    global _ahead
    _ahead = ahead


def ahead_in_sql() -> str:
    """An expression of SQL for it, for a query that asks something else as well."""
    return "firm_ahead()" if settings.SANDBOX else "interval '0'"


def real_of(moment: datetime) -> datetime:
    """What PostgreSQL's clock said when the firm's time first was this moment or later. In a sandbox one query.

    Ids and the notes of transactions keep the real time, and what the firm does is dated by its own: who looks for the
    one by the other asks this first. What is dated at a moment or later was written at `real_of` it or later.
    """
    if not settings.SANDBOX:
        return moment
    with connection.cursor() as cursor:
        cursor.execute("SELECT real_of(%s)", [moment])
        (real,) = cursor.fetchone()
    at: datetime = real
    return at


def real_of_in_sql(moment: str) -> str:
    """An expression of SQL for it; `moment` is one as well."""
    return f"real_of({moment})" if settings.SANDBOX else moment


# --- PostgreSQL's clock -----------------------------------------------------------------------------


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
    return datetime.fromtimestamp(about_now_seconds(), UTC)


def ahead_seconds() -> float:
    """How far this host's own clock is ahead of PostgreSQL's; negative: behind. 0 while nobody has asked."""
    return 0.0 if _reading is None else time.time() - about_now_seconds()


def about_now_seconds() -> float:
    """The same as seconds since 1970."""
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

    Inside another transaction nothing is set, for when that one is committed is its own business; unless it said
    `committed_together`.
    """
    if not (is_outermost() or _together.get()):
        return
    with connection.cursor() as cursor:
        try:
            cursor.execute("SELECT must_commit_by(%s)", [moment])
        except OperationalError as failure:
            if is_too_late(failure):
                raise TooLate(str(failure)) from failure.__cause__
            raise


@contextmanager
def committed_together() -> Iterator[None]:
    """The outermost transaction says that it ends with the services inside it: a bound of theirs is its own."""
    before = _together.set(True)
    try:
        yield
    finally:
        _together.reset(before)


def is_outermost() -> bool:
    """Whether the transaction at hand is inside no other one: what it does is committed when it ends."""
    return not connection.savepoint_ids


def is_too_late(failure: Exception) -> bool:
    """Whether `must_commit_by` refused: nothing was done, and the same may be tried anew."""
    return getattr(failure.__cause__, "sqlstate", None) == _CANCELLED
