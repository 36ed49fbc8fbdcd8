"""How a command ends: one table of exit codes for all of them, and what an exception comes to in it.

docs/operations.md has the same table, with what to do at each code. A scheduler acts on the code alone, so each says
one thing. 75 is sysexits.h's EX_TEMPFAIL, which mailers and schedulers know; 70 its EX_SOFTWARE, 78 its EX_CONFIG.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import ClassVar, Final

import psycopg
import redis
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError
from django.db import DatabaseError, InterfaceError, InternalError, OperationalError
from kombu.exceptions import OperationalError as BrokerAway

from accounts.errors import Refusal, SecondPersonNeeded, StillRunning, TooMany, Unavailable
from accounts.management import connecting


class Exit(IntEnum):
    DONE = 0
    FINDING = 1
    USAGE = 2
    REFUSED = 3
    WAITS = 4
    BUG = 70
    TRY_AGAIN = 75
    SETTINGS = 78
    INTERRUPTED = 130  # 128 and SIGINT's number, as a shell says it


class Ending(CommandError):
    """A command's end with another code than 0, and the one line about it on stderr."""

    exit: ClassVar[Exit]
    word: ClassVar[str]

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, returncode=int(self.exit))


class Found(Ending):
    """Something isn't as it should be: the books, a statement, what waits too long. What was asked for was done."""

    exit, word = Exit.FINDING, "Finding"


class Refused(Ending):
    """The rules forbid it; nothing was changed, and the same call will be refused again."""

    exit, word = Exit.REFUSED, "Refused"


class WaitsForPerson(Ending):
    """It can't go on until a person does something: confirms, applies, reports a leg."""

    exit, word = Exit.WAITS, "Waits for a person"


class TryAgain(Ending):
    """A server is away, or somebody else has the lock: the same call may be made again, as it is."""

    exit, word = Exit.TRY_AGAIN, "Try again"


class WrongSettings(Ending):
    """What was set doesn't hold, e.g. a password: nothing was done, and nothing will be before somebody mends it."""

    exit, word = Exit.SETTINGS, "Settings"


# A schema, table, column or function that isn't there, or that nobody was granted: the server is behind, or we err.
UNKNOWN_TO_THE_SERVER: Final = frozenset({"3F000", "42P01", "42703", "42883", "42501"})

# What PostgreSQL gives up, and gives up for now only.
_WHY: Final = {
    "40001": "others changed the same rows at this moment",
    "40P01": "others changed the same rows at this moment",
    "55P03": "somebody else has the lock",
    "57014": "PostgreSQL took longer than it may",
    "25P03": "PostgreSQL ended the session, for it stood still too long",
    "25P04": "PostgreSQL ended the session, for it took too long",
    "25006": "PostgreSQL takes no writes now",
}


@contextmanager
def endings() -> Iterator[None]:
    """Every refusal, and every absence of a server, as the ending that it is. What is left is a bug."""
    try:
        yield
    except CommandError:
        raise
    except Exception as failure:
        ending = ending_of(failure)
        if ending is None:
            raise
        raise ending from failure


def ending_of(failure: BaseException) -> Ending | None:
    """What an exception comes to; None for a bug."""
    if isinstance(failure, Refusal):
        return _of_refusal(failure)
    if isinstance(failure, ImproperlyConfigured):
        return WrongSettings(str(failure))
    if isinstance(failure, redis.RedisError) and not isinstance(failure, redis.DataError):
        return TryAgain(f"Redis can't be reached, or refuses: {_first_line(failure)}")
    if isinstance(failure, BrokerAway):
        return TryAgain(f"The broker can't be reached: {_first_line(failure)}")
    if isinstance(failure, psycopg.errors.InsufficientPrivilege):
        return WrongSettings(f"PostgreSQL refuses: {_first_line(failure)}")
    if isinstance(failure, psycopg.OperationalError | psycopg.InterfaceError):
        return _of_connection(connecting.why_refused(failure))
    return _of_database(failure) if isinstance(failure, DatabaseError | InterfaceError) else None


def _of_refusal(refusal: Refusal) -> Ending:
    if isinstance(refusal, SecondPersonNeeded):
        return WaitsForPerson(refusal.text)
    if isinstance(refusal, Unavailable | StillRunning | TooMany):
        return TryAgain(refusal.text)
    return Refused(refusal.text)


def _of_database(failure: Exception) -> Ending | None:
    """By its SQLSTATE where the server has said one; else the connection was never there, or is gone."""
    state = getattr(failure.__cause__, "sqlstate", None)
    if why := _WHY.get(state or ""):
        return TryAgain(f"{why[0].upper()}{why[1:]}: {_first_line(failure)}")
    if state in UNKNOWN_TO_THE_SERVER and connecting.misses_migrations():
        return TryAgain("Migrations are missing in the database: run manage.py migrate, then this again.")
    if isinstance(failure, OperationalError | InterfaceError) and not isinstance(failure, InternalError):
        return _of_connection(connecting.why_refused(failure))
    return None


def _of_connection(said: str) -> Ending:
    return (WrongSettings if connecting.refusal_in(said) else TryAgain)(connecting.in_words(said))


def _first_line(failure: BaseException) -> str:
    lines = str(failure).splitlines()
    return lines[0] if lines else type(failure).__name__
