"""`manage.py export_ledger`: the whole ledger as text, for bookkeeping programs that nobody here wrote."""

from __future__ import annotations

import errno
import os
import sys
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TextIO

from django.core.management.base import CommandError

from accounts.export import FORMS, in_one_snapshot, lines
from accounts.management.exits import TryAgain
from accounts.management.output import Job
from quotes.daily import closes

FULL: Final = (errno.ENOSPC, errno.EDQUOT)


class Command(Job):
    help = "Write accounts, prices, transfers and balances for beancount, hledger, or as a table."
    is_deed = True
    prints_its_work = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--format", choices=list(FORMS), default="beancount")
        parser.add_argument(
            "--output", metavar="FILE", help="write there, whole or not at all, instead of to the terminal"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        with in_one_snapshot():
            texts = lines(FORMS[options["format"]], closes())
            if options["output"] is None:
                self._print(texts)
            else:
                _write(options["output"], texts)

    def _print(self, texts: Iterable[str]) -> None:
        """To the end, or until whoever read it has seen enough. Where the disk is full the base tells, with 75."""
        if sys.__stdout__ is None:
            raise CommandError("stdout is closed: name a file, --output FILE.")
        for text in texts:
            self.stdout.write(text, ending="")
            if getattr(self.stdout, "is_broken", False):
                return


def _write(name: str, texts: Iterable[str]) -> None:
    """Into a file. Raises TryAgain where there is no room now, CommandError where it can't be made."""
    if not Path(name).name:
        raise CommandError(f"{name!r} names no file.")
    try:
        with _whole(Path(name)) as out:
            out.writelines(texts)
    except OSError as failure:
        ending = TryAgain if failure.errno in FULL else CommandError
        raise ending(f"{name} can't be written: {failure.strerror}.") from None


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
