"""Cut a settlement batch now. It freezes membership and moves no money; `settle_batch` does that."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts import exact
from accounts.errors import Refusal
from accounts.identity import SYSTEM
from trades.models import SettlementBatch, SettlementWindow
from trades.settlement.cut import cut_now, cut_window


class Command(BaseCommand):
    help = "Cut a settlement batch now, without settling it. Its trades can't be exited any more."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--window", metavar="NAME", help="only this window's kind of asset; else every kind")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, window: str | None, json: bool, **options: Any) -> None:
        try:
            batch = _cut(window)
        except Refusal as refusal:
            raise CommandError(refusal.text) from refusal
        if json:
            self.stdout.write(
                exact.dumps({"guid": batch.pk, "state": batch.state, "trades": batch.trades_count}).decode()
            )
        else:
            self.stdout.write(f"{batch.pk.hex} {batch.state}: {batch.trades_count} trades")


def _cut(name: str | None) -> SettlementBatch:
    now = timezone.now()
    if name is None:
        return cut_now(at=now, by=SYSTEM)
    window = SettlementWindow.objects.filter(name=name).first()
    if window is None:
        raise CommandError(f"There is no window {name!r}.")
    batch = cut_window(window, now, now)
    if batch is None:
        raise CommandError("This window was cut at this very moment.")
    return batch
