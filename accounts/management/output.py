"""What the commands say: a few lines for a person, or one JSON object for a script."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from django.core.management.base import BaseCommand, CommandError

from accounts import json_codec
from accounts.errors import Refusal

Handle = TypeVar("Handle", bound=Callable[..., None])


class JSONCommand(BaseCommand):
    """A command with `--json`; a refusal becomes one clear line on stderr and exit code 1."""

    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def say(self, options: dict[str, Any], facts: dict[str, Any], *lines: str) -> None:
        """Print the facts as JSON if that was asked for, else the lines."""
        if options["json"]:
            self.stdout.write(json_codec.dumps(facts).decode())
        else:
            for line in lines:
                self.stdout.write(line)


def as_command_errors(handle: Handle) -> Handle:
    """A decorator of `handle`: a refusal becomes a CommandError."""

    @wraps(handle)
    def wrapped(*args: Any, **options: Any) -> None:
        try:
            handle(*args, **options)
        except Refusal as refusal:
            raise CommandError(refusal.text) from None

    return wrapped  # type: ignore[return-value]
