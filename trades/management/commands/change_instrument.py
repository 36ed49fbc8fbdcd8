"""`manage.py change_instrument`: what a change would fire; one person proposes it, another one applies it."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError

from accounts import clock
from accounts.management import who
from accounts.management.guids import guid_of
from accounts.management.output import JSONCommand
from quotes import symbols
from quotes.models import InstrumentChange
from quotes.models.instrument import MOVING
from trades.instruments import change
from trades.instruments.selectors import changes, changes_shown
from trades.instruments.statement import ChangeStatement, told


class Command(JSONCommand):
    help = "State what a change of an instrument would fire; propose, apply, refuse and list changes."

    def add_arguments(self, parser: ArgumentParser) -> None:
        does = parser.add_subparsers(dest="does", required=True)
        shows = does.add_parser("preview", help="what it would fire; nothing is changed")
        self._says_what(shows)
        super().add_arguments(shows)
        proposes = does.add_parser("propose", help="as the maker; within the narrow band it is applied at once")
        self._says_what(proposes)
        proposes.add_argument("--reason", required=True)
        self._is_by(proposes)
        for name, whose in (("apply", "as the checker"), ("refuse", "as the checker, or as the maker who withdraws")):
            one = does.add_parser(name, help=whose)
            one.add_argument("guid")
            self._is_by(one)
        listing = does.add_parser("list", help="newest first")
        listing.add_argument("--state", choices=InstrumentChange.State.values, default="")
        super().add_arguments(listing)

    def handle(self, *args: Any, **options: Any) -> None:
        does = options["does"]
        if does == "preview":
            self._preview(options)
        elif does == "list":
            found = list(changes(state=options["state"]))
            facts = {"changes": [_told(one) for one in found]}
            self.say_found(options, facts, list(map(_written, found)), nothing="There is no such change.")
        else:
            by, at = _by(does, options), clock.firm_now()
            if does == "propose":
                symbol = symbols.instrument(options["symbol"]).symbol
                done = change.propose(symbol, _wanted(options["set"]), reason=options["reason"], by=by, at=at)
            else:
                decides = change.apply if does == "apply" else change.refuse
                done = decides(guid_of(options["guid"]), by=by, at=at)
            one = changes().get(pk=done.pk)
            self.say(options, _told(one), _written(one), *_stated(one))

    def _preview(self, options: dict[str, Any]) -> None:
        symbol, wanted = symbols.instrument(options["symbol"]).symbol, _wanted(options["set"])
        statement, is_narrow = change.would_fire(symbol, wanted)
        alone = "One person may make this change." if is_narrow else "This change takes two persons."
        facts = {"symbol": symbol, "wouldFire": statement.kept(), "fires": statement.fires, "alone": is_narrow}
        self.say(options, facts, *told(statement), alone)

    def _says_what(self, parser: ArgumentParser) -> None:
        parser.add_argument("symbol")
        parser.add_argument(
            "--set",
            action="append",
            required=True,
            metavar="TERM=VALUE",
            help=f"e.g. spread_bps=9; one of {', '.join(MOVING)}",
        )

    def _is_by(self, parser: ArgumentParser) -> None:
        who.add_by(parser)
        super().add_arguments(parser)


def _wanted(given: Sequence[str]) -> dict[str, object]:
    """TERM=VALUE, each term once."""
    wanted: dict[str, object] = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals or name in wanted:
            raise CommandError(f"--set takes TERM=VALUE, each term once: {one[:60]!r}")
        wanted[name] = value
    return wanted


def _told(one: InstrumentChange) -> dict[str, Any]:
    return {
        "guid": one.pk,
        "symbol": one.instrument_id,
        "state": one.state,
        "old": one.old,
        "new": one.new,
        "stated": one.stated,
        "stated_when_applied": one.stated_when_applied,
        "needs_checker": one.needs_checker,
        "reason": one.reason,
        "made_by": one.made_by.email,
        "made_at": one.made_at,
        "checked_by": one.checked_by.email if one.checked_by else None,
        "decided_at": one.decided_at,
    }


def _written(one: InstrumentChange) -> str:
    checked = f", decided by {one.checked_by.email}" if one.checked_by else ""
    return f"{one.pk.hex} {one.instrument_id} {changes_shown(one)}: {one.state}, made by {one.made_by.email}{checked}"


def _stated(one: InstrumentChange) -> list[str]:
    return told(ChangeStatement.read(one.stated_when_applied or one.stated))


def _by(does: str, options: dict[str, Any]) -> UUID:
    """Who does it, if their roles let them. Raises what `who.somebody` raises."""
    if does == "propose":
        return who.somebody(options, "change_instrument").pk
    maker = who.maker_of(InstrumentChange, guid_of(options["guid"])) if does == "refuse" else None
    return who.somebody(options, "apply_instrument_change", maker).pk
