"""A command that somebody runs is in the journal: before it does anything, and with what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from django.conf import settings
from django.core.management.base import CommandError

from accounts.errors import Refusal, UserNotFound
from accounts.identity import SYSTEM, Actor
from accounts.ids import pasted_guid
from accounts.management.exits import Ending, Exit, ending_of
from accounts.selectors import staff_named
from accounts.services import journal
from accounts.services.journal import Deed, Outcome, Via

# Of Django's own, and what has a column of its own.
_NOT_ASKED: Final = frozenset(
    {
        *("by", "reason", "json", "settings", "pythonpath", "traceback", "no_color", "force_color", "skip_checks"),
        *("verbosity", "stdout", "stderr"),
    }
)


@contextmanager
def deed(command: str, options: Mapping[str, Any]) -> Iterator[Deed]:
    """Whatever the command ends with is written down; what it raises goes on to its caller. It may add what it made."""
    given = {name: value for name, value in options.items() if name not in _NOT_ASKED}
    words = [command, *(str(given.pop(name)) for name in ("does", "kind", "what") if isinstance(given.get(name), str))]
    begun = journal.begin(
        " ".join(words),
        by=_who(options),
        via=Via.COMMAND,
        objects=_objects(given),
        asked=journal.asked_of(given),
        reason=str(options.get("reason") or ""),
    )
    try:
        yield begun
    except BaseException as failure:
        journal.end(begun, *_came_of(failure))
        raise
    journal.end(begun, Outcome.DONE)


def _who(options: Mapping[str, Any]) -> Actor:
    """Whom `--by`, or else the environment, names; the system where that is nobody: the command says so itself."""
    by = options.get("by")
    email = (settings.BROKERAGE_BY or None) if by is None else by
    try:
        return Actor(user_id=staff_named(email).pk) if email and "\0" not in email else SYSTEM
    except UserNotFound:
        return SYSTEM


def _objects(given: Mapping[str, Any]) -> list[str]:
    words = [one for value in given.values() for one in (value if isinstance(value, list | tuple) else [value])]
    guids = [guid.hex for one in words if isinstance(one, str) and (guid := pasted_guid(one))]
    symbol = given.get("symbol")
    return [*guids, *([f"quotes.instrument:{symbol.upper()}"] if isinstance(symbol, str) else [])]


def _came_of(failure: BaseException) -> tuple[Outcome, str]:
    if isinstance(failure, Refusal):
        return Outcome.REFUSED, failure.text
    ending = failure if isinstance(failure, CommandError) else ending_of(failure)
    if ending is None:
        return Outcome.FAILED, type(failure).__name__
    if isinstance(ending, Ending) and ending.exit in (Exit.FINDING, Exit.WAITS):
        return Outcome.DONE, str(ending)
    if isinstance(ending, Ending) and ending.exit == Exit.TRY_AGAIN:
        return Outcome.FAILED, str(ending)
    return Outcome.REFUSED, str(ending)
