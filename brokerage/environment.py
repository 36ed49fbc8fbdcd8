"""Settings from the environment, each value as it stands there; a secret may stand in a file instead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured


class Environment(environ.Env):  # type: ignore[misc]  # it carries no types
    """django-environ takes a value that begins with `$` for the name of another variable, and reads that one.

    A secret may begin with `$`. So nothing is looked up: what was read is parsed, and that is all.
    """

    def get_value(
        self, var: str, cast: Any = None, default: Any = environ.Env.NOTSET, parse_default: bool = False
    ) -> Any:
        """As django-environ's. Raises ImproperlyConfigured where it is not set and has no default, or can't be read."""
        said = self.ENVIRON.get(var)
        try:
            if isinstance(said, str) and said.startswith("$"):
                return self.parse_value(said, cast)
            return super().get_value(var, cast=cast, default=default, parse_default=parse_default)
        except ValueError as unreadable:
            raise ImproperlyConfigured(f"{var} can't be read: {unreadable}.") from unreadable

    def secret(self, var: str, *, default: str = "") -> str:
        """The value of `var`, or what stands in the file that `var`_FILE names, without the line end behind it.

        A variable that is set to nothing counts as not set.

        Raises:
            ImproperlyConfigured: both are set; the file can't be read, is empty, or has a second line.
        """
        said, place = self.str(var, default=""), self.str(f"{var}_FILE", default="")
        if said and place:
            raise ImproperlyConfigured(f"{var} and {var}_FILE are both set: one of them has to go.")
        return _in_file(f"{var}_FILE", place) if place else said or default


def _in_file(var: str, place: str) -> str:
    try:
        text = Path(place).read_text(encoding="utf-8-sig").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise ImproperlyConfigured(f"{var}: {place} is no text.") from None
    except (OSError, ValueError) as unreadable:
        why = getattr(unreadable, "strerror", None) or unreadable
        raise ImproperlyConfigured(f"{var}: {place} can't be read: {why}.") from None
    if not text.strip():
        raise ImproperlyConfigured(f"{var}: {place} is empty.")
    if "\n" in text or "\r" in text or "\0" in text:
        raise ImproperlyConfigured(f"{var}: {place} has more than one line.")
    return text
