"""Ports as the command line and the environment name them."""

from __future__ import annotations

from django.core.management.base import CommandError


def port(text: str, name: str) -> int:
    """The port that `name` says. Raises CommandError."""
    if text.isascii() and text.isdigit() and 0 < int(text) < 65_536:
        return int(text)
    raise CommandError(f"{name} must be a number from 1 to 65535, not {text!r}.")
