"""`manage.py archive_wal`: keep PostgreSQL's WAL elsewhere, a moment after it is written; until it is stopped."""

from __future__ import annotations

import signal
import threading
from argparse import ArgumentParser
from typing import Any

from django.conf import settings

from accounts.management.output import Job
from brokerage.backup import archiver, making


class Command(Job):
    help = "Archive PostgreSQL's WAL with pg_receivewal, so that a base backup can be brought to any moment later."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--to", default="", metavar="DIR", help="where to (wal in BACKUP_DIR)")

    def handle(self, *args: Any, **options: Any) -> None:
        into = making.place_of(options["to"], "wal")
        stopped = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stopped.set())
        archiver.archive(into, stopped.is_set, synchronous=settings.BACKUP_SYNCHRONOUS, say=self._say)

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
