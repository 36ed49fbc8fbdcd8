"""Several tables written in one statement: no part sees what another writes, and no row is in two of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from accounts.db.pipeline import Pipeline, Value


class Part(NamedTuple):
    """An INSERT or UPDATE among others; `expected`: how many rows it must write, where that is a guard."""

    sql: str
    parameters: Sequence[Value]
    expected: int | None = None


def write(p: Pipeline, parts: Iterable[Part | None], commit_by: datetime | None = None) -> None:
    """Send parts that are written together; `commit_by` as in `clock.must_commit_by`, without a wait of its own.

    The statement fails where a part writes another number of rows than expected (`refuse_changed_rows`): somebody else
    changed one that was locked. So nothing that is sent after it is done, COMMIT included.
    """
    said = [part for part in parts if part is not None]
    if not said:
        return
    sql = _statement(tuple((part.sql, part.expected is not None) for part in said), commit_by is not None)
    parameters = [value for part in said for value in part.parameters]
    parameters += [part.expected for part in said if part.expected is not None]
    if commit_by is not None:
        parameters.append(commit_by)
    p.send(sql, parameters)


@lru_cache(maxsize=256)
def _statement(parts: tuple[tuple[str, bool], ...], is_bound: bool) -> str:
    named = ", ".join(
        f"w{number} AS ({sql}{' RETURNING 1' if is_guarded else ''})" for number, (sql, is_guarded) in enumerate(parts)
    )
    guarded = [number for number, (_, is_guarded) in enumerate(parts) if is_guarded]
    wrong = " OR ".join(f"(SELECT count(*) FROM w{number}) <> %s" for number in guarded)  # noqa: S608 - our own
    checked = f"CASE WHEN {wrong} THEN refuse_changed_rows() END" if wrong else "NULL"
    bound = "must_commit_by(%s)" if is_bound else "NULL"  # the last to be evaluated
    return f"WITH {named} SELECT {checked}, {bound}"
