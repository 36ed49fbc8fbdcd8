"""On which day a batch's legs are to be carried out: business days from the cut, by its window's settings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from trades.errors import BadSchedule
from trades.models import SettlementBatch, SettlementWindow
from trades.settlement.windows import is_business_day


@dataclass(frozen=True, slots=True)
class ValueDate:
    """The day, and the moment at which it is over."""

    day: date
    ends_at: datetime


def value_date_of(batch: SettlementBatch) -> ValueDate:
    """Of the batch's cut; see `value_date_at`. Raises BadSchedule."""
    return value_date_at(batch.window, batch.cut_at)


def value_date_at(window: SettlementWindow | None, cut_at: datetime) -> ValueDate:
    """The cut's day in the window's zone plus its `value_days`, over its calendar; without a window the UTC day.

    Of two cuts of a window the later one never has the earlier value date. Raises BadSchedule.
    """
    if window is None:
        day = cut_at.astimezone(UTC).date()
        return ValueDate(day, _end_of(day, UTC))
    zone = _zone_of(window)
    day = _plus_business_days(cut_at.astimezone(zone).date(), window.value_days, window.calendar)
    return ValueDate(day, _end_of(day, zone))


def _plus_business_days(day: date, count: int, calendar: str) -> date:
    """Whatever day it is, the count begins on the next one."""
    while count:
        day += timedelta(days=1)
        count -= is_business_day(calendar, day)
    return day


def _end_of(day: date, zone: tzinfo) -> datetime:
    return datetime.combine(day + timedelta(days=1), time.min, zone).astimezone(UTC)


def _zone_of(window: SettlementWindow) -> ZoneInfo:
    try:
        return ZoneInfo(window.time_zone)
    except (ZoneInfoNotFoundError, ValueError) as reason:
        raise BadSchedule(f"The time zone of {window.name} can't be read: {reason}") from reason
