"""How big a test plays its fault: small in the suite, so that it stays quick, and in full with FAULTS=full."""

from __future__ import annotations

import os


def size(small: int, full: int) -> int:
    """`small`, or `full` where the environment says FAULTS=full. Both sizes must prove the same thing."""
    return full if os.environ.get("FAULTS") == "full" else small
