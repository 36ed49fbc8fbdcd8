"""`manage.py export_ledger`: the whole ledger as text, for bookkeeping programs that nobody here wrote."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from django.core.management.base import BaseCommand, CommandError

from accounts.export import FORMS, in_one_snapshot, lines
from quotes.daily import closes


class Command(BaseCommand):
    help = "Write accounts, prices, transfers and balances for beancount, hledger, or as a table."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--format", choices=list(FORMS), default="beancount")
        parser.add_argument(
            "--output", metavar="FILE", help="write there, whole or not at all, instead of to the terminal"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        with self._opened(options["output"]) as out, in_one_snapshot():
            for text in lines(FORMS[options["format"]], closes()):
                out.write(text)

    @contextmanager
    def _opened(self, name: str | None) -> Iterator[TextIO]:
        if name is None:
            try:
                yield sys.stdout
                sys.stdout.flush()
            except BrokenPipeError:  # whoever read it has seen enough
                sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - flushed once more at the end
            return
        if not Path(name).name:
            raise CommandError(f"{name!r} names no file.")
        try:
            with _whole(Path(name)) as out:
                yield out
        except OSError as failure:
            raise CommandError(f"{name} can't be written: {failure.strerror}.") from None


@contextmanager
def _whole(path: Path) -> Iterator[TextIO]:
    """A file that is there once all of it is written. Its owner alone reads it: it names everybody's money."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
            yield out
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
