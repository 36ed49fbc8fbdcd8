"""Settle batches as far as their legs allow. Whoever runs it confirms those that are only cut.

A batch that can't be settled, because it waits for another person or for its legs' reports, holds up no other; it is
told at the end, with exit code 4.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError
from rich.console import Console

from accounts.ids import pasted_guid
from accounts.management import who
from accounts.management.output import JSONCommand
from trades import selectors
from trades.errors import BatchNotFound
from trades.management.settling import end, tried
from trades.models import SettlementBatch
from trades.settlement.settle import CHUNK, SETTLEABLE
from trades.states import BatchState


class Command(JSONCommand):
    help = "Settle a batch (or --all) as far as its legs allow; one that is only cut is confirmed first."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("guid", nargs="?", help="the batch")
        parser.add_argument("--all", action="store_true", help="every batch that is cut, confirmed or half settled")
        who.add_by(parser, "who confirms: needed where a person or a program cut it")
        parser.add_argument("--chunk", type=int, default=CHUNK, help=f"trades per transaction (default {CHUNK})")

    def handle(self, *args: Any, guid: str | None, chunk: int, **options: Any) -> None:
        if (guid is None) == (not options["all"]):
            raise CommandError("Name one batch, or --all.")
        if not 1 <= chunk <= CHUNK:
            raise CommandError(f"--chunk must be from 1 to {CHUNK}.")
        by, console = who.actor(options, "settle_batch"), Console(file=sys.stderr)
        tries = []
        for batch in _wanted(guid):
            one = tried(batch, by, chunk, console)
            tries.append(one)
            if not options["json"] and not one.failure:
                self.stdout.write(one.sentence())
        facts = {"batches": [one.facts() for one in tries]}
        if not tries:
            self.say_nothing(options, facts, "No batch is open.")
        else:
            self.say(options, facts | ({"nothing": True} if all(one.was_completed for one in tries) else {}))
        end(tries)


def _wanted(guid: str | None) -> Iterator[SettlementBatch]:
    if guid is None:
        open_ones = selectors.batches().filter(state__in=[BatchState.CUT, *SETTLEABLE])
        yield from open_ones.order_by("pk")
        return
    id_: UUID | None = pasted_guid(guid)
    batch = selectors.batches().filter(pk=id_).first() if id_ else None
    if batch is None:
        raise BatchNotFound(f"There is no batch {guid[:40]}.")
    yield batch
