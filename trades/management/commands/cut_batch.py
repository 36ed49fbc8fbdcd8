"""Cut a settlement batch now. It freezes membership and moves no money; `settle_batch` does that."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from accounts import clock
from accounts.identity import Actor
from accounts.management import who
from accounts.management.output import JSONCommand, as_command_errors
from accounts.models import Asset
from accounts.money import from_base_units
from trades.models import SettlementBatch, SettlementWindow
from trades.settlement.cut import EVERY_KIND, CutPreview, cut_now, cut_window, preview


class Command(JSONCommand):
    help = "Cut a settlement batch now, without settling it. Its trades can't be exited any more."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--window", metavar="NAME", help="only this window's kind of asset; else every kind")
        parser.add_argument("--dry-run", action="store_true", help="say what would be in it, and change nothing")
        who.add_by(parser, "the member of staff who cuts it; another one must confirm")
        parser.add_argument(
            "--report-legs", action="store_true", help="its legs wait to be reported; a window says so itself"
        )

    @as_command_errors
    def handle(self, *args: Any, **options: Any) -> None:
        window = _window(options["window"])
        if window and options["report_legs"]:
            raise CommandError("--report-legs is for a cut of every kind; a window has its own setting.")
        if options["dry_run"]:
            kinds = [window.asset_kind] if window else EVERY_KIND
            found = preview(kinds, clock.now())
            self.say(options, _told(found), *_written(found))
            return
        batch = _cut(window, who.actor(options), legs_are_automatic=not options["report_legs"])
        facts = {"guid": batch.pk, "state": batch.state, "trades": batch.trades_count}
        self.say(options, facts, f"{batch.pk.hex} {batch.state}: {batch.trades_count} trades")


def _window(name: str | None) -> SettlementWindow | None:
    if name is None:
        return None
    window = SettlementWindow.objects.filter(name=name).first()
    if window is None:
        raise CommandError(f"There is no window {name!r}.")
    return window


def _cut(window: SettlementWindow | None, by: Actor, *, legs_are_automatic: bool) -> SettlementBatch:
    now = clock.now()
    if window is None:
        return cut_now(at=now, by=by, legs_are_automatic=legs_are_automatic)
    batch = cut_window(window, now, now, by)
    if batch is None:
        raise CommandError("Nothing was cut: no trade is waiting for this window, or it was cut at this very moment.")
    return batch


def _told(found: CutPreview) -> dict[str, Any]:
    """Amounts in base units, as in the API."""
    return {
        "trades": found.trades,
        "exits": found.exits,
        "customers": found.customers,
        "left_out": [{"reason": reason, "trades": count} for reason, count in found.left_out],
        "legs": [{"asset": net.asset, "direction": net.direction, "expected": str(net.expected)} for net in found.nets],
    }


def _written(found: CutPreview) -> list[str]:
    decimals = dict(Asset.objects.values_list("code", "decimals"))
    return [
        f"A cut would take {found.trades} trades, {found.exits} of them exits, of {found.customers} customers.",
        *(
            f"  {net.asset:6} {net.direction:9} {from_base_units(net.expected, decimals[net.asset]):f}"
            for net in found.nets
        ),
        *(f"Left out: {count} trades, {reason}." for reason, count in found.left_out),
    ]
