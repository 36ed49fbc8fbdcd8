"""When windows are cut and who is in a batch, told plainly: lists, loops and the calendar of one autumn.

The model shares no code with what it checks: it knows no cron, no holiday library and no SQL.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

NEVER = datetime.min.replace(tzinfo=UTC)
Key = tuple[str, datetime]  # of a batch: which window's, and its cut time


@dataclass
class Plan:
    """A window: cut at these hours of these weekdays in its zone, not on its holidays."""

    name: str
    kind: str
    cron: str
    zone: str
    hours: list[time]
    weekdays: frozenset[int]
    calendar: str = ""
    holidays: frozenset[date] = frozenset()
    is_automatic: bool = True
    legs_are_automatic: bool = True
    is_active: bool = True
    since: datetime = NEVER
    last: datetime | None = None
    waits_since: datetime | None = None

    def due(self, at: datetime) -> datetime | None:
        """The latest cut time up to `at` that hasn't been cut."""
        after = max(self.since, self.last or self.since)
        day = at.astimezone(ZoneInfo(self.zone)).date()
        while datetime.combine(day, time.max, ZoneInfo(self.zone)) > after:
            for hour in sorted(self.hours, reverse=True):
                cut = datetime.combine(day, hour, ZoneInfo(self.zone)).astimezone(UTC)
                if after < cut <= at and day.weekday() in self.weekdays and day not in self.holidays:
                    return cut
            day -= timedelta(days=1)
        return None


@dataclass
class Known:
    """What the model knows of a trade."""

    id: UUID
    kind: str
    accepted: datetime
    original: Known | None = None
    state: str = "storing"
    batch: Key | None = None
    exits: list[Known] = field(default_factory=list)

    @property
    def live_exit(self) -> Known | None:
        return next((one for one in self.exits if one.state in ("settling", "completed")), None)


@dataclass
class Month:
    """All trades, and what each run of the scheduled job must make of them."""

    wait: timedelta
    trades: list[Known] = field(default_factory=list)
    missing: dict[Key, dict[str, int]] = field(default_factory=dict)  # of legs that are reported, by asset

    def settled(self, batch: Key) -> set[UUID]:
        """A batch's trades complete at once when of each of its legs all has come, and none before."""
        if any(self.missing.get(batch, {}).values()):
            return set()
        for one in self.of(batch):
            one.state = "completed"
        return {one.id for one in self.of(batch)}

    def of(self, batch: Key) -> list[Known]:
        return [one for one in self.trades if one.batch == batch]

    def stored(self, trade: Known) -> None:
        """What the storing step makes of it: everybody can pay, so only an exit can fail."""
        original = trade.original
        if original is not None and (original.state != "settling" or original.batch or original.live_exit):
            trade.state = "failed"
        else:
            trade.state = "settling"

    def cut(self, plan: Plan, at: datetime) -> tuple[datetime, list[Known]] | None:
        """The cut that is made when the job runs at `at`, and its members; None where none is made."""
        cut = plan.due(at) if plan.is_active else None
        if cut is None:
            return None
        in_time = [one for one in self.trades if one.kind == plan.kind and one.accepted < cut and one.batch is None]
        storing = [one for one in in_time if one.state == "storing"]
        if storing:
            if plan.waits_since is None or not cut <= plan.waits_since <= at:
                plan.waits_since = at
            if at - plan.waits_since < self.wait:
                return None
        keeps = [one.original for one in storing if one.original is not None]
        members = []
        for one in in_time:
            is_late = one.live_exit is not None and one.live_exit.accepted >= cut
            if one.original is None and one.state == "settling" and not is_late and one not in keeps:
                members += [one] if one.live_exit is None else [one, one.live_exit]
        plan.last = cut
        for one in members:
            one.batch = (plan.name, cut)
        return cut, members
