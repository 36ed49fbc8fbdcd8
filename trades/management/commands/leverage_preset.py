"""`manage.py leverage_preset esma`: retail leverage caps by class of instrument, shown and then proposed."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from accounts import clock
from accounts.management import who
from accounts.management.output import JSONCommand
from trades.instruments import preset


class Command(JSONCommand):
    help = (
        "Show what a preset of retail leverage caps would change; with --propose, propose it instrument by instrument."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("name", choices=preset.NAMES)
        parser.add_argument(
            "--class",
            action="append",
            default=[],
            dest="classes",
            metavar="SYMBOL=CLASS",
            help="what an instrument is, where the preset can't know it",
        )
        parser.add_argument("--propose", action="store_true", help="as the maker; another one applies each change")
        parser.add_argument("--reason", help="why, with --propose")
        who.add_by(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        found = preset.caps(options["name"], _classes(options["classes"]))
        facts: dict[str, Any] = {
            "caps": [
                {"symbol": one.symbol, "class": one.class_name, "cap": one.cap, "now": one.now, "changes": one.changes}
                for one in found
            ]
        }
        lines = [_line(one) for one in found]
        if bool(options["reason"]) != options["propose"]:
            raise CommandError("--propose and --reason go together.")
        if options["propose"]:
            by, at = who.somebody(options, "change_instrument").pk, clock.firm_now()
            made, waiting = preset.propose(found, reason=options["reason"], by=by, at=at)
            facts |= {"proposed": [one.pk for one in made], "waiting": waiting}
            lines += [f"{one.pk.hex} {one.instrument_id}: {one.state}; another person applies it" for one in made]
            lines += [f"{symbol}: another change waits to be decided; decide it and propose anew" for symbol in waiting]
        else:
            lines.append("Nothing was changed. With --propose --reason WHY each line that changes is proposed.")
        self.say(options, facts, *lines)


def _classes(given: list[str]) -> dict[str, str]:
    said: dict[str, str] = {}
    for one in given:
        symbol, equals, class_name = one.partition("=")
        if not equals or symbol in said:
            raise CommandError(f"--class takes SYMBOL=CLASS, each symbol once: {one[:60]!r}")
        said[symbol] = class_name
    return said


def _line(one: preset.Capped) -> str:
    was = "none" if one.now is None else str(one.now)
    what = f"{was} to {one.cap}" if one.changes else f"{one.cap}, as it is"
    return f"{one.symbol:<12} {one.class_name:<18} {what}"
