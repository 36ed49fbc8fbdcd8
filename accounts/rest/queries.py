"""Query strings: which parameters there are, and what is said of one that there isn't.

A parameter that is passed over gives rows that weren't asked for, so an unknown one is 400 and names those that exist.
One that is given several times means all of its values.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.http import QueryDict

from accounts.errors import Malformed
from accounts.rest.fields import Body, whole

_LONGEST = 64
CURSOR = "cursor"
TRUE_OR_FALSE = ("true", "false", "True", "False")  # Python's published client writes them as Python does


def refuse_unknown(query: QueryDict, known: Iterable[str]) -> None:
    """Raises Malformed for a parameter that isn't one of these."""
    known = list(known)
    if unknown := query.keys() - set(known):
        there_are = f"there are {', '.join(known)}" if known else "there are none"
        raise Malformed(f"Unknown parameter {min(unknown)[:_LONGEST]}; {there_are}.")


def given(query: QueryDict, name: str) -> str:
    """A parameter's text, "" where it is absent. Raises Malformed for a blank one, which would ask for everything;
    but a blank cursor is that of the first page."""
    values = query.getlist(name)
    if not all(values) and name != CURSOR:
        raise Malformed(f"{name} is blank.")
    return ",".join(values)


def whole_number(query: QueryDict, name: str, *, default: int, least: int, most: int) -> int:
    """A parameter as a whole number within bounds. Raises Malformed."""
    text = given(query, name)
    if not text:
        return default
    number = whole(text, least, most)
    if number is None:
        raise Malformed(f"{name} must be a whole number from {least} to {most}.")
    return number


def is_true(text: str | None) -> bool:
    """Of a parameter that is one of TRUE_OR_FALSE, or absent."""
    return text in ("true", "True")


class Query(Body):
    """The parameters of an action, as fields. `read` raises Malformed for an unknown one, ValidationError for a value
    that can't be meant."""

    @classmethod
    def read(cls, query: QueryDict, *besides: str) -> dict[str, Any]:
        """The values; those of `besides` are somebody else's to read."""
        body = cls()
        names = list(body.get_fields())
        refuse_unknown(query, [*names, *besides])
        return dict(body.run_validation({name: given(query, name) for name in names if name in query}))
