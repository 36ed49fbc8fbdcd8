"""Who runs a command: one rule for every command that changes something."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any, Final

from django.conf import settings
from django.core.management.base import CommandError

from accounts.identity import SYSTEM, Actor
from accounts.models import User
from accounts.selectors import staff_named

COMMAND_LINE: Final = "command line"  # who it was, where a sandbox's command names nobody

_SAY: Final = "Say who does it: --by EMAIL, or BROKERAGE_BY in the environment."


def add_by(parser: ArgumentParser, who: str = "the member of staff who does it") -> None:
    parser.add_argument("--by", metavar="EMAIL", help=f"{who}; else the environment's BROKERAGE_BY")


def named(options: dict[str, Any]) -> User | None:
    """The member of staff who does it; None where a sandbox's command line names nobody.

    An empty `--by` names somebody who doesn't exist: a shell's variable that wasn't set. Raises UserNotFound, and
    CommandError where nobody is named and this is no sandbox.
    """
    email: str | None = options["by"]
    if email is None:
        email = settings.BROKERAGE_BY or None
    if email is not None:
        return staff_named(email)
    if settings.SANDBOX:
        return None
    raise CommandError(_SAY)


def somebody(options: dict[str, Any]) -> User:
    """The member of staff who does it, in a sandbox, too. Raises UserNotFound, and CommandError for nobody."""
    user = named(options)
    if user is None:
        raise CommandError(_SAY)
    return user


def actor(options: dict[str, Any]) -> Actor:
    """The same as an actor: the system's own where nobody is named. Raises what `named` raises."""
    user = named(options)
    return SYSTEM if user is None else Actor(user_id=user.pk)
