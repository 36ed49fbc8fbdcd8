"""Which nights a position is held over, and how often each counts. Pure: no Django, no clock.

A night is named by the day on which it begins: Wednesday's night begins at Wednesday's cut-off, 17:00 in New York
unless set otherwise. A position that is open at the cut-off is held overnight.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo

SATURDAY, SUNDAY = 5, 6
_DAY: Final = timedelta(days=1)


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


def times_counted(night: date, triple_weekday: int | None) -> Literal[0, 1, 3]:
    """How many times a night counts for an instrument; `triple_weekday` 0 is Monday.

    A market that rests at weekends counts the weekend's two nights in advance, on the night of its triple day,
    because that is the one whose settlement reaches over the weekend. Seven nights count seven times either way.
    """
    if triple_weekday is None:
        return 1
    if night.weekday() in (SATURDAY, SUNDAY):
        return 0
    return 3 if night.weekday() == triple_weekday else 1
