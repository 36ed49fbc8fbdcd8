"""Staff: who may still log in, and that one Administrator always can."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from django.db import IntegrityError, transaction

from accounts import conflicts
from accounts.errors import LastAdministrator, NotOnesOwn
from accounts.models import User

_GUARD = "last_administrator"


@contextmanager
def keeping_an_administrator() -> Iterator[None]:
    """Change users, and say so where that would leave no Administrator who may log in. Raises LastAdministrator."""
    try:
        with transaction.atomic():
            yield
    except IntegrityError as failure:
        diagnosis = getattr(failure.__cause__, "diag", None)
        if getattr(diagnosis, "constraint_name", None) == _GUARD:
            raise LastAdministrator from None
        raise


@conflicts.atomic
def switch_login(user_id: UUID, *, on: bool, by: UUID) -> None:
    """Let somebody log in, or not any more: with that every session of theirs ends (trigger `ends_sessions`).

    Raises NotOnesOwn, and LastAdministrator for the only one who can log in.
    """
    if user_id == by:
        raise NotOnesOwn
    with keeping_an_administrator():
        User.objects.filter(pk=user_id).update(is_active=on)
