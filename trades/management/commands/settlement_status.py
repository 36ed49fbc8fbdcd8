"""`manage.py settlement_status`: what has waited longest, and is anything late? Exit code 1 where it is."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Least

from accounts import clock
from accounts.management.output import JSONCommand
from trades import low_water
from trades.models import SettlementBatch
from trades.settlement.cut import hold_membership
from trades.settlement.waiting import Oldest, findings, oldest, windows_ahead
from trades.states import BatchState


class Command(JSONCommand):
    help = "Tell what has waited longest in storing and settling, the marks, and what no cut will reach."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--forget-marks", action="store_true", help="look at every trade again; windows that are ahead begin anew"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        at = clock.now()
        if options["forget_marks"]:
            _forget(at)
        waiting, ahead = oldest(at), [window.name for window in windows_ahead(at)]
        found = [finding.sentence for finding in findings()]
        unfinished = SettlementBatch.objects.exclude(state__in=[BatchState.COMPLETED, BatchState.CANCELLED])
        marks = {kind: _time_in(mark) for kind, mark in sorted(low_water.marks_of().items())}
        facts = {
            "at": at,
            "late": bool(found or ahead or any(one.is_late for one in waiting)),
            "oldest": [_told(one) for one in waiting],
            "marks": marks,
            "windows_ahead": ahead,
            "batches_open": unfinished.count(),
            "findings": found,
        }
        self.say(
            options,
            facts,
            *(_written(one) for one in waiting),
            *(f"mark of {kind}: {mark:%Y-%m-%d %H:%M:%S} UTC" for kind, mark in marks.items()),
            *(f"LATE window {name}: remembers a cut that is still to come" for name in ahead),
            *(f"LATE {sentence}" for sentence in found),
            f"{facts['batches_open']} batches open",
        )
        if facts["late"]:
            sys.exit(1)


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
    return f"{'LATE ' if one.is_late else ''}{what}: trade {one.trade_id.hex} for {age} s"
