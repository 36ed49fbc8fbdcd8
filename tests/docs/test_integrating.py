"""`docs/integrating.md`, `docs/transfers.md` and `docs/sandbox.md` are typed word for word into shells beside a system
that `manage.py up` started from nothing.

Only two words are others: the port, and where `.data` is.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.console import is_as_told, steps, typed
from tests.docs.test_pages import CHECKOUT
from tests.stack.conftest import data, port  # noqa: F401 - fixtures
from tests.stack.running import NOT_INHERITED, Up, end

PAGES = tuple(CHECKOUT / "docs" / name for name in ("integrating.md", "transfers.md", "sandbox.md"))


@pytest.fixture
def environment(data: Path, port: int) -> Iterator[dict[str, str]]:  # noqa: F811
    """Of a shell beside a running system."""
    up = Up(data, sys.executable, "manage.py", "up", "--port", str(port))
    try:
        up.says("ready after", 240)
        inherited = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
        yield inherited | {"BROKERAGE_DATA_DIR": str(data)}
        up.signal(signal.SIGTERM)
        up.ends()
    finally:
        end(data, [up])


@pytest.mark.timeout(600)
def test_what_is_typed_is_answered_as_the_page_says(
    environment: dict[str, str],
    data: Path,  # noqa: F811
    port: int,  # noqa: F811
) -> None:
    for page in map(steps, PAGES):
        here = [
            step.command.replace("127.0.0.1:8000", f"127.0.0.1:{port}").replace('".data/', f'"{data}/') for step in page
        ]

        answers = typed(here, environment)

        for step, answer in zip(page, answers, strict=True):
            assert is_as_told(answer, step.answer), f"{step.command}\nanswers {answer}\nthe page says {step.answer}"


def test_an_answer_is_compared_word_for_word_but_for_what_differs_each_time() -> None:
    told = '{"guid":"01a226c6d5e1776bab580c3e173f5e59",…"fee":1059,"at":"2026-11-29T10:08:47.960Z"}'

    assert is_as_told('{"guid":"' + "f" * 32 + '","x":1,"fee":1059,"at":"2027-01-01T00:00:00.000Z"}', told)
    assert not is_as_told('{"guid":"' + "f" * 32 + '","x":1,"fee":1060,"at":"2027-01-01T00:00:00.000Z"}', told)
    assert not is_as_told('{"guid":"' + "f" * 31 + '","x":1,"fee":1059,"at":"2027-01-01T00:00:00.000Z"}', told)
    assert not is_as_told("", told)
