"""The examples of docs/events.md, run as they stand there."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from accounts import events
from brokerage.stack.where import CHECKOUT
from tests.accounts.events.places import here
from tests.given import a_customer
from tests.stream.listening import Stream
from tests.stream.who import a_firms_token, freeze

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("stream")]

PAGE = (CHECKOUT / "docs" / "events.md").read_text()
BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)
EXAMPLES = BLOCK.findall(PAGE)


def test_there_is_an_example_of_each() -> None:
    assert [language for language, _ in EXAMPLES] == ["bash", "python", "python"]


@pytest.mark.parametrize("number", range(3))
def test_an_example_shows_the_change_that_comes(stream: Stream, number: int, tmp_path: Path) -> None:
    language, text = EXAMPLES[number]
    script = tmp_path / "example"
    script.write_text(text)
    alice = a_customer()
    environment = {
        **os.environ,
        "STREAM": f"127.0.0.1:{stream.port}",
        "TOKEN": a_firms_token(),
        "PLACE": events.guid_of(here()).hex,
    }
    freeze(alice)
    with running([sys.executable if language == "python" else "bash", str(script)], environment) as example:
        shown = until(example, alice.pk.hex)

    assert "customer.frozen" in shown


@contextmanager
def running(command: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def until(process: subprocess.Popen[bytes], word: str) -> str:
    """What it prints until this is said."""
    assert process.stdout is not None
    shown, give_up = "", time.monotonic() + 15
    while word not in shown and time.monotonic() < give_up:
        if select.select([process.stdout], [], [], 0.2)[0]:
            piece = os.read(process.stdout.fileno(), 65_536)
            if not piece:
                break
            shown += piece.decode()
    return shown
