"""What a member of staff may do is given by two Administrators, and taken away by one.

So is what lets somebody in as another: a password, a login that was disabled, a second factor that is taken away. All
of it is proposed as a control that is to be switched off (`trades/controls.py`).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final
from uuid import UUID

from django.contrib.auth.models import Group
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import connection

from accounts import deeds
from accounts.errors import Malformed, NoSuchRight, NotOnesOwn, UserNotFound
from accounts.models import User
from accounts.services import second_factor

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


def told(one: str) -> str:
    """What is given, as a person reads it."""
    return WORDS.get(one) or f"the role {one.removeprefix(ROLE)}"


def can_be_given(user: User) -> set[str]:
    """What somebody hasn't got. A role, and what lets them in, is only for who is staff, or becomes it with that."""
    found = {name for name in (STAFF, ADMINISTRATOR) if not getattr(user, name)}
    if user.is_staff:
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
    return user.is_staff or STAFF in wanted


def give(user_id: UUID, adds: Collection[str], *, by: UUID, password: str = "") -> None:
    """Give it, in the transaction in which its proposal becomes applied. `password`: theirs from now on, where that is
    among it.

    Raises UserNotFound, NotOnesOwn, and Malformed for a password that is too weak.
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
