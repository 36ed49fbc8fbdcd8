"""Which nights a position is held over, and how often each counts. Pure: no Django, no clock.

A night is named by the day on which it begins: Wednesday's night begins at Wednesday's cut-off, 17:00 in New York
unless set otherwise. A position that is open at the cut-off is held overnight.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

SATURDAY, SUNDAY = 5, 6
_FRIDAY: Final = 4
_DAY: Final = timedelta(days=1)
_FAR: Final = 60  # days


def cutoff(night: date, at: time, zone: ZoneInfo) -> datetime:
    """The moment at which a night begins, in UTC.

    A local time that the clocks skip is taken as an hour later, one that comes twice as the first of both: every
    day has one cut-off, and they come in order.
    """
    return datetime.combine(night, at.replace(fold=0), zone).astimezone(UTC)


def nights(after: date | None, until: datetime, at: time, zone: ZoneInfo) -> list[tuple[date, datetime]]:
    """The nights later than `after` whose cut-off is at or before `until`, oldest first, each with its cut-off.

    Without `after` nothing was ever counted, and only the latest is due: swap doesn't reach back to before it was
    introduced. After an outage all that were missed are due. `until` is aware.
    """
    # The cut-off of the local day may still be to come, and around a change of the clocks the day before's is past.
    latest = until.astimezone(zone).date()
    while cutoff(latest, at, zone) > until:
        latest -= _DAY
    first = latest if after is None else after + _DAY
    days = (latest - first).days + 1
    return [(night, cutoff(night, at, zone)) for night in (first + _DAY * number for number in range(days))]


def times_counted(night: date, triple_weekday: int | None, trades_on: Callable[[date], bool] | None = None) -> int:
    """How many times a night counts for an instrument; `triple_weekday` 0 is Monday.

    `trades_on` says of a day whether the market trades on it; None: it never rests, and then every night counts once
    unless it has a triple day, which counts its weekends. Of a market that rests only trading days' nights count, and
    each as many days as its settlement is put off by being held: from the value date of this trading day to that of
    the next one. The value date is as many trading days later as the triple day is before Friday (of Wednesday: two, as
    of currencies; without one none). So Wednesday's night counts three times, holidays move what they must, and all
    nights together are as many as the days that passed.
    """
    if trades_on is None:
        if triple_weekday is None:
            return 1
        trades_on = _is_weekday
    if not trades_on(night):
        return 0
    lag = 0 if triple_weekday is None else _FRIDAY - triple_weekday
    following = _later(night, 1, trades_on)
    return (_later(following, lag, trades_on) - _later(night, lag, trades_on)).days


def _is_weekday(day: date) -> bool:
    return day.weekday() not in (SATURDAY, SUNDAY)


def _later(day: date, count: int, trades_on: Callable[[date], bool]) -> date:
    """So many trading days later; a market that trades no more for long counts days."""
    for _ in range(count):
        day = next((later for number in range(1, _FAR) if trades_on(later := day + number * _DAY)), day + _DAY)
    return day
