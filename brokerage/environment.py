"""Settings from the environment, each value as it stands there."""

from __future__ import annotations

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
