"""How every process starts: settings that don't hold end it with one line on stderr, and no traceback."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from django.core.exceptions import ImproperlyConfigured

SETTINGS: Final = 78  # as in accounts/management/exits.py, which needs settings that can be read


@contextmanager
def with_good_settings() -> Iterator[None]:
    """What is done within reads the settings."""
    try:
        yield
    except ImproperlyConfigured as wrong:
        print(f"Settings: {' '.join(str(wrong).split())}", file=sys.stderr)
        sys.exit(SETTINGS)
