"""What is tried again after a conflict, what isn't, and what a try that was undone leaves behind: nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial

import psycopg
import pytest
from django.db import DatabaseError, OperationalError, connection, transaction

from accounts import conflicts
from accounts.errors import SignupRefused
from accounts.models import User
from tests.races.together import together

pytestmark = pytest.mark.django_db(transaction=True)

EMAIL = "alice@example.com"
CONFLICTS = ["40001", "40P01"]
OTHERS = ["55P03", "57014", "53300", "23505", "P0001"]  # lock timeout, cancelled, too many connections, unique, RAISE


@pytest.fixture
def fails() -> Iterator[Callable[[str, int], None]]:
    """`fails(sqlstate, times)`: PostgreSQL itself says so, the first so many times. A sequence survives a rollback."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE SEQUENCE failures")
        cursor.execute(
            "CREATE FUNCTION fails(sqlstate text, times int) RETURNS void LANGUAGE plpgsql AS $$ BEGIN"
            " IF nextval('failures') <= times THEN RAISE EXCEPTION 'on purpose' USING ERRCODE = sqlstate; END IF;"
            " END $$"
        )

    def fail(sqlstate: str, times: int) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT fails(%s, %s)", [sqlstate, times])

    yield fail
    with connection.cursor() as cursor:
        cursor.execute("DROP FUNCTION fails; DROP SEQUENCE failures")


@pytest.fixture
def pauses(monkeypatch) -> list[float]:
    """How long was paused, in seconds; nobody waits for it here."""
    slept: list[float] = []
    monkeypatch.setattr(conflicts.time, "sleep", slept.append)
    return slept


def sign_up() -> None:
    User.objects.create(email=EMAIL)


@pytest.mark.parametrize("sqlstate", CONFLICTS)
def test_a_conflict_is_tried_again_and_what_the_undone_try_wrote_is_gone(fails, sqlstate) -> None:
    @conflicts.atomic
    def signed_up(email: str) -> User:
        made = User.objects.create(email=email)
        fails(sqlstate, 2)
        return made

    made = signed_up(EMAIL)

    assert User.objects.get() == made


def test_the_tenth_try_is_the_last_and_its_failure_is_told(fails, pauses) -> None:
    tries = []

    @conflicts.atomic
    def never() -> None:
        tries.append(1)
        sign_up()
        fails("40001", 100)

    with pytest.raises(OperationalError) as told:
        never()

    assert isinstance(told.value.__cause__, psycopg.errors.SerializationFailure)
    assert len(tries) == 10
    assert len(pauses) == 9
    assert all(0 <= pause <= 0.2 for pause in pauses)
    assert not User.objects.exists()


@pytest.mark.parametrize("sqlstate", OTHERS)
def test_no_other_failure_of_the_database_is_tried_again(fails, pauses, sqlstate) -> None:
    @conflicts.atomic
    def action() -> None:
        sign_up()
        fails(sqlstate, 1)

    with pytest.raises(DatabaseError):
        action()

    assert pauses == []
    assert not User.objects.exists()


def test_a_lost_connection_is_not_tried_again(pauses) -> None:
    """Whether a COMMIT arrived isn't known then."""
    tries = []

    @conflicts.atomic
    def action() -> None:
        tries.append(1)
        sign_up()
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    with pytest.raises(OperationalError):
        action()

    assert (tries, pauses) == ([1], [])


def test_a_refusal_is_not_tried_again() -> None:
    tries = []

    @conflicts.atomic
    def action() -> None:
        tries.append(1)
        sign_up()
        raise SignupRefused

    with pytest.raises(SignupRefused):
        action()

    assert tries == [1]
    assert not User.objects.exists()


def test_inside_another_transaction_only_the_outermost_begins_anew(fails) -> None:
    """Guard: `in_atomic_block`. Without it the inner one alone is tried again, while the outer one still holds the
    locks over which they met: neither those nor its snapshot come back with a savepoint."""
    calls = []

    @conflicts.atomic
    def inner() -> None:
        calls.append("inner")
        fails("40P01", 1)

    @conflicts.atomic
    def outer() -> None:
        calls.append("outer")
        sign_up()
        inner()

    outer()

    assert calls == ["outer", "inner", "outer", "inner"]
    assert User.objects.count() == 1


def test_inside_a_plain_transaction_the_conflict_is_that_ones_failure(fails, pauses) -> None:
    @conflicts.atomic
    def inner() -> None:
        fails("40001", 1)

    @transaction.atomic
    def outer() -> None:
        sign_up()
        inner()

    with pytest.raises(OperationalError):
        outer()

    assert pauses == []
    assert not User.objects.exists()


def test_a_refusal_that_the_outer_transaction_answers_undoes_only_the_inner_one() -> None:
    """As Django's own: a savepoint."""

    @conflicts.atomic
    def refused() -> None:
        User.objects.create(email="bob@example.com")
        raise SignupRefused

    @conflicts.atomic
    def outer() -> None:
        sign_up()
        with pytest.raises(SignupRefused):
            refused()

    outer()

    assert [user.email for user in User.objects.all()] == [EMAIL]


def test_after_the_commit_runs_what_the_committed_try_asked_for_and_once(fails) -> None:
    tries: list[int] = []
    ran: list[int] = []

    @conflicts.atomic
    def action() -> None:
        tries.append(len(tries) + 1)
        transaction.on_commit(partial(ran.append, tries[-1]))
        fails("40001", 2)

    action()

    assert tries == [1, 2, 3]
    assert ran == [3]


def test_a_conflict_at_the_commit_itself_is_tried_again(fails) -> None:
    ran: list[str] = []
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION fails_late() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN PERFORM fails('40001', 1); RETURN NULL; END $$"
        )
        cursor.execute(
            "CREATE CONSTRAINT TRIGGER fails_late AFTER INSERT ON accounts_user DEFERRABLE INITIALLY DEFERRED"
            " FOR EACH ROW EXECUTE FUNCTION fails_late()"
        )

    @conflicts.atomic
    def action() -> None:
        sign_up()
        transaction.on_commit(partial(ran.append, "told"))

    try:
        action()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP FUNCTION fails_late CASCADE")

    assert User.objects.count() == 1
    assert ran == ["told"]


def test_two_who_really_deadlock_both_succeed() -> None:
    """Nothing is made up here: each locks what the other wants next. Guard: the loop in `conflicts.atomic`."""
    alice, bob = (User.objects.create(email=f"{name}@example.com") for name in ("alice", "bob"))

    @conflicts.atomic
    def renamed(first: User, second: User, name: str) -> None:
        for user in (first, second):
            User.objects.filter(pk=user.pk).update(name=name)
            time.sleep(0.2)

    results = together([partial(renamed, alice, bob, "one"), partial(renamed, bob, alice, "other")])

    assert results == [None, None]
    assert len({user.name for user in User.objects.all()}) == 1
