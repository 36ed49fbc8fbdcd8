"""The base of every command: what it says, as lines for a person or one JSON object, and the code it ends with."""

from __future__ import annotations

import re
import sys
import traceback
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, suppress
from decimal import Decimal
from io import StringIO
from json import dumps as _quoted
from typing import Any, ClassVar
from uuid import UUID

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, SystemCheckError, handle_default_options
from django.db import connections

from accounts import json_codec
from accounts.management import journalled
from accounts.management.exits import Ending, Exit, TryAgain, endings
from accounts.management.streams import of_the_process
from accounts.services.journal import Deed

_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")  # what Python makes of bytes that are no UTF-8


class Job(BaseCommand):
    """A command that a scheduler can run: it ends with a code of `Exit`, and one line on stderr where that isn't 0.

    `handle` raises a Refusal, an Ending, or CommandError for arguments that make no sense. What else it raises is a
    bug, unless a server is away: that is a traceback, and code 70.
    """

    requires_system_checks: list[str] = []
    prints_its_work: ClassVar[bool] = False  # what it prints is what it was asked for: unwritten, it isn't done

    deed: Deed | None = None
    is_deed: ClassVar[bool] = False  # it does something for a person though it has no --by: it is in the journal, too

    def execute(self, *args: Any, **options: Any) -> Any:
        """What has `--by` is somebody's deed, and in the journal."""
        with endings():
            if not self.is_deed and "by" not in options:
                return super().execute(*args, **options)
            with journalled.deed(type(self).__module__.rpartition(".")[2], options) as self.deed:
                return super().execute(*args, **options)

    def run_from_argv(self, argv: list[str]) -> None:
        """Django's own, with the codes of `Exit`, on streams that may break."""
        self._called_from_command_line = True
        self.stdout, self.stderr = out, err = of_the_process()
        code = self._code_of(argv)
        with suppress(ImproperlyConfigured):
            connections.close_all()
        out.flush()
        if out.lost:
            code = self._told_lost(out.lost, code)
        err.flush()
        if code:
            sys.exit(int(code))

    def _code_of(self, argv: list[str]) -> int:
        options: dict[str, Any] = {}
        try:
            options = vars(self._parsed(argv))
            args = options.pop("args", ())
            self.execute(*args, **options)
        except SystemExit as ended:  # of argparse's --help
            return ended.code if isinstance(ended.code, int) else int(bool(ended.code))
        except CommandError as ending:
            if options.get("traceback"):
                self.stderr.write(traceback.format_exc())
            return self._told(ending)
        except KeyboardInterrupt:
            self.stderr.write("Interrupted.")
            return Exit.INTERRUPTED
        except Exception:
            self.stderr.write(traceback.format_exc())
            return Exit.BUG
        return Exit.DONE

    def _parsed(self, argv: list[str]) -> Any:
        """The options. What argparse complains of is one line, without the usage before it. Raises CommandError.

        A word that is no UTF-8 is refused here: neither PostgreSQL nor JSON can have it.
        """
        for word in argv[2:]:
            if _SURROGATE.search(word):
                raise CommandError(f"Arguments are UTF-8, and {word!a} isn't.")
        parser, complaint = self.create_parser(argv[0], argv[1]), StringIO()
        try:
            with redirect_stderr(complaint):
                options = parser.parse_args(argv[2:])
        except SystemExit as ended:
            if not ended.code:
                raise
            said = complaint.getvalue().strip().splitlines() or ["The arguments can't be read."]
            raise CommandError(said[-1].partition(": error: ")[2] or said[-1]) from None
        handle_default_options(options)
        return options

    def _told_lost(self, why: str, code: int) -> int:
        """What was done keeps its code, unless the output was what was asked for."""
        sentence = f"The output can't be written: {why}."
        if self.prints_its_work and not code:
            return self._told(TryAgain(sentence))
        self.stderr.write(sentence)
        return code

    def _told(self, ending: CommandError) -> int:
        """The ending's one line, and its code. A plain CommandError is of arguments; Django's checks find."""
        if isinstance(ending, SystemCheckError):
            self.stderr.write(str(ending))
            return Exit.FINDING
        word = ending.word if isinstance(ending, Ending) else "Usage"
        self.stderr.write(f"{word}: {' '.join(str(ending).split())}")
        return int(ending.exit) if isinstance(ending, Ending) else Exit.USAGE


class JSONCommand(Job):
    """A job with `--json`, which prints exactly one object."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def say(self, options: Mapping[str, Any], facts: Mapping[str, Any], *lines: str) -> None:
        """Print the facts as JSON if that was asked for, else the lines. The guid in them is the journal's as well."""
        if self.deed is not None and isinstance(facts.get("guid"), UUID):
            self.deed.named.append(facts["guid"].hex)
        if options["json"]:
            self.stdout.write(_ascii(json_codec.dumps(facts).decode()))
        else:
            for line in lines:
                self.stdout.write(line)

    def say_nothing(self, options: Mapping[str, Any], facts: Mapping[str, Any], line: str) -> None:
        """There was nothing to do, which is no failure: `"nothing": true`, or a plain line. The code is 0."""
        self.say(options, {**facts, "nothing": True}, line)

    def say_found(
        self, options: Mapping[str, Any], facts: Mapping[str, Any], lines: Sequence[str], *, nothing: str
    ) -> None:
        """What a list found, a line each; where it found nothing, that."""
        if lines:
            self.say(options, facts, *lines)
        else:
            self.say_nothing(options, facts, nothing)


def amount(base_units: int | Decimal, asset: str, decimals: int) -> dict[str, Any]:
    """An amount of money in a command's JSON, the same form in all: {"amount": 12550, "asset": "USD", "decimals": 2}.

    `base_units` are whole. As a Decimal all their digits are written: JSON's writer takes no integer past 64 bits.
    """
    return {"amount": Decimal(int(base_units)), "asset": asset, "decimals": decimals}


def _ascii(written: str) -> str:
    """JSON that any terminal and any locale can print, and any parser reads as the same."""
    return _NOT_ASCII.sub(lambda found: _quoted(found[0])[1:-1], written)
