"""The firm's time, moved ahead in a sandbox for as long as a test runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from accounts import clock
from brokerage.sandbox import moving


@contextmanager
def moved_ahead(step: timedelta) -> Iterator[None]:
    """Move it, where `step` isn't nothing; the row goes with the test's transaction, and this process forgets it."""
    clock.keep_ahead(timedelta(0))
    if step:
        moving.move_by(step, by_client=None)
    clock.firm_now()
    try:
        yield
    finally:
        clock.keep_ahead(timedelta(0))
