"""`manage.py breaks`: what doesn't fit, since when, and who looks after it."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError

from accounts import clock, selectors
from accounts.errors import BreakNotFound
from accounts.identity import Actor
from accounts.ids import pasted_guid
from accounts.management import who
from accounts.management.output import JSONCommand, amount
from accounts.models import Break
from accounts.money import from_base_units
from accounts.services import breaks


class Command(JSONCommand):
    help = "List the open breaks with their age and owner; take one over, or explain a reconciliation's."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--all", action="store_true", help="the resolved ones, too")
        who.add_by(parser)
        parser.add_argument("--own", metavar="ID", help="look after this break from now on")
        parser.add_argument("--explain", metavar="ID", help="resolve this reconciliation's break with a --reason")
        parser.add_argument("--reason", help="what it was")

    def handle(self, *args: Any, **options: Any) -> None:
        own, explain, reason = options["own"], options["explain"], options["reason"]
        if own and explain:
            raise CommandError("Either --own or --explain, one at a time.")
        if bool(explain) != bool(reason):
            raise CommandError("--explain ID and --reason go together.")
        at = clock.firm_now()
        if own:
            breaks.own(_named(own), who.somebody(options, "look_after_break").pk, at=at)
        if explain:
            by = Actor(user_id=who.somebody(options, "look_after_break").pk)
            breaks.explain(_named(explain), reason=reason, by=by, at=at)
        found = list(selectors.breaks(at, only_open=not options["all"]))
        facts = {"breaks": [_told(one) for one in found]}
        self.say_found(options, facts, [_written(one) for one in found], nothing="No break is open.")


def _named(text: str) -> UUID:
    guid = pasted_guid(text)
    if guid is None:
        raise BreakNotFound(f"There is no break {text[:40]!r}.")
    return guid


def _told(one: Break) -> dict[str, Any]:
    return {
        "guid": one.pk,
        "kind": one.kind,
        "asset": one.asset_id,
        "amount": amount(one.amount, one.asset_id, one.asset.decimals),
        "state": one.state,
        "opened_at": one.opened_at,
        "age_seconds": int(_age(one).total_seconds()),
        "owner": one.owner.email if one.owner else None,
        "note": one.note,
        "resolution": one.resolution,
    }


def _age(one: Break) -> timedelta:
    age: timedelta = one.age  # type: ignore[attr-defined]  # annotated by the selector
    return age


def _written(one: Break) -> str:
    units = from_base_units(one.amount, one.asset.decimals)
    age = timedelta(seconds=int(_age(one).total_seconds()))
    owner = one.owner.email if one.owner else "nobody"
    end = f", resolved: {one.resolution}" if one.resolution else ""
    return f"{one.pk.hex} {one.kind} {units:+f} {one.asset_id}, {age} old, owner {owner}{end}"
