"""A command that stands in the stream more than once: only its first delivery is judged.

What was done is found in the database when it comes again. What was refused stands nowhere, unless it had a key or
is remembered (`commands.remembered_by`): tried again, it might succeed, after its caller was told that it did not. So
an engine keeps its refusals until their deadline. It needs them no longer, and another engine doesn't need them: answer
and acknowledgement are one step.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from trades.engine.command_stream import Entry
from trades.margin.commands import Answer

_REFUSED = 400


class Redeliveries:
    """One engine's refusals, by command."""

    def __init__(self) -> None:
        self._refused: dict[UUID, tuple[datetime, Answer]] = {}

    def split(self, entries: Sequence[Entry], now: datetime) -> tuple[list[Entry], list[Entry]]:
        """The first deliveries, which are to be judged, and the repeats among them or of what was refused before."""
        for command_id, (deadline, _) in list(self._refused.items()):
            if deadline > now:
                break  # they are kept in the order of their coming, and live about as long
            del self._refused[command_id]
        first: dict[UUID, Entry] = {}
        repeats = []
        for entry in entries:
            if entry.command.id in first or entry.command.id in self._refused:
                repeats.append(entry)
            else:
                first[entry.command.id] = entry
        return list(first.values()), repeats

    def answered(self, entries: Iterable[Entry], repeats: Iterable[Entry], answers: Sequence[Answer]) -> list[Answer]:
        """Note what was refused, now that it is committed; the answers to the repeats."""
        by_id = {answer.command_id: answer for answer in answers}
        for entry in entries:
            answer = by_id.get(entry.command.id)
            if answer is not None and answer.status >= _REFUSED and entry.deadline is not None:
                self._refused[entry.command.id] = (entry.deadline, answer)
        known = by_id | {command_id: answer for command_id, (_, answer) in self._refused.items()} if repeats else {}
        return [known[entry.command.id] for entry in repeats if entry.command.id in known]
