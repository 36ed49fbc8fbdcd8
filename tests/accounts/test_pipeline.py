"""Questions that travel together, and the transaction that begins with them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import DataError, connection, transaction
from psycopg.pq import TransactionStatus

from accounts.models import Asset
from accounts.pipeline import ChangedMeanwhile, Part, ask, ask_to_write, together

pytestmark = pytest.mark.django_db(transaction=True)

GOLD = "XAU"
RENAMED = "UPDATE accounts_asset SET name = %s WHERE code = %s"


def renamed(to: str, *, fails: bool = False) -> None:
    """In one transaction, or savepoint, that begins with it."""
    with transaction.atomic():
        with together():
            ask(RENAMED, [to, GOLD])
        if fails:
            raise ZeroDivisionError


def divided_by_zero() -> None:
    with transaction.atomic(), together():
        ask(RENAMED, ["after", GOLD])
        ask("SELECT 1 / %s::int", [0])


def expected_two() -> None:
    with transaction.atomic():
        with together():
            written = ask_to_write([Part(RENAMED, ["after", GOLD], expected=2)])
        written()


@pytest.fixture(autouse=True)
def _a_name() -> Iterator[None]:
    Asset.objects.filter(pk=GOLD).update(name="before")
    yield
    Asset.objects.filter(pk=GOLD).update(name="Gold")


def name() -> str:
    return Asset.objects.get(pk=GOLD).name


def test_a_transaction_that_begins_with_questions_is_undone_as_a_whole() -> None:
    """Guard: `ask("BEGIN")`. Each statement would be its own transaction."""
    with pytest.raises(ZeroDivisionError):
        renamed("after", fails=True)
    assert name() == "before"


def test_it_is_committed_by_django_as_any_other() -> None:
    with transaction.atomic():
        with together():
            ask(RENAMED, ["after", GOLD])
        assert connection.connection.pgconn.transaction_status == TransactionStatus.INTRANS
        with together():
            ask(RENAMED, ["later", GOLD])
    assert connection.connection.pgconn.transaction_status == TransactionStatus.IDLE
    assert name() == "later"
    Asset.objects.filter(pk=GOLD).update(name="by itself")
    connection.close()
    assert name() == "by itself"


def test_its_savepoints_are_undone_alone() -> None:
    with transaction.atomic():
        with together():
            ask(RENAMED, ["after", GOLD])
        with pytest.raises(ZeroDivisionError):
            renamed("never", fails=True)
    assert name() == "after"


def test_a_statement_that_fails_undoes_it() -> None:
    with pytest.raises(DataError):
        divided_by_zero()
    assert name() == "before"


def test_outside_a_transaction_questions_begin_none() -> None:
    with together():
        asked = ask("SELECT name FROM accounts_asset WHERE code = %s", [GOLD])
    assert asked.rows() == [("before",)]
    assert connection.connection.pgconn.transaction_status == TransactionStatus.IDLE


def test_a_write_on_its_way_says_afterwards_that_a_row_was_not_as_it_was() -> None:
    """Guard: the comparison with `expected`, after everything was answered and before the commit."""
    with pytest.raises(ChangedMeanwhile):
        expected_two()
    assert name() == "before"
