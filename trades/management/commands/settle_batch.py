"""Settle batches to their end. Whoever runs it on the firm's own machine is the operator who confirms."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from accounts import exact
from accounts.errors import Refusal
from accounts.identity import SYSTEM
from accounts.ids import parse_guid
from trades import selectors
from trades.models import SettlementBatch
from trades.settlement.approval import confirm
from trades.settlement.settle import CHUNK, SETTLEABLE, settle
from trades.states import BatchState


class Command(BaseCommand):
    help = "Settle a batch (or --all) to its end; one that is only cut is confirmed first, in the operator's name."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("guid", nargs="?", help="the batch")
        parser.add_argument("--all", action="store_true", help="every batch that is cut, confirmed or half settled")
        parser.add_argument("--json", action="store_true", help="print one JSON list of the batches")
        parser.add_argument("--chunk", type=int, default=CHUNK, help=f"originals per transaction (default {CHUNK})")

    def handle(self, *args: Any, guid: str | None, all: bool, json: bool, chunk: int, **options: Any) -> None:  # noqa: A002
        if (guid is None) == (not all):
            raise CommandError("Name one batch, or --all.")
        if not 1 <= chunk <= CHUNK:
            raise CommandError(f"--chunk must be from 1 to {CHUNK}.")
        console = Console(file=sys.stderr)
        settled = []
        for batch in _wanted(guid):
            try:
                self._settle(batch, chunk, console)
            except Refusal as refusal:
                raise CommandError(f"{batch.pk.hex}: {refusal.text}") from refusal
            batch.refresh_from_db()
            settled.append({"guid": batch.pk, "state": batch.state, "completed": batch.completed_count})
            if not json:
                self.stdout.write(f"{batch.pk.hex} {batch.state}: {batch.completed_count} trades completed")
        if json:
            self.stdout.write(exact.dumps(settled).decode())

    def _settle(self, batch: SettlementBatch, chunk: int, console: Console) -> None:
        if batch.state == BatchState.CUT:
            confirm(batch.pk, by=SYSTEM, at=timezone.now())
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
            task = bar.add_task(batch.pk.hex[:12], total=batch.trades_count)
            for progress in settle(batch.pk, clock=timezone.now, chunk=chunk):
                bar.update(task, completed=progress.completed)


def _wanted(guid: str | None) -> Iterator[SettlementBatch]:
    if guid is None:
        open_ones = selectors.batches().filter(state__in=[BatchState.CUT, *SETTLEABLE])
        yield from open_ones.order_by("pk")
        return
    id_: UUID | None = parse_guid(guid.replace("-", "").lower())
    batch = selectors.batches().filter(pk=id_).first() if id_ else None
    if batch is None:
        raise CommandError(f"There is no batch {guid}.")
    yield batch
