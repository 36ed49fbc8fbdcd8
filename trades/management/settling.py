"""What `settle_batch` and `cut_batch --confirm` do with a batch, how both tell it, and how both end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from django.db import IntegrityError, OperationalError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from accounts import clock
from accounts.errors import Refusal
from accounts.identity import Actor
from accounts.management import who
from accounts.management.exits import Found, Refused, TryAgain, WaitsForPerson
from accounts.models import User
from trades.errors import MakerIsChecker
from trades.models import SettlementBatch
from trades.settlement.approval import confirm
from trades.settlement.settle import Progress, settle
from trades.states import BatchState

LOCK_NOT_AVAILABLE: Final = "55P03"


@dataclass(frozen=True, slots=True)
class Try:
    """What became of one batch; `why` it could not be settled, and with which failure."""

    batch: SettlementBatch
    last: Progress
    was_completed: bool
    failure: Exception | None = None

    @property
    def why(self) -> str:
        return _why(self.failure) if self.failure else ""

    def facts(self) -> dict[str, Any]:
        return {
            "guid": self.batch.pk,
            "state": self.batch.state,
            "completed": self.batch.completed_count,
            "trades": self.batch.trades_count,
            "left_out": self.batch.left_out_count,
            "waits_for": list(self.last.waits_for),
            **({"refused": self.why} if self.why else {}),
        }

    def sentence(self) -> str:
        batch = self.batch
        left_out = f", {batch.left_out_count} left out" if batch.left_out_count else ""
        waits = f"; waits for the legs of {', '.join(self.last.waits_for)}" if self.last.waits_for else ""
        done = f"{batch.completed_count} of {batch.trades_count} trades completed"
        return f"{batch.pk.hex} {batch.state}: {done}{left_out}{waits}"

    @property
    def waits(self) -> bool:
        """For a person: a second one, or whoever reports its legs."""
        return isinstance(self.failure, MakerIsChecker) or bool(self.last.waits_for)


def tried(batch: SettlementBatch, by: Actor, chunk: int, console: Console) -> Try:
    """Confirm it where that is still to be done, and settle it as far as its legs allow.

    `console`: where a progress bar is shown, if it is a terminal. Raises what says that a server is away.
    """
    failure: Exception | None = None
    was_completed = batch.state == BatchState.COMPLETED
    last = Progress(batch.completed_count, batch.trades_count, is_done=False)
    try:
        last = _settled(batch, by, chunk, console)
    except (Refusal, RuntimeError, IntegrityError) as reason:
        failure = reason
    except OperationalError as reason:
        if not _is_a_lock(reason):  # the server itself: no other batch would come further
            raise
        failure = reason
    batch.refresh_from_db()
    return Try(batch, last, was_completed, failure)


def _is_a_lock(failure: OperationalError) -> bool:
    return getattr(failure.__cause__, "sqlstate", None) == LOCK_NOT_AVAILABLE


def end(tries: list[Try]) -> None:
    """The gravest that happened is the command's end: broken books, a refusal, a lock, a wait. Raises Ending."""
    broken = [one for one in tries if isinstance(one.failure, RuntimeError | IntegrityError)]
    refused = [one for one in tries if isinstance(one.failure, Refusal) and not one.waits]
    locked = [one for one in tries if isinstance(one.failure, OperationalError)]
    waiting = [one for one in tries if one.waits]
    if broken:
        raise Found(_list_of(broken))
    if refused:
        raise Refused(_list_of(refused))
    if locked:
        raise TryAgain(_list_of(locked))
    if waiting:
        raise WaitsForPerson(_list_of(waiting))


def _list_of(tries: list[Try]) -> str:
    return " ".join(f"{one.batch.pk.hex}: {one.why or _legs(one)}" for one in tries)


def _legs(one: Try) -> str:
    return f"the legs of {', '.join(one.last.waits_for)} are to be reported."


def _why(failure: Exception) -> str:
    if not isinstance(failure, Refusal):
        return f"It can't be settled: {failure}"
    hint = " Name another one who confirms it: --by EMAIL." if isinstance(failure, MakerIsChecker) else ""
    return f"{failure.text}{hint}"


def _settled(batch: SettlementBatch, by: Actor, chunk: int, console: Console) -> Progress:
    if batch.state == BatchState.CUT:
        if by.user_id is not None:
            who.must(User.objects.get(pk=by.user_id), "confirm_batch")
        confirm(batch.pk, by=by, at=clock.firm_now())
    progress = Progress(0, batch.trades_count, is_done=False)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), MofNCompleteColumn())
    with Bar(*columns, TimeElapsedColumn(), console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(batch.pk.hex[-10:], total=batch.trades_count)
        for progress in settle(batch.pk, clock=clock.firm_now, chunk=chunk):
            bar.update(task, completed=progress.completed, total=progress.total)
    return progress
