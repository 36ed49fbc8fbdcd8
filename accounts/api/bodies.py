"""Reading the fields of a JSON body: each function gives one field's value or says what is wrong with it.

A field that is absent, null or "" is absent. Unknown fields are ignored. Strings come without NUL and lone
surrogates (`accounts.json_codec`), so their length is all that PostgreSQL could still refuse.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from django.http import QueryDict

from accounts.errors import Malformed
from accounts.ids import parse_guid

MOST_LABELS = 8
LONGEST_LABEL = 64


def object_in(data: object) -> Mapping[str, Any]:
    """The body itself. Raises Malformed for a list, a string, a number or null, and for a form with a field twice."""
    if not isinstance(data, Mapping):
        raise Malformed("The body must be a JSON object.")
    if isinstance(data, QueryDict) and (repeated := [name for name, values in data.lists() if len(values) > 1]):
        raise Malformed(f"{min(repeated)[:64]} appears twice.")
    return data


def missing(body: Mapping[str, Any], *names: str) -> list[str]:
    """Those of the names that are absent."""
    return [name for name in names if body.get(name) in (None, "")]


def text(body: Mapping[str, Any], name: str, *, longest: int, required: bool = False) -> str:
    """A string without surrounding blanks, "" when absent."""
    value = body.get(name)
    if value is None or value == "":
        if required:
            raise Malformed(f"{name} is required.")
        return ""
    if not isinstance(value, str):
        raise Malformed(f"{name} must be a string.")
    value = value.strip()
    if len(value) > longest or (required and not value):
        raise Malformed(f"{name} must have 1 to {longest} characters.")
    return value


def choice(body: Mapping[str, Any], name: str, known: Collection[str], *, default: str | None = None) -> str:
    """A value of a closed list; required unless there is a default."""
    value = body.get(name)
    if value in (None, "") and default is not None:
        return default
    if not isinstance(value, str) or value not in known:
        raise Malformed(f"{name} must be one of {', '.join(known)}.")
    return value


def choices(body: Mapping[str, Any], name: str, known: Collection[str]) -> list[str]:
    """A list of values of a closed list, each once; all of them when absent."""
    value = body.get(name)
    if value is None or value == "":
        return list(known)
    if not isinstance(value, list) or not value or not all(isinstance(one, str) and one in known for one in value):
        raise Malformed(f"{name} must be a list of some of {', '.join(known)}.")
    return sorted(set(value))


def yes_or_no(body: Mapping[str, Any], name: str, *, default: bool) -> bool:
    value = body.get(name)
    if value is None or value == "":
        return default
    if not isinstance(value, bool):
        raise Malformed(f"{name} must be true or false.")
    return value


def guid(body: Mapping[str, Any], name: str) -> UUID | None:
    """A guid, or None when absent."""
    value = body.get(name)
    if value is None or value == "":
        return None
    found = parse_guid(value)
    if found is None:
        raise Malformed(f"{name} must be a guid of 32 lowercase hex characters.")
    return found


def required_guid(body: Mapping[str, Any], name: str) -> UUID:
    found = guid(body, name)
    if found is None:
        raise Malformed(f"{name} is required.")
    return found


def labels(body: Mapping[str, Any]) -> list[str] | None:
    """At most 8 labels of 1 to 64 characters, or None when absent."""
    value = body.get("labels")
    if value is None:
        return None
    fits = isinstance(value, list) and len(value) <= MOST_LABELS
    if not fits or not all(isinstance(label, str) and 0 < len(label) <= LONGEST_LABEL for label in value):
        raise Malformed(f"labels must be at most {MOST_LABELS} strings of 1 to {LONGEST_LABEL} characters.")
    return list(value)
