"""`manage.py settlement_status`: what has waited longest, and is anything late? Exit code 1 where it is."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Least

from accounts import clock
from accounts.management.ages import age, shown
from accounts.management.exits import Found
from accounts.management.output import JSONCommand
from trades import low_water
from trades.models import SettlementBatch
from trades.settlement.cut import hold_membership
from trades.settlement.lateness import LateWindow, LegsDue, late_windows, legs_due, open_batches
from trades.settlement.waiting import Oldest, findings, oldest, windows_ahead


class Command(JSONCommand):
    help = "Tell what waits: trades, windows whose cut isn't made, open batches, legs; exit code 1 where it is late."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--max-age",
            type=age,
            metavar="AGE",
            help="late is also what waits, and what is open, for longer: 26h, 90m, 2d",
        )
        parser.add_argument(
            "--forget-marks", action="store_true", help="look at every trade again; windows that are ahead begin anew"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        at = clock.firm_now()
        if options["forget_marks"]:
            _forget(at)
        told = _Status.at(at, options["max_age"])
        self.say(options, told.facts(), *told.lines())
        if late := told.late():
            raise Found(f"{len(late)} late: {late[0]}" + (" …" if len(late) > 1 else ""))


@dataclass(frozen=True, slots=True)
class _Status:
    """Everything that is told, looked up once; `max_age`: what has waited longer is late, whatever the settings say."""

    now: datetime
    max_age: timedelta | None
    waiting: list[Oldest]
    windows: list[LateWindow]
    ahead: list[str]
    findings: list[str]
    batches: list[SettlementBatch]
    legs: LegsDue
    marks: dict[str, datetime]

    @classmethod
    def at(cls, now: datetime, max_age: timedelta | None) -> _Status:
        waiting = [one if max_age is None else replace(one, limit=min(one.limit, max_age)) for one in oldest(now)]
        return cls(
            now,
            max_age,
            waiting,
            late_windows(now),
            [window.name for window in windows_ahead(now)],
            [finding.sentence for finding in findings()],
            open_batches(),
            legs_due(now),
            {kind: _time_in(mark) for kind, mark in sorted(low_water.marks_of().items())},
        )

    def late(self) -> list[str]:
        """A sentence for each thing that is late."""
        leg = self.legs.oldest
        return [
            *(_written(one) for one in self.waiting if one.is_late),
            *(f"window {one.name}: {one.why}" for one in self.windows),
            *(f"window {name}: remembers a cut that is still to come" for name in self.ahead),
            *(self._batch(batch) for batch in self.batches if self._is_old(batch)),
            *(
                [f"leg {leg.pk.hex} is due, of a batch cut {self._age(leg.batch)} ago"]
                if leg and self._is_old(leg.batch)
                else []
            ),
            *self.findings,
        ]

    def lines(self) -> list[str]:
        late = set(self.late())
        found = [
            *(_written(one) for one in self.waiting),
            *(f"mark of {kind}: {mark:%Y-%m-%d %H:%M:%S} UTC" for kind, mark in self.marks.items()),
            *(self._batch(batch) for batch in self.batches),
            f"{self.legs.count} legs due",
            f"{len(self.batches)} batches open",
        ]
        told = [f"LATE {line}" if line in late else line for line in found]
        return [*told, *(f"LATE {line}" for line in self.late() if line not in found)]

    def facts(self) -> dict[str, Any]:
        leg = self.legs.oldest
        return {
            "at": self.now,
            "late": bool(self.late()),
            "max_age_seconds": None if self.max_age is None else int(self.max_age.total_seconds()),
            "oldest": [_told(one) for one in self.waiting],
            "windows_late": [{"window": one.name, "due_at": one.due_at, "why": one.why} for one in self.windows],
            "windows_ahead": self.ahead,
            "batches_open": [self._told_batch(batch) for batch in self.batches],
            "legs_due": {
                "legs": self.legs.count,
                "oldest_guid": leg.pk if leg else None,
                "oldest_age_seconds": self._seconds(leg.batch) if leg else None,
            },
            "marks": self.marks,
            "findings": self.findings,
        }

    def _told_batch(self, batch: SettlementBatch) -> dict[str, Any]:
        return {
            "guid": batch.pk,
            "state": batch.state,
            "cut_at": batch.cut_at,
            "age_seconds": self._seconds(batch),
            "late": self._is_old(batch),
        }

    def _batch(self, batch: SettlementBatch) -> str:
        return f"batch {batch.pk.hex} {batch.state}, cut {self._age(batch)} ago"

    def _age(self, batch: SettlementBatch) -> str:
        return shown(self.now - batch.cut_at)

    def _seconds(self, batch: SettlementBatch) -> int:
        return int((self.now - batch.cut_at).total_seconds())

    def _is_old(self, batch: SettlementBatch) -> bool:
        return self.max_age is not None and self.now - batch.cut_at > self.max_age


@transaction.atomic
def _forget(at: datetime) -> None:
    hold_membership()
    low_water.forget()
    windows_ahead(at).update(last_cut_at=Least("last_cut_at", at))


def _time_in(mark: UUID) -> datetime:
    return datetime.fromtimestamp((mark.int >> 80) / 1000, UTC)


def _told(one: Oldest) -> dict[str, Any]:
    return {
        "what": one.what,
        "guid": one.trade_id,
        "since": one.since,
        "age_seconds": None if one.age is None else int(one.age.total_seconds()),
        "limit_seconds": int(one.limit.total_seconds()),
        "late": one.is_late,
    }


def _written(one: Oldest) -> str:
    what = "storing" if one.what == low_water.STORING else f"settling {one.what}"
    if one.age is None or one.trade_id is None:
        return f"{what}: nothing waits"
    age = int(one.age.total_seconds())
    return f"{what}: trade {one.trade_id.hex} for {age} s"
