"""When the settlement windows will be cut next."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts import clock, json_codec
from trades.models import SettlementWindow
from trades.settlement.windows import next_cuts

MOST = 100


class Command(BaseCommand):
    help = "List the next cuts of every active settlement window, in UTC."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--count", type=int, default=10, help="how many of each window (default 10)")
        parser.add_argument("--json", action="store_true", help="print one JSON list")

    def handle(self, *args: Any, count: int, json: bool, **options: Any) -> None:
        if not 1 <= count <= MOST:
            raise CommandError(f"--count must be from 1 to {MOST}.")
        now = clock.now()
        windows = SettlementWindow.objects.filter(is_active=True).order_by("name")
        cuts = [{"window": window.name, "cuts": next_cuts(window, now, count)} for window in windows]
        if json:
            self.stdout.write(json_codec.dumps(cuts).decode())
            return
        for window in cuts:
            self.stdout.write(str(window["window"]))
            for at in window["cuts"]:
                self.stdout.write(f"  {at:%a %Y-%m-%d %H:%M} UTC")
