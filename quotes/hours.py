"""When a market trades: open, about to open, for closing only, halted, or closed, and until when. Pure: no Django.

Hours are said in the venue's own time zone, as sessions of trading days: `mon-fri 17:00-17:00` of New York is the
currencies' week. A session whose closing isn't later than its opening begins on the day before; it belongs to the day
on which it closes, and a holiday closes all the sessions of its trading day, so Christmas Day's begins on the evening
before. A half day closes early: what is left of its sessions is traded, and it stays a trading day. Sessions that meet
are one. Where the clocks skip a time it is taken as an hour later, where it comes twice as the first of both (as
`swap_calendar.cutoff`).

An operator's switch stands above the hours, and only ever makes them narrower.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from quotes.calendars import UnknownCalendar, calendar, days_off
from quotes.swap_calendar import cutoff

ALWAYS: Final = "always"
DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MOST_PRE_OPEN_MINUTES: Final = 24 * 60

_DAY: Final = timedelta(days=1)
_LOOKS_AHEAD: Final = 400  # days: a market that doesn't open within them has no next opening
_SUCH_AS: Final = "mon-fri 17:00-17:00; sat 10:00-12:00"
_ONE: Final = re.compile(
    r"(?P<days>[a-z]{3}(?:-[a-z]{3})?(?:,[a-z]{3}(?:-[a-z]{3})?)*) (?P<opens>\d\d:\d\d)-(?P<closes>\d\d:\d\d)", re.ASCII
)


class BadHours(ValueError):
    """Trading hours that can't be read; the sentence says why."""


class Phase(StrEnum):
    OPEN = "open"
    PRE_OPEN = "pre_open"  # prices are told, pending orders are taken, nothing executes
    CLOSE_ONLY = "close_only"  # what is open may be closed, by whomever and whatever; nothing opens
    HALTED = "halted"  # prices are told, nothing executes
    CLOSED = "closed"  # no price is taken either: the last one stands


class Switch(StrEnum):
    """What an operator has said of a market."""

    NONE = "none"
    CLOSE_ONLY = "close_only"
    HALTED = "halted"


class MarketState(NamedTuple):
    """`since`: from when what executes now has been allowed to: a price of before is of before the gap. None: ever.

    `until`: when the hours change it, None where they don't. `next_open`: when it is open again, by its hours; None
    while it is, and where nobody knows.
    """

    phase: Phase
    since: datetime | None = None
    until: datetime | None = None
    next_open: datetime | None = None

    @property
    def opens(self) -> bool:
        """Whether a position may open now."""
        return self.phase is Phase.OPEN

    @property
    def closes(self) -> bool:
        """Whether a position may be closed now, by its customer, a stop or a stop-out."""
        return self.phase in (Phase.OPEN, Phase.CLOSE_ONLY)

    @property
    def takes_pending(self) -> bool:
        """Whether an order may be placed that waits for its price."""
        return self.phase in (Phase.OPEN, Phase.PRE_OPEN)

    @property
    def has_prices(self) -> bool:
        """Whether what a source says now is a price."""
        return self.phase is not Phase.CLOSED


OPEN_ALWAYS: Final = MarketState(Phase.OPEN)


def is_after_gap(said: datetime, state: MarketState, at: datetime, clock: datetime) -> bool:
    """Whether something may execute at a price: the market lets it, and the price was `said` since it does.

    `at` is the firm's time, `clock` Redis' clock at that moment: by lengths of time the two are never compared.
    """
    if not state.closes:
        return False
    return state.since is None or clock - said <= at - state.since


class Session(NamedTuple):
    """Of a trading day, 0 is Monday."""

    weekday: int
    opens: time
    closes: time


class Interval(NamedTuple):
    """Open from `begin`, in UTC, and no longer at `end`."""

    begin: datetime
    end: datetime


class _Found(NamedTuple):
    """The answer to every question from `begin` until before `end`."""

    begin: datetime
    end: datetime
    interval: Interval | None


@dataclass(eq=False)
class Hours:
    """A venue's. Without sessions it never closes. `closed_days` are (month, day) of every year, or dates; `half_days`
    the same, with the time of day at which these trading days close."""

    zone: ZoneInfo
    sessions: tuple[Session, ...] = ()
    calendar: str = ""
    closed_days: frozenset[date | tuple[int, int]] = frozenset()
    pre_open: timedelta = timedelta(0)
    half_days: Mapping[date | tuple[int, int], time] = field(default_factory=dict)
    _weekdays: frozenset[int] = field(init=False)
    _last: _Found | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._weekdays = frozenset(session.weekday for session in self.sessions)

    @property
    def never_closes(self) -> bool:
        return not self.sessions

    def trades_on(self, day: date) -> bool:
        """Whether this is a trading day: it has sessions, and is no holiday."""
        if self.never_closes:
            return True
        return day.weekday() in self._weekdays and not self._is_holiday(day)

    def around(self, at: datetime) -> Interval | None:
        """The interval in which it is open at a moment, or else the next one, whole. None where it stays closed."""
        last = self._last  # one read: threads share it
        if last is None or not last.begin <= at < last.end:
            found = next(self._intervals(at.astimezone(self.zone).date() - 2 * _DAY, at), None)
            is_open = found is not None and found.begin <= at
            begin = found.begin if found is not None and is_open else at
            self._last = last = _Found(begin, at + _DAY if found is None else found.end, found)
        return last.interval

    def _intervals(self, first: date, until: datetime) -> Iterator[Interval]:
        """Whole intervals that end later than `until`, in order; `first` is the trading day to begin with."""
        while self.trades_on(first):  # not in the middle of one that began earlier
            earlier = first - _DAY
            if not self._meets(earlier, first) or (until.date() - earlier).days > _LOOKS_AHEAD:
                break
            first = earlier
        running: Interval | None = None
        for session in self._each(first):
            if running is not None and session.begin <= running.end:
                running = Interval(running.begin, max(running.end, session.end))
            else:
                if running is not None and running.end > until:
                    yield running
                running = session
            if (running.end - until).days > _LOOKS_AHEAD:
                break
        if running is not None and running.end > until:
            yield running

    def _meets(self, earlier: date, later: date) -> bool:
        """Whether a session of a trading day reaches one of the next."""
        before, after = self._of_day(earlier), self._of_day(later)
        return bool(before and after) and max(one.end for one in before) >= after[0].begin

    def _each(self, first: date) -> Iterator[Interval]:
        """The sessions of trading days from `first` on, in the order in which they begin. One may begin on the day
        before its own, and so before another of that day."""
        waiting: list[Interval] = []
        for number in range(2 * _LOOKS_AHEAD):
            day = first + number * _DAY
            waiting = sorted(waiting + self._of_day(day))
            midnight = cutoff(day, time(0), self.zone)  # those of the next day begin no earlier
            while waiting and waiting[0].begin < midnight:
                yield waiting.pop(0)
        yield from waiting

    def _of_day(self, day: date) -> list[Interval]:
        if not self.trades_on(day):
            return []
        early = self.half_days.get(day, self.half_days.get((day.month, day.day)))
        found = []
        for session in self.sessions:
            if session.weekday == day.weekday():
                begins_on = day if session.opens < session.closes else day - _DAY
                begin = cutoff(begins_on, session.opens, self.zone)
                end = cutoff(day, session.closes, self.zone)
                found.append(Interval(begin, end if early is None else min(end, cutoff(day, early, self.zone))))
        return sorted(one for one in found if one.begin < one.end)

    def _is_holiday(self, day: date) -> bool:
        if day in self.closed_days or (day.month, day.day) in self.closed_days:
            return True
        return bool(self.calendar) and day in days_off(self.calendar, day.year)


class MarketHours(NamedTuple):
    """An instrument's hours, and what an operator has said of it last."""

    hours: Hours
    switch: Switch = Switch.NONE
    switched_at: datetime | None = None

    @property
    def has_gaps(self) -> bool:
        """Whether it rests at times, or ever did: nothing of before is executed afterwards."""
        return not self.hours.never_closes or self.switched_at is not None

    def state_at(self, at: datetime) -> MarketState:
        """What it is now, `at` being the firm's time. A switch counts as soon as it is known."""
        if self.hours.never_closes:
            return OPEN_ALWAYS if self.switched_at is None else MarketState(_PHASES[self.switch], self.switched_at)
        interval = self.hours.around(at)
        if interval is None:
            return MarketState(Phase.CLOSED)
        if interval.begin <= at:
            since = interval.begin if self.switched_at is None else max(interval.begin, self.switched_at)
            return MarketState(_PHASES[self.switch], since, interval.end)
        bell = interval.begin - self.hours.pre_open
        if at < bell:
            return MarketState(Phase.CLOSED, None, bell, interval.begin)
        return MarketState(_BEFORE[self.switch], None, interval.begin, interval.begin)

    def bell(self, at: datetime) -> datetime | None:
        """From when on prices have been told for the session of `at`, the firm's time, or for the one about to begin.
        None where none are told now, and where it never closes."""
        interval = None if self.hours.never_closes else self.hours.around(at)
        if interval is None or not self.state_at(at).has_prices:
            return None
        return interval.begin - self.hours.pre_open


NEVER_OPENS: Final = Hours(ZoneInfo("UTC"), (Session(-1, time(0), time(0)),))
"""In the place of hours that can't be read any more, after a time zone or a calendar has gone: nothing executes."""
_PHASES: Final = {Switch.NONE: Phase.OPEN, Switch.CLOSE_ONLY: Phase.CLOSE_ONLY, Switch.HALTED: Phase.HALTED}
_BEFORE: Final = {Switch.NONE: Phase.PRE_OPEN, Switch.CLOSE_ONLY: Phase.CLOSED, Switch.HALTED: Phase.HALTED}
NEVER_CLOSES: Final = MarketHours(Hours(ZoneInfo("UTC")))


# --- as they are written ------------------------------------------------------------------------------


@lru_cache(maxsize=256)
def hours(zone: str, sessions: str, calendar_code: str = "", closed_days: str = "", pre_open_minutes: int = 0) -> Hours:
    """Hours from the texts that a row keeps. Raises BadHours."""
    try:
        place = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise BadHours(f"There is no time zone {zone!r}.") from None
    if calendar_code:
        try:
            calendar(calendar_code)
        except UnknownCalendar as unknown:
            raise BadHours(str(unknown)) from None
    if not 0 <= pre_open_minutes <= MOST_PRE_OPEN_MINUTES:
        raise BadHours(f"The time before an opening is from 0 to {MOST_PRE_OPEN_MINUTES} minutes.")
    found = () if sessions == ALWAYS else tuple(_sessions(sessions))
    if not found and (calendar_code or closed_days or pre_open_minutes):
        raise BadHours("A market that never closes has no holidays and no time before its opening.")
    days = dict(_days_said(closed_days))
    closed = frozenset(day for day, closes in days.items() if closes is None)
    half = {day: closes for day, closes in days.items() if closes is not None}
    return Hours(place, found, calendar_code, closed, timedelta(minutes=pre_open_minutes), half)


def _sessions(text: str) -> Iterator[Session]:
    for one in text.split("; "):
        said = _ONE.fullmatch(one)
        if said is None:
            raise BadHours(f"{one[:60]!r} is no session; write such as {_SUCH_AS}, or {ALWAYS}")
        opens, closes = _time(said["opens"]), _time(said["closes"])
        for weekday in _weekdays(said["days"]):
            yield Session(weekday, opens, closes)


def _time(text: str) -> time:
    try:
        return time.fromisoformat(text)
    except ValueError:
        raise BadHours(f"{text} is no time of a day.") from None


def _weekdays(text: str) -> Iterator[int]:
    for part in text.split(","):
        first, _, last = part.partition("-")
        if first not in DAYS or (last or first) not in DAYS or DAYS.index(last or first) < DAYS.index(first):
            raise BadHours(f"{part} is no weekday, and no row of them; write such as mon-fri or sat.")
        yield from range(DAYS.index(first), DAYS.index(last or first) + 1)


def _days_said(text: str) -> Iterator[tuple[date | tuple[int, int], time | None]]:
    """Each day, and when it closes; None: it is closed."""
    for part in text.split(", ") if text else ():
        said, mark, early = part.partition(" ")
        try:
            if mark and len(early) != len("13:00"):
                raise ValueError
            closes = time.fromisoformat(early) if mark else None
            if len(said) == len("12-25"):
                day = date.fromisoformat(f"2024-{said}")  # a leap year
                yield (day.month, day.day), closes
            elif len(said) == len("2026-12-24"):
                yield date.fromisoformat(said), closes
            else:
                raise ValueError
        except ValueError:
            raise BadHours(f"{part[:20]!r} is no day; write such as 12-25, 2026-12-24 or 12-24 13:00.") from None
