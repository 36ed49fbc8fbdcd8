"""When the settlement windows will be cut next. One whose schedule can't be read is named, and holds up no other."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.management.base import CommandError

from accounts import clock
from accounts.management.exits import Found
from accounts.management.output import JSONCommand
from trades.errors import BadSchedule
from trades.models import SettlementWindow
from trades.settlement.windows import next_cuts

MOST = 100


class Command(JSONCommand):
    help = "List the next cuts of every active settlement window, in UTC; exit code 1 where a schedule can't be read."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--count", type=int, default=10, help="how many of each window (default 10)")

    def handle(self, *args: Any, count: int, **options: Any) -> None:
        if not 1 <= count <= MOST:
            raise CommandError(f"--count must be from 1 to {MOST}.")
        now = clock.firm_now()
        windows = SettlementWindow.objects.filter(is_active=True).order_by("name")
        found = [_ahead(window, now, count) for window in windows]
        lines = [line for one in found for line in one.lines()]
        facts = {"at": now, "windows": [one.facts() for one in found]}
        self.say_found(options, facts, lines, nothing="No window is active.")
        if unreadable := [one.unreadable for one in found if one.unreadable]:
            raise Found(" ".join(unreadable))


@dataclass(frozen=True, slots=True)
class _Ahead:
    window: str
    cuts: list[datetime]
    unreadable: str = ""

    def facts(self) -> dict[str, Any]:
        told: dict[str, Any] = {"window": self.window, "cuts": self.cuts}
        return {**told, "unreadable": self.unreadable} if self.unreadable else told

    def lines(self) -> list[str]:
        if self.unreadable:
            return [self.window, f"  UNREADABLE {self.unreadable}"]
        return [self.window, *(f"  {at:%a %Y-%m-%d %H:%M} UTC" for at in self.cuts)]


def _ahead(window: SettlementWindow, now: datetime, count: int) -> _Ahead:
    try:
        return _Ahead(window.name, next_cuts(window, now, count))
    except BadSchedule as bad:
        return _Ahead(window.name, [], bad.text)
