"""A sandbox's client may ask for its next command's answer to be lost: what its caller sees then is the real timeout.

Nobody asks outside of a sandbox (`brokerage/sandbox/`), and then this costs a look at a context variable.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

BEFORE: Final = "before"  # the command doesn't reach the engine
AFTER: Final = "after"  # it does, and is carried out

_lost: ContextVar[str] = ContextVar("lost", default="")


def which() -> str:
    """BEFORE, AFTER, or "": the answer isn't to be lost."""
    return _lost.get()


@contextmanager
def answers(when: str) -> Iterator[None]:
    """The answers of the commands within are lost."""
    asked = _lost.set(when)
    try:
        yield
    finally:
        _lost.reset(asked)
