"""Several tables written in one statement: no part sees what another writes, and no row is in two of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from accounts.db.pipeline import Known, Pending, Pipeline, Rows, Value


class Part(NamedTuple):
    """An INSERT or UPDATE among others; `expected`: how many rows it must write, where that is a guard."""

    sql: str
    parameters: Sequence[Value]
    expected: int | None = None


class ChangedMeanwhile(RuntimeError):
    """A guarded row was not as it was read: somebody else changed it. Nothing of the transaction may stay."""


def write(p: Pipeline, parts: Iterable[Part | None], commit_by: datetime | None = None) -> Pending[None]:
    """Send parts that are written together; ask for the result before the transaction is committed.

    `commit_by` as in `clock.must_commit_by`, without a wait of its own. The result raises ChangedMeanwhile where a part
    wrote another number of rows than expected.
    """
    said = [part for part in parts if part is not None]
    if not said:
        return Known(None)
    sql = _statement(tuple((part.sql, part.expected is not None) for part in said), commit_by is not None)
    parameters = [value for part in said for value in part.parameters]
    if commit_by is not None:
        parameters.append(commit_by)
    return p.send(sql, parameters, _checked([part.expected for part in said if part.expected is not None]))


def _checked(expected: list[int]) -> Callable[[Rows], None]:
    def check(rows: Rows) -> None:
        ((*counts, _),) = rows
        if counts != expected:
            raise ChangedMeanwhile("a row that was locked, or was ours alone, had been changed by somebody else")

    return check


@lru_cache(maxsize=256)
def _statement(parts: tuple[tuple[str, bool], ...], is_bound: bool) -> str:
    named = ", ".join(
        f"w{number} AS ({sql}{' RETURNING 1' if is_guarded else ''})" for number, (sql, is_guarded) in enumerate(parts)
    )
    guarded = [number for number, (_, is_guarded) in enumerate(parts) if is_guarded]
    counts = [f"(SELECT count(*) FROM w{number})" for number in guarded]  # noqa: S608 - our own statements
    bound = "must_commit_by(%s)" if is_bound else "NULL"  # the last to be evaluated
    return f"WITH {named} SELECT {', '.join([*counts, bound])}"
