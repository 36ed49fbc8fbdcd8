"""`manage.py restore`: a backup into an empty place, verified before anybody works on it."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from datetime import datetime
from pathlib import Path
from typing import Any

from accounts.management.exits import Found
from accounts.management.output import JSONCommand
from brokerage.backup import programs, restoring

REDIS = (
    "Redis needs nothing: start it empty. What was still on its way there was told nobody as done; who waited for it"
    " asks again (docs/restoring.md)."
)


class Command(JSONCommand):
    help = "Restore a backup into an empty data directory or database, and verify its history."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("directory", metavar="DIR", help="of the backup, with its manifest.json")
        parser.add_argument("--to", type=_moment, metavar="MOMENT", help="as 2026-12-01T03:00Z; of a base backup")
        parser.add_argument("--head", default="", metavar="HASH", help="a chain's head kept elsewhere (the manifest's)")
        parser.add_argument("--wal", default="", metavar="DIR", help="the archived WAL (wal beside the backup)")

    def handle(self, *args: Any, **options: Any) -> None:
        folder, archive = Path(options["directory"]), options["wal"]
        with programs.sigterm_interrupts():
            done = restoring.restore(
                folder.expanduser().absolute(),
                to=options["to"],
                head=options["head"].strip().lower(),
                archive=Path(archive).expanduser().absolute() if archive else None,
                say=(lambda line: None) if options["json"] else self.stdout.write,
            )
        findings = done.audit["findings"]
        self.say(
            options,
            {"place": done.place, "until": done.until, "notes": done.notes, "findings": findings},
            f"Restored into {done.place}"
            + (f"; the last transaction in it is of {done.until.isoformat()}." if done.until else "."),
            *done.notes,
            *(f"BREAK {finding['check']}: {finding['sentence']}" for finding in findings),
            "The chain is what was sealed."
            if not findings
            else f"The chain is what was sealed; {len(findings)} breaks.",
            REDIS,
            "Take a base backup at once: archived WAL begins anew.",
        )
        if findings:
            raise Found(f"{len(findings)} breaks in what was restored.")


def _moment(text: str) -> datetime:
    """A moment with its zone, as argparse's `type`."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text[:40]!r} is no moment; write it like 2026-12-01T03:00Z") from None
    if moment.tzinfo is None:
        raise ArgumentTypeError(f"{text[:40]!r} says no zone; write it like 2026-12-01T03:00Z")
    return moment
