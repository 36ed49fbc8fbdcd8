"""What staff may do is given by two Administrators: by the database for rights and roles, whoever writes the rows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts import deeds, services
from accounts.errors import LastAdministrator, Malformed, NoSuchRight, NotOnesOwn
from accounts.models import ApiClient, User
from accounts.services import keeping_an_administrator
from tests.admin.actions import staff as a_member
from tests.races.together import together, wait_until_waiting
from tests.roles import ONE_ROLE, as_the_application
from trades import controls
from trades.errors import MakerIsChecker
from trades.models import ControlChange
from trades.staff import is_first_second

__all__ = ["as_the_application"]

WORD = "a long enough word"
pytestmark = pytest.mark.django_db(transaction=True)
by_role = pytest.mark.skipif(ONE_ROLE, reason="this PostgreSQL was given with one role")


@pytest.fixture
def two() -> tuple[User, User]:
    """Two Administrators."""
    return tuple(User.objects.create_superuser(f"{name}@firm.example", WORD) for name in ("ann", "ben"))


def proposed(user: User, *adds: str, by: User) -> ControlChange:
    return controls.propose("staff", user.pk, adds, reason="joins", by=by.pk, at=timezone.now())


def given(user: User, *adds: str, two: tuple[User, User], password: str = "") -> User:
    change = proposed(user, *adds, by=two[0])
    controls.apply(change.pk, by=two[1].pk, at=timezone.now(), password=password)
    user.refresh_from_db()
    return user


# --- by two -------------------------------------------------------------------------------------------------------


@by_role
@pytest.mark.usefixtures("as_the_application")
def test_rights_and_roles_are_given_by_two_administrators(two: tuple[User, User]) -> None:
    """As the running system's role. Taking them away is one person's."""
    carol = User.objects.create_user("carol@firm.example", WORD)
    given(carol, "is_staff", "role:Risk", two=two)
    assert (carol.is_staff, carol.is_superuser) == (True, False)
    assert [role.name for role in carol.groups.all()] == ["Risk"]
    given(carol, "is_superuser", two=two)
    assert carol.is_superuser

    User.objects.filter(pk=carol.pk).update(is_superuser=False)
    User.objects.filter(pk=carol.pk).update(is_active=False)
    carol.groups.clear()
    given(carol, "is_active", two=two)
    assert carol.is_active


@by_role
@pytest.mark.usefixtures("as_the_application")
def test_the_database_gives_nobody_anything_alone(two: tuple[User, User]) -> None:
    """Guards: the triggers staff_by_two of accounts_user, accounts_user_groups and accounts_user_user_permissions. A
    proposal of before, of another user, or of less gives nothing."""
    carol = User.objects.create_user("carol@firm.example", WORD)
    dan = given(User.objects.create_user("dan@firm.example", WORD), "is_staff", two=two)
    rows, risk = User.objects.filter(pk=carol.pk), Group.objects.get(name="Risk")
    User.objects.filter(pk=dan.pk).update(is_active=False)

    def less() -> None:
        given(carol, "is_staff", two=two)
        rows.update(is_superuser=True)

    for alone in (
        lambda: rows.update(is_staff=True),
        lambda: rows.update(is_superuser=True),
        lambda: User.objects.filter(pk=dan.pk).update(is_superuser=True),
        lambda: User.objects.filter(pk=dan.pk).update(is_active=True),
        lambda: carol.groups.add(risk),
        lambda: dan.groups.add(risk),
        lambda: User.objects.create_superuser("eve@firm.example", WORD),
        lambda: User.objects.create_user("eve@firm.example", WORD, is_staff=True),
        less,
    ):
        with pytest.raises(IntegrityError, match="two Administrators"), transaction.atomic():
            alone()
    assert ControlChange.objects.count() == 1


@by_role
@pytest.mark.usefixtures("as_the_application")
def test_only_the_first_second_administrator_is_made_by_one() -> None:
    """Guard: the count of all who ever were one, in the trigger staff_by_two: whoever takes the other's rights away
    doesn't begin again."""
    assert is_first_second()
    ann = User.objects.create_superuser("ann@firm.example", WORD)
    assert is_first_second()
    with pytest.raises(IntegrityError, match="two Administrators"), transaction.atomic():
        User.objects.create_user("carol@firm.example", WORD, is_staff=True)
    ben = User.objects.create_superuser("ben@firm.example", WORD)
    assert not is_first_second()

    User.objects.filter(pk=ben.pk).update(is_superuser=False, is_staff=False)
    carol = User.objects.create_user("carol@firm.example", WORD)
    for user in (ben, carol):
        with pytest.raises(IntegrityError, match="two Administrators"), transaction.atomic():
            User.objects.filter(pk=user.pk).update(is_superuser=True, is_staff=True)
    User.objects.filter(pk=ann.pk).update(name="Ann")


@by_role
@pytest.mark.usefixtures("as_the_application")
def test_of_two_first_seconds_at_once_there_is_one() -> None:
    """Guard: FOR UPDATE of the permission's row in staff_by_two."""
    User.objects.create_superuser("ann@firm.example", WORD)

    def makes(name: str, waits: Callable[[], None] = lambda: None) -> User:
        with transaction.atomic():
            made = User.objects.create_superuser(f"{name}@firm.example", WORD)
            waits()
        return made

    done = together([partial(makes, "ben", wait_until_waiting), partial(makes, "carol", wait_until_waiting)])

    assert User.objects.filter(is_superuser=True).count() == 2
    assert sum(isinstance(one, IntegrityError) for one in done) == 1


def test_who_proposes_and_who_applies_are_administrators_and_neither_is_the_subject(two: tuple[User, User]) -> None:
    """Guards: `must_be_administrator` in `propose` and `apply`, for both persons, and NotOnesOwn."""
    risk, carol = a_member("risk@firm.example", deeds.RISK), User.objects.create_user("carol@firm.example", WORD)
    with pytest.raises(NoSuchRight):
        proposed(carol, "is_staff", by=risk)
    with pytest.raises(NotOnesOwn):
        proposed(two[0], "role:Risk", by=two[0])
    mine = proposed(two[1], "role:Risk", by=two[0])
    with pytest.raises(NotOnesOwn):
        controls.apply(mine.pk, by=two[1].pk, at=timezone.now())

    change = proposed(carol, "is_staff", by=two[0])
    with pytest.raises(NoSuchRight):
        controls.apply(change.pk, by=risk.pk, at=timezone.now())
    with pytest.raises(MakerIsChecker):
        controls.apply(change.pk, by=two[0].pk, at=timezone.now())
    User.objects.filter(pk=two[0].pk).update(is_superuser=False)
    with pytest.raises(NoSuchRight):
        controls.apply(change.pk, by=two[1].pk, at=timezone.now())
    carol.refresh_from_db()
    assert not carol.is_staff


def test_a_password_is_typed_by_who_applies_it_and_ends_every_session(two: tuple[User, User]) -> None:
    risk = a_member("risk@firm.example", deeds.RISK)
    change = proposed(risk, "password", by=two[0])
    with pytest.raises(Malformed):
        controls.apply(change.pk, by=two[1].pk, at=timezone.now(), password="short")
    controls.apply(change.pk, by=two[1].pk, at=timezone.now(), password="quite another word")
    risk.refresh_from_db()
    assert (risk.check_password("quite another word"), risk.generation) == (True, 1)


def test_nobody_comes_to_have_both_the_password_and_the_second_factor(two: tuple[User, User], settings: Any) -> None:
    """Guards: `must_be_nobody_elses` in `propose` and in `apply`."""
    settings.SECOND_FACTOR = True
    risk = a_member("risk@firm.example", deeds.RISK)
    with pytest.raises(NoSuchRight, match="both"):
        proposed(risk, "password", "factor", by=two[0])
    with pytest.raises(NoSuchRight, match="no second factor"):
        proposed(risk, "password", by=two[0])
    TOTPDevice.objects.create(user=risk, confirmed=True)
    change = proposed(risk, "password", by=two[0])
    TOTPDevice.objects.all().delete()
    with pytest.raises(NoSuchRight, match="no second factor"):
        controls.apply(change.pk, by=two[1].pk, at=timezone.now(), password="quite another word")
    TOTPDevice.objects.create(user=risk, confirmed=True)
    controls.apply(change.pk, by=two[1].pk, at=timezone.now(), password="quite another word")

    with pytest.raises(NoSuchRight, match="haven't changed it"):
        proposed(risk, "factor", by=two[0])
    risk.refresh_from_db()
    services.change_password(risk.pk, risk.generation, "quite another word", "my own long word")
    given(risk, "factor", two=two)
    assert not TOTPDevice.objects.exists()


@by_role
@pytest.mark.usefixtures("as_the_application")
def test_an_administrator_who_gains_nothing_is_saved_without_the_lock(two: tuple[User, User]) -> None:
    """Guard: `cardinality(gained) > 0` before the count in staff_by_two: no save of an Administrator's row locks the
    one that all wait for, or counts versions."""
    with transaction.atomic():
        two[0].save()
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT xmax::text = pg_current_xact_id()::xid::text FROM auth_permission"
                " WHERE codename = 'manage_staff'"
            )
            assert cursor.fetchone() == (False,)


@pytest.mark.parametrize("adds", [["role:Risk"], ["password"], ["is_active"], ["nothing"], ["role:King"], []])
def test_what_cant_be_given_is_not_proposed(adds: list[str], two: tuple[User, User]) -> None:
    """A role, or a password, of somebody who isn't staff."""
    carol = User.objects.create_user("carol@firm.example", WORD)
    with pytest.raises(controls.NothingIsAdded):
        proposed(carol, *adds, by=two[0])


# --- the last one -------------------------------------------------------------------------------------------------


def test_two_administrators_who_take_each_others_rights_at_once_never_leave_none(two: tuple[User, User]) -> None:
    """Guard: FOR UPDATE of the permission's row in keep_an_administrator (accounts 0090): without it both count the
    other as still there."""

    def demotes(other: User, waits: Callable[[], None] = lambda: None) -> None:
        with keeping_an_administrator():
            User.objects.filter(pk=other.pk).update(is_superuser=False)
            waits()

    done = together([partial(demotes, two[1], wait_until_waiting), partial(demotes, two[0], wait_until_waiting)])

    assert User.objects.filter(is_superuser=True, is_active=True).count() == 1
    assert sum(isinstance(one, LastAdministrator) for one in done) == 1


# --- a client that is switched on again ---------------------------------------------------------------------------


def test_a_client_that_does_something_is_switched_on_again_by_two(two: tuple[User, User]) -> None:
    """Guard: the trigger client_on_by_two."""
    reads, acts = (
        services.create_api_client(scopes[0], scopes, timezone.now())[0]
        for scopes in (["trades:read"], ["trades:execute"])
    )
    ApiClient.objects.update(is_active=False)
    ApiClient.objects.filter(pk=reads.pk).update(is_active=True)
    with pytest.raises(IntegrityError, match="two persons"), transaction.atomic():
        ApiClient.objects.filter(pk=acts.pk).update(is_active=True)

    change = controls.propose("client", acts.pk, ["is_active"], reason="again", by=two[0].pk, at=timezone.now())
    controls.apply(change.pk, by=two[1].pk, at=timezone.now())
    acts.refresh_from_db()
    assert (acts.is_active, acts.scopes) == (True, ["trades:execute"])
