"""Commands as tests run them within their own process: what they say, and the code they end with."""

from __future__ import annotations

from io import StringIO
from typing import Any

from django.core.management import CommandError, call_command

from accounts import json_codec
from accounts.management.exits import Ending


def told(*command: str) -> dict[str, Any]:
    """The one object that a command prints with `--json`; it ends with 0."""
    code, facts, sentence = ended(*command)
    assert code == 0, sentence
    return facts


def ended(*command: str) -> tuple[int, dict[str, Any], str]:
    """The exit code, the object that it printed (empty where it printed none), and its line on stderr."""
    code, text, sentence = ran(*command, "--json")
    lines = text.splitlines()
    assert len(lines) <= 1, "exactly one object"
    return code, json_codec.loads(lines[0].encode()) if lines else {}, sentence


def ran(*command: str) -> tuple[int, str, str]:
    """The exit code, what it printed, and its line on stderr."""
    out, code, sentence = StringIO(), 0, ""
    try:
        call_command(*command, stdout=out)
    except CommandError as ending:
        code, sentence = int(ending.exit) if isinstance(ending, Ending) else 2, str(ending)
    return code, out.getvalue(), sentence
