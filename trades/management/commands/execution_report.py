"""`manage.py execution_report`: what a day's deals cost beside the middle and beside each source."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from accounts.management.output import JSONCommand
from trades.reads import best_execution
from trades.reads.best_execution import MIDDLE, Line


class Command(JSONCommand):
    help = "Best execution of a day: deals, value and slippage beside the middle and each source, per symbol and side."
    is_deed = True
    prints_its_work = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        form = parser.add_mutually_exclusive_group()
        super().add_arguments(form)  # type: ignore[arg-type]  # --csv and --json exclude each other
        form.add_argument("--csv", action="store_true", help="print CSV")
        parser.add_argument(
            "--day", type=best_execution.day_of, metavar="YYYY-MM-DD", help="a day of UTC; yesterday unless said"
        )
        parser.add_argument("--symbol", default="", help="this one alone")

    def handle(self, *args: Any, **options: Any) -> None:
        day = options["day"] or best_execution.yesterday()
        lines = best_execution.report(day, options["symbol"])
        if options["csv"]:
            self.stdout.write(best_execution.as_csv(lines), ending="")
            return
        facts = {"day": day.isoformat(), "lines": [best_execution.told(line) for line in lines]}
        self.say_found(options, facts, [_written(line) for line in lines], nothing=f"No deal on {day}.")


def _written(line: Line) -> str:
    beside = "the middle" if line.against == MIDDLE else line.against
    if line.mean is None:
        return f"{line.symbol} {line.side}: {line.not_kept} deals whose price wasn't kept"
    more = f", {line.held} at a held price" if line.held else ""
    more += f", {line.not_kept} more without" if line.not_kept else ""
    return (
        f"{line.symbol} {line.side} beside {beside}: {line.deals} deals of {line.quantity:f} for {line.value:f}, cost"
        f" {line.cost:f}; mean {line.mean:f} ({line.mean_bps:f} bps), median {line.median:f} ({line.median_bps:f} bps),"
        f" worst {line.worst:f} ({line.worst_bps:f} bps){more}"
    )
