"""Ages on a command line: 26h, 90m, 2d."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from datetime import timedelta
from typing import Final

_AGE: Final = re.compile(r"([1-9][0-9]{0,5})([mhd])")
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days"}


def age(text: str) -> timedelta:
    """An age as argparse's `type`: a whole number of minutes, hours or days, above zero."""
    found = _AGE.fullmatch(text)
    if found is None:
        raise ArgumentTypeError(f"{text[:40]!r} is not an age; write it like 26h, 90m or 2d")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def shown(found: timedelta) -> str:
    """An age as it is written: the two largest units of it, e.g. "26h 10m", "3d 2h", "45s"."""
    seconds = max(0, int(found.total_seconds()))
    days, hours, minutes = seconds // 86_400, seconds // 3_600, seconds // 60
    if days >= 2:
        return f"{days}d {hours % 24}h"
    if hours:
        return f"{hours}h {minutes % 60}m"
    return f"{minutes}m {seconds % 60}s" if minutes else f"{seconds}s"
