"""Staff: who may still log in, and that one Administrator always can."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final
from uuid import UUID

from django.db import IntegrityError, transaction

from accounts import conflicts
from accounts.errors import LastAdministrator, NoSuchRight, NotOnesOwn, Refusal
from accounts.models import RowVersion, User

_REFUSED: Final[Mapping[str, Refusal]] = {
    "last_administrator": LastAdministrator(),
    "staff_by_two": NoSuchRight("What staff may do is given by two Administrators."),
    "client_on_by_two": NoSuchRight("A client that does something is switched on again by two persons."),
}


@contextmanager
def keeping_an_administrator() -> Iterator[None]:
    """Change users or clients, and say so where the database refuses it, whatever a form saw before.

    Raises LastAdministrator where no Administrator would be left who may log in, and NoSuchRight for what takes two.
    """
    try:
        with transaction.atomic():
            yield
    except IntegrityError as failure:
        diagnosis = getattr(failure.__cause__, "diag", None)
        refused = _REFUSED.get(getattr(diagnosis, "constraint_name", None) or "")
        if refused is None:
            raise
        raise type(refused)(refused.text) from None


def was_ever_staff(user_id: UUID) -> bool:
    """Whether somebody is or was staff, by the versions of their row, which nobody removes: whoever takes a colleague's
    rights away doesn't take them over by that."""
    return RowVersion.objects.filter(table_name="accounts_user", row_key=str(user_id), said__is_staff=True).exists()


@conflicts.atomic
def switch_login(user_id: UUID, *, on: bool, by: UUID) -> None:
    """Let somebody log in, or not any more: with that every session of theirs ends (trigger `ends_sessions`).

    Raises NotOnesOwn, LastAdministrator for the only one who can log in, and NoSuchRight where it takes two persons:
    to let in again who ever was staff.
    """
    if user_id == by:
        raise NotOnesOwn
    if on and was_ever_staff(user_id):
        raise NoSuchRight("Who is or was staff is let in again by two Administrators.")
    with keeping_an_administrator():
        User.objects.filter(pk=user_id).update(is_active=on)
