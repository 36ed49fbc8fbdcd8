"""What a sandbox left in a database that is no sandbox's any more."""

from __future__ import annotations

from typing import Any, Final

from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.db import connections

_IS_THERE: Final = "SELECT to_regclass('accounts_clockmove') IS NOT NULL"
_AHEAD: Final = "SELECT firm_ahead()::text, firm_ahead() > interval '0'"


def refuse_a_moved_clock(alias: str) -> None:
    """With SANDBOX=0, refuse a database whose rows are of a time that hasn't come. `migrate`, with which every start
    begins, asks it. Raises ImproperlyConfigured."""
    if said := _moved(alias):
        raise ImproperlyConfigured(said)


def a_clock_that_was_moved(app_configs: Any = None, databases: Any = None, **_: Any) -> list[checks.CheckMessage]:
    """`manage.py check --database default`: the same."""
    said = [_moved(alias) for alias in databases or ()]
    hint = "Use another database, or SANDBOX=1."
    return [checks.Error(sentence, hint=hint, id="brokerage.E001") for sentence in said if sentence]


def _moved(alias: str) -> str:
    """What is wrong with it; "" where nothing is."""
    if settings.SANDBOX:
        return ""
    with connections[alias].cursor() as cursor:
        cursor.execute(_IS_THERE)
        if not cursor.fetchone()[0]:
            return ""
        cursor.execute(_AHEAD)
        ahead, is_moved = cursor.fetchone()
    if not is_moved:
        return ""
    return f"The firm's clock was moved {ahead} ahead in this database by a sandbox: it can't be used with SANDBOX=0."
