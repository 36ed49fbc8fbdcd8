"""Settle batches as far as their legs allow. Whoever runs it confirms those that are only cut.

A batch that can't be settled, because it waits for another person, holds up no other; it is told at the end, with exit
code 1.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from django.db import IntegrityError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from accounts import clock, json_codec
from accounts.errors import Refusal
from accounts.identity import Actor
from accounts.ids import pasted_guid
from accounts.management import who
from trades import selectors
from trades.errors import MakerIsChecker
from trades.models import SettlementBatch
from trades.settlement.approval import confirm
from trades.settlement.settle import CHUNK, SETTLEABLE, Progress, settle
from trades.states import BatchState


class Command(BaseCommand):
    help = "Settle a batch (or --all) as far as its legs allow; one that is only cut is confirmed first."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("guid", nargs="?", help="the batch")
        parser.add_argument("--all", action="store_true", help="every batch that is cut, confirmed or half settled")
        who.add_by(parser, "who confirms: needed where a person or a program cut it")
        parser.add_argument("--json", action="store_true", help="print one JSON list of the batches")
        parser.add_argument("--chunk", type=int, default=CHUNK, help=f"trades per transaction (default {CHUNK})")

    def handle(self, *args: Any, guid: str | None, chunk: int, **options: Any) -> None:
        if (guid is None) == (not options["all"]):
            raise CommandError("Name one batch, or --all.")
        if not 1 <= chunk <= CHUNK:
            raise CommandError(f"--chunk must be from 1 to {CHUNK}.")
        console = Console(file=sys.stderr)
        told, refused = [], []
        by = _checker(options)
        for batch in _wanted(guid):
            last, why = Progress(batch.completed_count, batch.trades_count, is_done=False), ""
            try:
                last = _settle(batch, by, chunk, console)
            except (Refusal, RuntimeError, IntegrityError) as failure:
                why = _why(failure)
                refused.append(f"{batch.pk.hex}: {why}")
            batch.refresh_from_db()
            told.append(_told(batch, last, why))
            if not options["json"] and not why:
                self.stdout.write(_written(batch, last))
        if options["json"]:
            self.stdout.write(json_codec.dumps(told).decode())
        if refused:
            raise CommandError("\n".join(refused))


def _settle(batch: SettlementBatch, by: Actor, chunk: int, console: Console) -> Progress:
    """Confirm it where that is still to be done, and settle it under a progress bar; gives how far it came."""
    if batch.state == BatchState.CUT:
        confirm(batch.pk, by=by, at=clock.now())
    progress = Progress(0, batch.trades_count, is_done=False)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), MofNCompleteColumn())
    with Bar(*columns, TimeElapsedColumn(), console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(batch.pk.hex[-10:], total=batch.trades_count)
        for progress in settle(batch.pk, clock=clock.now, chunk=chunk):
            bar.update(task, completed=progress.completed, total=progress.total)
    return progress


def _checker(options: dict[str, Any]) -> Actor:
    try:
        return who.actor(options)
    except Refusal as refusal:
        raise CommandError(refusal.text) from refusal


def _why(failure: Exception) -> str:
    if not isinstance(failure, Refusal):
        return f"It can't be settled: {failure}"
    hint = " Name another one who confirms it: --by EMAIL." if isinstance(failure, MakerIsChecker) else ""
    return f"{failure.text}{hint}"


def _told(batch: SettlementBatch, last: Progress, why: str) -> dict[str, Any]:
    return {
        "guid": batch.pk,
        "state": batch.state,
        "completed": batch.completed_count,
        "trades": batch.trades_count,
        "left_out": batch.left_out_count,
        "waits_for": list(last.waits_for),
        **({"refused": why} if why else {}),
    }


def _written(batch: SettlementBatch, last: Progress) -> str:
    left_out = f", {batch.left_out_count} left out" if batch.left_out_count else ""
    waits = f"; waits for the legs of {', '.join(last.waits_for)}" if last.waits_for else ""
    done = f"{batch.completed_count} of {batch.trades_count} trades completed"
    return f"{batch.pk.hex} {batch.state}: {done}{left_out}{waits}"


def _wanted(guid: str | None) -> Iterator[SettlementBatch]:
    if guid is None:
        open_ones = selectors.batches().filter(state__in=[BatchState.CUT, *SETTLEABLE])
        yield from open_ones.order_by("pk")
        return
    id_: UUID | None = pasted_guid(guid)
    batch = selectors.batches().filter(pk=id_).first() if id_ else None
    if batch is None:
        raise CommandError(f"There is no batch {guid}.")
    yield batch
