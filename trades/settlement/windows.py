"""When a settlement window is cut: its cron expression in its time zone, on its calendar's business days."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError
from django.db.models import Max

from quotes.calendars import UnknownCalendar
from quotes.calendars import calendar as calendar_of
from trades.errors import BadSchedule
from trades.models import SettlementBatch, SettlementWindow

log = logging.getLogger(__name__)

_A_DAY = timedelta(days=1)


def next_cuts(window: SettlementWindow, after: datetime, count: int) -> list[datetime]:
    """The next cut times past a moment, in UTC; fewer where the calendar has no more within the year.

    A cron time that a clock change skips runs right after it, one that occurs twice runs once, as in Debian's
    cron. Raises BadSchedule.
    """
    end = after + timedelta(days=366)
    return list(islice(_cuts(window, after, end), count))


@dataclass(frozen=True, slots=True)
class Schedule:
    """A window with its next cut times, in UTC: none while it is off, or where its schedule can't be read."""

    window: SettlementWindow
    next_cuts: tuple[datetime, ...]


def schedules(windows: Iterable[SettlementWindow], after: datetime, count: int) -> list[Schedule]:
    """Each of these windows with its next `count` cuts past a moment. One that can't be read holds up no other."""
    return [Schedule(window, _upcoming(window, after, count)) for window in windows]


def _upcoming(window: SettlementWindow, after: datetime, count: int) -> tuple[datetime, ...]:
    try:
        return tuple(next_cuts(window, after, count)) if window.is_active else ()
    except BadSchedule as unreadable:
        log.warning("%s", unreadable)
        return ()


def due_cut(window: SettlementWindow, at: datetime) -> datetime | None:
    """The latest cut time up to `at` that has not been cut, or None, however long ago it was.

    Only the latest: after an outage one cut takes everything that the missed ones would have taken. Cut times from
    before the schedule was as it is, or up to the window's last cut, are not due. Raises BadSchedule.
    """
    last = window.last_cut_at or SettlementBatch.objects.filter(window=window).aggregate(last=Max("cut_at"))["last"]
    since = max(last, window.schedule_since) if last else window.schedule_since
    return _latest(window, since, at)


def _latest(window: SettlementWindow, after: datetime, until: datetime) -> datetime | None:
    """The last cut time with after < cut <= until. Looked for backwards, in spans that double: a cut of every minute is
    found within a day, one of every year within nine spans.
    """
    span, end = _A_DAY, until
    while end > after:
        begin = max(after, end - span)
        latest = max(_cuts(window, begin, end), default=None)
        if latest is not None:
            return latest
        span, end = 2 * span, begin
    return None


def _cuts(window: SettlementWindow, after: datetime, until: datetime) -> Iterator[datetime]:
    """Cut times with after < cut <= until, in UTC. A day on which the calendar rests is passed over as a whole."""
    market = _market(window.calendar) if window.calendar else None
    times = _times(window, after)
    while (local := next(times, None)) is not None and (cut := local.astimezone(UTC)) <= until:
        if market is not None and not market.is_working_day(local.date()):
            times = _times(window, local.replace(hour=23, minute=59, second=59, fold=1))
        elif cut > after:
            yield cut


def _times(window: SettlementWindow, after: datetime) -> Iterator[datetime]:
    """What the cron expression says past a moment, on any day, in the window's zone. Raises BadSchedule."""
    try:
        return iter(CronSim(window.cron, after.astimezone(ZoneInfo(window.time_zone))))
    except (CronSimError, ZoneInfoNotFoundError, ValueError) as reason:
        raise BadSchedule(f"The schedule of {window.name} can't be read: {reason}") from reason


def is_business_day(calendar: str, day: date) -> bool:
    """Whether a calendar's market is open on this day; no calendar: every day. Raises BadSchedule."""
    return not calendar or bool(_market(calendar).is_working_day(day))


def _market(calendar: str) -> Any:
    try:
        return calendar_of(calendar)
    except UnknownCalendar as unknown:
        raise BadSchedule(str(unknown)) from None
