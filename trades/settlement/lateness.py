"""Is settlement late: windows whose cut was due and isn't made, open batches, legs that wait to be reported."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from trades import selectors
from trades.errors import BadSchedule
from trades.models import SettlementBatch, SettlementLeg, SettlementWindow
from trades.settlement.windows import due_cut
from trades.states import BatchState

GRACE: Final = timedelta(minutes=5)  # the scheduler asks every few seconds; a large cut takes a minute


@dataclass(frozen=True, slots=True)
class LateWindow:
    """An active window with a cut that was due and isn't made, or whose schedule can't be read."""

    name: str
    due_at: datetime | None
    why: str


@dataclass(frozen=True, slots=True)
class LegsDue:
    """The legs that somebody should carry out now, and the one whose batch was cut first."""

    count: int
    oldest: SettlementLeg | None


def late_windows(at: datetime) -> list[LateWindow]:
    """By name. A window that can't be read holds up no other."""
    found = (_late(window, at) for window in selectors.windows().filter(is_active=True))
    return [late for late in found if late is not None]


def _late(window: SettlementWindow, at: datetime) -> LateWindow | None:
    try:
        due_at = due_cut(window, at)
    except BadSchedule as bad:
        return LateWindow(window.name, None, bad.text)
    if due_at is None or at - due_at <= GRACE:
        return None
    return LateWindow(window.name, due_at, f"its cut of {due_at:%Y-%m-%d %H:%M:%S} UTC isn't made")


def open_batches() -> list[SettlementBatch]:
    """Those that are neither completed nor cancelled, the oldest first."""
    closed = [BatchState.COMPLETED, BatchState.CANCELLED]
    return list(SettlementBatch.objects.exclude(state__in=closed).order_by("cut_at", "pk"))


def legs_due(at: datetime) -> LegsDue:
    due = selectors.legs().filter(selectors.is_due(at)).select_related("batch").order_by("batch__cut_at", "pk")
    return LegsDue(due.count(), due.first())
