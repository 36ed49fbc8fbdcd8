"""The name of the HTTP request that is being answered: `X-Request-ID`, given by its sender or made here.

It stands in the answer, in every log line that was written for it, and beside what it caused
(docs/decisions/0058-idempotency-of-every-post.md). Where no request is being answered there is none.
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from typing import Final
from uuid import UUID

LONGEST: Final = 128
is_request_id = re.compile(rf"[A-Za-z0-9._-]{{1,{LONGEST}}}", re.ASCII).fullmatch
_current: ContextVar[str | None] = ContextVar("request_id", default=None)
_made: ContextVar[UUID | None] = ContextVar("made_request_id", default=None)


def begin(given: str | None, made: UUID) -> str:
    """A request begins; gives its name: the sender's where it is one, or the one that was made."""
    own = given is None or not is_request_id(given)
    name = made.hex if own else str(given)
    _current.set(name)
    _made.set(made if own else None)
    return name


def current() -> str | None:
    """The name of the request that this thread answers, if it answers one."""
    return _current.get()


def take_made() -> UUID | None:
    """The id that was made for this request, once: what it causes may have it, too. None if the sender named it."""
    made = _made.get()
    _made.set(None)
    return made


def end() -> None:
    """Nothing that this thread does from here on is the request's."""
    _current.set(None)
    _made.set(None)
