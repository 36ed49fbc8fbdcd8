"""`manage.py backfill_candles FILE`: candles of the past, from CSV or Parquet. A whole file or nothing."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path
from typing import Any

from accounts import clock
from accounts.management import who
from accounts.management.output import JSONCommand
from quotes import backfill


class Command(JSONCommand):
    help = (
        "Bring in candles of a minute from a file: time,symbol,open,high,low,close and, if there, volume,trade_count."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("file", type=Path, help="CSV with a line of names, or .parquet")
        parser.add_argument("--replace", action="store_true", help="overwrite candles that are there and differ")
        parser.add_argument("--dry-run", action="store_true", help="only tell what it would do")
        who.add_by(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        by = who.named(options, "backfill_candles")
        filled = backfill.fill(
            options["file"],
            replace=options["replace"],
            by_id=by.pk if by else None,
            at=clock.now(),
            is_trial=options["dry_run"],
        )
        facts = asdict(filled) | {"dry_run": options["dry_run"]}
        would = "would be " if options["dry_run"] else ""
        line = (
            f"{filled.rows} rows: {filled.added} {would}added, {filled.replaced} {would}replaced, {filled.same} there"
            f" already, {filled.kept} there and another, which stay"
        )
        if filled.has_changed:
            self.say(options, facts, line)
        else:
            self.say_nothing(options, facts, line)
