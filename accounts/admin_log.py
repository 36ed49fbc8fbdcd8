"""The admin's own log, Django's LogEntry: rows that can't be deleted (migration 0013)."""

from __future__ import annotations

from typing import Any

from django.db.models import Model, ProtectedError


def refuse_deletion(instance: Model, **_: Any) -> None:
    """Before a LogEntry is deleted: with its user, above all. Somebody who did nothing can be deleted.

    A receiver of this signal also makes Django look first whether there are entries, instead of deleting none: the
    application's role may not even ask for that.
    """
    raise ProtectedError("Who did what in the admin is never removed.", {instance})
