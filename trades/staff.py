"""What a member of staff may do is given by two Administrators, and taken away by one.

So is what lets somebody in as another: a password, a login that was disabled, a second factor that is taken away. All
of it is proposed as a control that is to be switched off (`trades/controls.py`).
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import Group
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import connection

from accounts import deeds
from accounts.errors import Malformed, NoSuchRight, NotOnesOwn, UserNotFound
from accounts.models import JournalEntry, User
from accounts.services import journal, second_factor, was_ever_staff
from trades.models import ControlChange

ROLE: Final = "role:"
STAFF, ADMINISTRATOR, LOGIN, PASSWORD, SECOND_FACTOR = "is_staff", "is_superuser", "is_active", "password", "factor"
WORDS: Final = {
    STAFF: "they enter the admin",
    ADMINISTRATOR: "they are an Administrator",
    LOGIN: "they log in again",
    PASSWORD: "they have another password, which whoever applies it gives them",
    SECOND_FACTOR: "they add another second factor by their password alone",
}

_EVER = """
SELECT count(DISTINCT row_key) FROM accounts_rowversion
WHERE table_name = 'accounts_user' AND said ->> 'is_staff' = 'true' AND said ->> 'is_superuser' = 'true'
"""

_PASSWORDS = """
SELECT at FROM (
    SELECT number, at, said ->> 'password' AS password, lag(said ->> 'password') OVER (ORDER BY number) AS before
    FROM accounts_rowversion WHERE table_name = 'accounts_user' AND row_key = %s
) version WHERE password IS DISTINCT FROM before ORDER BY number DESC
"""
_TYPED_BY_ANOTHER: Final = ("auth_user_password_change", "accounts_user_add")  # deeds of the admin


def told(one: str) -> str:
    """What is given, as a person reads it."""
    return WORDS.get(one) or f"the role {one.removeprefix(ROLE)}"


def can_be_given(user: User) -> set[str]:
    """What somebody hasn't got. A role is only for who is staff, or becomes it with that; what lets them in is for who
    ever was."""
    found = {name for name in (STAFF, ADMINISTRATOR) if not getattr(user, name)}
    if was_ever_staff(user.pk):
        found |= {PASSWORD, SECOND_FACTOR}
        if not user.is_active:
            found.add(LOGIN)
    has = set(user.groups.values_list("name", flat=True))
    return found | {f"{ROLE}{role}" for role in deeds.ROLES if role not in has}


def are_given(user_id: UUID, wanted: Collection[str]) -> bool:
    """Whether all of it can be given to somebody now."""
    user = User.objects.filter(pk=user_id).first()
    if user is None or set(wanted) - can_be_given(user):
        return False
    return user.is_staff or STAFF in wanted or set(wanted) <= {LOGIN, PASSWORD, SECOND_FACTOR}


def must_be_nobody_elses(user_id: UUID, adds: Collection[str]) -> None:
    """That nobody comes to have both a colleague's password and their second factor by what is given.

    Whoever applies a password knows it, so its owner's second factor stands, and it isn't taken away until its owner
    has changed what another typed. Raises NoSuchRight. Where settings demand no second factor only the pair is refused.
    """
    if {PASSWORD, SECOND_FACTOR} <= set(adds):
        raise NoSuchRight("Whoever applied both a password and a second factor would be that person.")
    user = User.objects.filter(pk=user_id).first()
    if user is None or not settings.SECOND_FACTOR:
        return
    if PASSWORD in adds and (user.is_staff or STAFF in adds) and not second_factor.is_enrolled(user):
        raise NoSuchRight("They have no second factor: whoever applied a password would be that person.")
    if SECOND_FACTOR in adds and (typed := typed_by_another(user_id)) is not None:
        since = [at for at in passwords_set(user_id) if at >= typed[0]]
        if len(since) <= 1:  # that one, or none where the clocks differ
            raise NoSuchRight("Another person typed their password, and they haven't changed it since.")


def passwords_set(user_id: UUID) -> list[datetime]:
    """When each password of somebody was set, the last first."""
    with connection.cursor() as cursor:
        cursor.execute(_PASSWORDS, [str(user_id)])
        return [at for (at,) in cursor.fetchall()]


def typed_by_another(user_id: UUID) -> tuple[datetime, UUID | None] | None:
    """When another person last began to type somebody's password in the admin, and who; None where nobody ever did."""
    found: list[tuple[datetime, UUID | None]] = []
    done = journal.history_of(User, user_id).filter(deed__in=_TYPED_BY_ANOTHER, outcome=JournalEntry.Outcome.DONE)
    last = done.exclude(user_id=user_id).first()
    if last is not None:
        begun = JournalEntry.objects.filter(pk=last.begun_id).first() if last.begun_id else None
        found.append(((begun or last).at, last.user_id))
    applied = ControlChange.objects.filter(
        kind=ControlChange.Kind.STAFF, subject=user_id, state="applied", adds__contains=[PASSWORD]
    )
    given = applied.order_by("-decided_at").first()
    if given is not None and given.decided_at is not None:
        found.append((given.decided_at, given.checked_by_id))
    return max(found, key=lambda one: one[0], default=None)


def give(user_id: UUID, adds: Collection[str], *, by: UUID, password: str = "") -> None:
    """Give it, in the transaction in which its proposal becomes applied. `password`: theirs from now on, where that is
    among it.

    Raises UserNotFound, NotOnesOwn, NoSuchRight, and Malformed for a password that is too weak.
    """
    if user_id == by:
        raise NotOnesOwn
    user = User.objects.select_for_update(no_key=True).filter(pk=user_id).first()
    if user is None:
        raise UserNotFound
    columns = [name for name in (STAFF, ADMINISTRATOR, LOGIN) if name in adds]
    for name in columns:
        setattr(user, name, True)
    if PASSWORD in adds:
        try:
            validate_password(password, user)
        except ValidationError as weak:
            raise Malformed(" ".join(weak.messages)) from None
        user.set_password(password)
        columns.append("password")
    if columns:
        user.save(update_fields=columns)
    user.groups.add(*Group.objects.filter(name__in=[one.removeprefix(ROLE) for one in adds if one.startswith(ROLE)]))
    if SECOND_FACTOR in adds:
        second_factor.reset(user_id, by=by)


def must_be_administrator(user_id: UUID) -> None:
    """Raises NoSuchRight for anybody else."""
    if not User.objects.filter(pk=user_id, is_active=True, is_staff=True, is_superuser=True).exists():
        raise NoSuchRight("What staff may do is given by Administrators alone.")


def is_first_second() -> bool:
    """Whether there has only ever been one Administrator: they make the second one alone, once."""
    with connection.cursor() as cursor:
        cursor.execute(_EVER)
        return bool(cursor.fetchone()[0] <= 1)
