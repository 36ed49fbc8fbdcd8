"""When a settlement window is cut: its cron expression in its time zone, on its calendar's business days."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import holidays
from cronsim import CronSim, CronSimError
from django.db.models import Max

from trades.errors import BadSchedule
from trades.models import SettlementBatch, SettlementWindow

_FURTHEST = timedelta(days=14)  # no market stays closed for longer: past this a cut is not looked for


def next_cuts(window: SettlementWindow, after: datetime, count: int) -> list[datetime]:
    """The next cut times past a moment, in UTC; fewer where the calendar has no more within the year.

    A cron time that a clock change skips runs right after it, one that occurs twice runs once, as in Debian's
    cron. Raises BadSchedule.
    """
    end = after + timedelta(days=366)
    return list(islice(_cuts(window, after, end), count))


def due_cut(window: SettlementWindow, at: datetime) -> datetime | None:
    """The latest cut time up to `at` that has not been cut, or None.

    Only the latest: after an outage one cut takes everything that the missed ones would have taken. Cut times
    from before the window was made, or up to its last cut, are not due. Raises BadSchedule.
    """
    last = window.last_cut_at or SettlementBatch.objects.filter(window=window).aggregate(last=Max("cut_at"))["last"]
    since = max(last or window.created_at, at - _FURTHEST)
    latest = None
    for cut in _cuts(window, since, at):
        latest = cut
    return latest


def _cuts(window: SettlementWindow, after: datetime, until: datetime) -> Iterator[datetime]:
    """Cut times with after < cut <= until, in UTC."""
    try:
        zone = ZoneInfo(window.time_zone)
        times = CronSim(window.cron, after.astimezone(zone))
    except (CronSimError, ZoneInfoNotFoundError, ValueError) as reason:
        raise BadSchedule(f"The schedule of {window.name} can't be read: {reason}") from reason
    market = _market(window.calendar) if window.calendar else None
    for local in times:
        cut = local.astimezone(UTC)
        if cut > until:
            return
        if cut > after and (market is None or market.is_working_day(local.date())):
            yield cut


@cache
def _market(calendar: str) -> Any:
    """A market's or else a country's holidays and weekends; years are worked out as they are asked for."""
    try:
        return holidays.financial_holidays(calendar)
    except NotImplementedError:
        pass
    try:
        return holidays.country_holidays(calendar)
    except NotImplementedError:
        raise BadSchedule(f"There is no calendar {calendar}.") from None
