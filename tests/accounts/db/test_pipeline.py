"""Statements that travel together, in a transaction that begins with them and may end with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from django.db import (
    DatabaseError,
    DataError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
    connection,
    transaction,
)
from psycopg.pq import TransactionStatus

from accounts.arrays import array
from accounts.conflicts import is_conflict
from accounts.db import pipeline as pipelines
from accounts.db.pipeline import Known, Pending, ask, pipeline
from accounts.db.writing import Part, write
from accounts.models import Asset

pytestmark = pytest.mark.django_db(transaction=True)

GOLD = "XAU"
RENAMED = "UPDATE accounts_asset SET name = %s WHERE code = %s"


def renamed(to: str, *, fails: bool = False) -> None:
    """In one transaction, or savepoint, that begins with it."""
    with transaction.atomic():
        with pipeline() as p:
            p.send(RENAMED, [to, GOLD])
        if fails:
            raise ZeroDivisionError


def divided_by_zero() -> None:
    with transaction.atomic(), pipeline() as p:
        p.send(RENAMED, ["after", GOLD])
        p.send("SELECT 1 / %s::int", [0])
        p.commit()


def writes(**expected: int) -> None:
    with transaction.atomic(), pipeline() as p:
        write(p, [Part(RENAMED, ["after", asset], expected=count) for asset, count in expected.items()])
        p.commit()


def sends(*statements: str, commits: bool = False, then: Callable[[], object] = bool, fails: bool = False) -> None:
    with pipeline() as p:
        for sql in statements:
            p.send(sql)
        if commits:
            p.commit()
        then()
        if fails:
            raise ZeroDivisionError


def status() -> int:
    return int(connection.connection.pgconn.transaction_status)


@pytest.fixture(autouse=True)
def _a_name() -> Iterator[None]:
    Asset.objects.filter(pk=GOLD).update(name="before")
    yield
    Asset.objects.filter(pk=GOLD).update(name="Gold")


def name() -> str:
    return Asset.objects.get(pk=GOLD).name


def test_values_come_back_as_what_they_are() -> None:
    said = [1, Decimal("0.10"), UUID(int=7), datetime(2026, 1, 2, 3, 4, 5, 6, UTC), 'a "text" \\ €', None]
    types = ["bigint", "numeric", "uuid", "timestamptz", "text", "text"]
    columns = ", ".join(f"%s::{type_}" for type_ in types)
    assert ask(f"SELECT {columns}, true", said, list) == [(*said, True)]
    assert ask("SELECT unnest(%s::uuid[]), '%%'", [array([UUID(int=7)])], list) == [(UUID(int=7), "%")]
    assert ask("SELECT WHERE false", [], list) == []


def test_answers_may_be_asked_for_in_any_order_and_later() -> None:
    with pipeline() as p:
        first: Pending[int] = p.send("SELECT %s::int", [1], lambda rows: rows[0][0])
        second = p.send("SELECT %s::int", [2])
        assert second.result() == [(2,)]
        assert first.result() == 1
        third = p.send("SELECT %s::int", [3])
    assert third.result() == [(3,)]
    assert Known(4).result() == 4


def test_a_transaction_that_begins_with_a_pipeline_is_undone_as_a_whole() -> None:
    """Guard: BEGIN in `Pipeline.begin`. Each statement would be its own transaction."""
    with pytest.raises(ZeroDivisionError):
        renamed("after", fails=True)
    assert name() == "before"


def test_it_is_committed_by_django_as_any_other() -> None:
    with transaction.atomic():
        renamed("after")
        assert status() == TransactionStatus.INTRANS
        renamed("later")
    assert status() == TransactionStatus.IDLE
    assert name() == "later"
    Asset.objects.filter(pk=GOLD).update(name="by itself")
    connection.close()
    assert name() == "by itself"


def test_it_may_be_committed_by_the_pipeline() -> None:
    told = []
    with transaction.atomic():
        transaction.on_commit(lambda: told.append("committed"))
        with pipeline() as p:
            p.send(RENAMED, ["after", GOLD])
            p.commit()
        assert status() == TransactionStatus.IDLE
    assert name() == "after"
    assert told == ["committed"]


def test_a_statement_that_fails_undoes_it_and_nothing_after_it_is_done() -> None:
    with pytest.raises(DataError):
        divided_by_zero()
    assert status() == TransactionStatus.IDLE
    assert name() == "before"


def test_commit_of_a_transaction_that_had_failed_is_an_error() -> None:
    """Guard: the look at COMMIT's command tag. The server answers ROLLBACK, which is no failure of its own."""
    with transaction.atomic():
        with pytest.raises(IntegrityError), connection.cursor() as cursor:
            cursor.execute("INSERT INTO accounts_asset (code) VALUES (NULL)")
        with pytest.raises(OperationalError, match="ROLLBACK"), pipeline() as p:
            p.commit()
        transaction.set_rollback(True)


def test_what_a_commit_refuses_is_told() -> None:
    with pytest.raises(DatabaseError) as refused, transaction.atomic():
        sends("SELECT set_config('transaction_timeout', '50ms', true)", "SELECT pg_sleep(0.3)", commits=True)
    assert getattr(refused.value.__cause__, "sqlstate", None) == "25P04"
    connection.close()
    assert name() == "before"


def test_its_savepoints_are_undone_alone() -> None:
    with transaction.atomic():
        renamed("after")
        with pytest.raises(ZeroDivisionError):
            renamed("never", fails=True)
    assert name() == "after"


def test_outside_a_transaction_it_begins_none() -> None:
    assert ask("SELECT name FROM accounts_asset WHERE code = %s", [GOLD], list) == [("before",)]
    assert status() == TransactionStatus.IDLE


def test_a_failure_of_the_caller_leaves_the_connection_usable() -> None:
    with pytest.raises(ZeroDivisionError):
        sends("SELECT 1 / (SELECT 0)", fails=True)
    assert name() == "before"


def test_a_statement_that_could_not_be_prepared_is_prepared_later() -> None:
    """Guard: `_note_failure` forgets the name. Else the next use would name a statement that isn't there."""
    with pytest.raises(DataError):
        sends("SELECT 1 / (SELECT 0)", "SELECT 42")
    assert ask("SELECT 42", [], list) == [(42,)]
    for _ in range(2):
        with pytest.raises(ProgrammingError, match="not_there"):
            ask("SELECT * FROM not_there WHERE id = %s::int", [1], list)


def test_more_statements_than_are_kept_prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipelines, "MOST_PREPARED", 0)
    assert ask("SELECT %s::int, 'not prepared'", [1], list) == [(1, "not prepared")]


def test_more_than_fits_into_the_sockets_both_ways() -> None:
    """Guard: `flush` and POLLOUT in `_receive`. Else both sides wait for the other to read."""
    large = "x" * 300_000
    with pipeline() as p:
        answers = [p.send("SELECT %s::text", [large]) for _ in range(40)]
    assert [answer.result() for answer in answers] == [[(large,)]] * 40


def test_a_text_with_nul_is_refused_and_not_cut() -> None:
    """Guard: the look for NUL. The driver's library would end the text there."""
    with pytest.raises(DataError, match="NUL"):
        ask("SELECT %s::text", ["before\0after"], list)


def test_a_cursor_of_djangos_waits_for_the_answers_before_it() -> None:
    """Guard: `step_aside`. The cursor would take the first statement's answer for its own."""
    with transaction.atomic(), pipeline() as p:
        first = p.send(f"{RENAMED} RETURNING name", ["after", GOLD])
        assert name() == "after"
        with transaction.atomic():
            Asset.objects.filter(pk=GOLD).update(name="later")
        assert p.send("SELECT name FROM accounts_asset WHERE code = %s", [GOLD]).result() == [("later",)]
        assert first.result() == [("after",)]
    with pytest.raises(ProgrammingError, match="not_there"):
        sends("SELECT * FROM not_there", then=name)
    assert name() == "later"


def test_a_pipeline_inside_a_pipeline_is_refused() -> None:
    with pytest.raises(InterfaceError, match="inside a pipeline"), pipeline(), pipeline():
        pass


def test_a_session_that_is_ended_is_told_and_the_next_one_works() -> None:
    with pytest.raises(OperationalError) as ended:
        sends("SELECT pg_terminate_backend(pg_backend_pid())", "SELECT 2")
    assert getattr(ended.value.__cause__, "sqlstate", None) == "57P01"
    connection.close()
    assert ask("SELECT 3", [], list) == [(3,)]


@pytest.mark.parametrize("expected", [{GOLD: 2}, {GOLD: 1, "none": 1}])
def test_a_write_of_another_number_of_rows_fails_before_its_commit(expected: dict[str, int]) -> None:
    """Guard: `refuse_changed_rows` in the statement itself."""
    with pytest.raises(DatabaseError) as refused:
        writes(**expected)
    assert getattr(refused.value.__cause__, "sqlstate", None) == "BR001"
    assert name() == "before"


def test_a_write_of_as_many_rows_as_expected_is_committed() -> None:
    writes(**{GOLD: 1, "none": 0})
    assert name() == "after"


def test_a_statement_that_the_session_does_not_know_is_a_conflict_and_nothing_is_prepared_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As behind a pooler that nobody told of. Guards: `prepare_no_more`; its code in `conflicts.SQLSTATES`."""
    monkeypatch.setattr(pipelines, "_is_pooled", False)
    asked = "SELECT %s::int, 'forgotten'"
    assert ask(asked, [1], list) == [(1, "forgotten")]
    with connection.cursor() as cursor:
        cursor.execute("DEALLOCATE ALL")

    with pytest.raises(OperationalError) as told:
        ask(asked, [2], list)

    assert is_conflict(told.value)
    assert ask(asked, [3], list) == [(3, "forgotten")]
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_prepared_statements")
        assert cursor.fetchone() == (0,)


def test_a_name_that_somebody_else_has_given_is_a_conflict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guard: a name says what the statement is: another process' is found, and never run."""
    monkeypatch.setattr(pipelines, "_is_pooled", False)
    with connection.cursor() as cursor:
        name = pipelines._name_of("SELECT %s::int", [20]).decode()
        cursor.execute(f"PREPARE {name} (bigint) AS SELECT $1::int")
    try:
        with pytest.raises(OperationalError) as told:
            ask("SELECT %s::int", [1], list)
    finally:
        connection.close()

    assert is_conflict(told.value)
    assert pipelines._name_of("SELECT %s::int", [1700]) != pipelines._name_of("SELECT %s::int", [20])
