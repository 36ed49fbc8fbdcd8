"""`manage.py backup`: a copy of PostgreSQL with a manifest, whole under its name or not there."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from accounts import clock
from accounts.management.output import JSONCommand
from accounts.models import Backup
from brokerage.backup import making, programs
from brokerage.backup.manifest import KINDS


class Command(JSONCommand):
    help = "Copy PostgreSQL: base (the whole server, for any moment later) or dump (this database)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("kind", choices=KINDS, help="base: of the whole server; dump: of the database")
        parser.add_argument("--to", default="", metavar="DIR", help="a directory that isn't there yet (BACKUP_DIR)")

    def handle(self, *args: Any, **options: Any) -> None:
        at = clock.now()
        target = making.target_of(options["kind"], options["to"], at)
        with programs.sigterm_interrupts():
            facts = making.make(options["kind"], target, at)
        head = facts["head"]
        Backup.objects.create(
            kind=facts["kind"],
            began_at=at,
            at=facts["ended_at"],
            bytes=facts["bytes"],
            place=str(target)[:500],
            migration=facts["migration"],
            head_number=head["number"] if head else None,
            head_hash=head["hash"] if head else "",
        )
        self.say(
            options,
            {"directory": str(target), **facts},
            f"Backup: {target}, {facts['bytes']:,} bytes.",
            f"Head: block {head['number']} {head['hash']}" if head else "Nothing is sealed yet.",
            "Keep a copy on another machine, and the head elsewhere than the copy.",
        )
