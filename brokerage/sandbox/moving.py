"""The firm's time is moved ahead, in a sandbox: what would be due by then becomes due, as after an outage."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.conf import settings

from accounts import clock, conflicts
from accounts.db import locks
from accounts.errors import SandboxOnly
from accounts.models import ClockMove
from brokerage.sandbox.errors import ClockGoesBack, ClockTooFar

FURTHEST_MOVE: Final = timedelta(days=31)
FURTHEST: Final = timedelta(days=3660)  # of all moves together


@conflicts.atomic
def move_to(until: datetime, *, by_client: UUID | None) -> ClockMove:
    """Make it `until` by the firm's clock. Raises SandboxOnly, ClockGoesBack, ClockTooFar."""
    locks.hold(locks.FIRM_CLOCK)
    real, firm = clock.both()
    return _move(real, firm, until - firm, by_client)


@conflicts.atomic
def move_by(step: timedelta, *, by_client: UUID | None) -> ClockMove:
    """Make it so much later by the firm's clock. Raises SandboxOnly, ClockGoesBack, ClockTooFar."""
    locks.hold(locks.FIRM_CLOCK)
    real, firm = clock.both()
    return _move(real, firm, step, by_client)


def last_move() -> ClockMove | None:
    """What the firm's time goes by; None where it was never moved."""
    return ClockMove.objects.order_by("-number").first()


def _move(real: datetime, firm: datetime, step: timedelta, by_client: UUID | None) -> ClockMove:
    if not settings.SANDBOX:
        raise SandboxOnly
    if step <= timedelta(0):
        raise ClockGoesBack
    before = firm - real
    if step > FURTHEST_MOVE or before + step > FURTHEST:
        raise ClockTooFar
    last = last_move()
    number = last.number + 1 if last else 1
    return ClockMove.objects.create(number=number, at=real, before=before, ahead=before + step, by_client_id=by_client)
