"""Who runs a command: one rule for every command that changes something."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.core.management.base import CommandError
from django.db.models import Model

from accounts import deeds
from accounts.errors import NoSuchRight
from accounts.identity import SYSTEM, Actor
from accounts.models import User
from accounts.selectors import staff_named

COMMAND_LINE: Final = "command line"  # who it was, where a sandbox's command names nobody

_SAY: Final = "Say who does it: --by EMAIL, or BROKERAGE_BY in the environment."


def add_by(parser: ArgumentParser, who: str = "the member of staff who does it") -> None:
    parser.add_argument("--by", metavar="EMAIL", help=f"{who}; else the environment's BROKERAGE_BY")


def named(options: dict[str, Any], deed: str, made_by: UUID | None = None) -> User | None:
    """The member of staff who does it; None where a sandbox's command line names nobody.

    An empty `--by` names somebody who doesn't exist: a shell's variable that wasn't set. Raises UserNotFound,
    NoSuchRight for somebody without the deed (accounts/deeds.py), and CommandError where nobody is named and this is
    no sandbox. `made_by` is whoever proposed what is taken back: they may, whatever their roles.
    """
    email: str | None = options["by"]
    if email is None:
        email = settings.BROKERAGE_BY or None
    if email is not None:
        user = staff_named(email)
        if user.pk != made_by:
            must(user, deed)
        return user
    if settings.SANDBOX:
        return None
    raise CommandError(_SAY)


def somebody(options: dict[str, Any], deed: str, made_by: UUID | None = None) -> User:
    """The member of staff who does it, in a sandbox, too. Raises what `named` does, and CommandError for nobody."""
    user = named(options, deed, made_by)
    if user is None:
        raise CommandError(_SAY)
    return user


def actor(options: dict[str, Any], deed: str, made_by: UUID | None = None) -> Actor:
    """The same as an actor: the system's own where nobody is named. Raises what `named` raises."""
    user = named(options, deed, made_by)
    return SYSTEM if user is None else Actor(user_id=user.pk)


def must(user: User, deed: str) -> None:
    """Raises NoSuchRight for somebody without a deed."""
    if not deeds.does(user, deed):
        roles = ", ".join([*deeds.BY_NAME[deed].roles, deeds.ADMINISTRATOR])
        raise NoSuchRight(f"The roles of {user.email} don't let them do this. Who has it: {roles}.")


def maker_of(proposals: type[Model], proposal_id: UUID) -> UUID | None:
    """Who proposed something; None for what isn't there."""
    return proposals._default_manager.filter(pk=proposal_id).values_list("made_by_id", flat=True).first()
