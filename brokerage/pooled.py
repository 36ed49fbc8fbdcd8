"""Behind a pooler in transaction mode: what holds for each session is said by the role (decision 0101)."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import checks
from django.db import connection, connections
from psycopg.sql import SQL, Identifier, Literal

_SHOWN = "SELECT " + ", ".join(f"current_setting('{name}')" for name in settings.SESSION_SETTINGS)


def let_the_role_say() -> None:
    """Have PostgreSQL begin each session of the application's role in this database with `SESSION_SETTINGS`.

    Asked for by that role itself, past the pooler: a role may change its own defaults. Sessions that the pooler has
    already begun keep theirs until it ends them.
    """
    if not settings.DB_POOLER:
        return
    with connections["direct"].cursor() as cursor:
        cursor.execute("SELECT current_user, current_database()")
        role, database = map(Identifier, cursor.fetchone())
        for name, its in settings.SESSION_SETTINGS.items():
            said = SQL("ALTER ROLE {} IN DATABASE {} SET {} = {}")
            cursor.execute(said.format(role, database, Identifier(name), Literal(its)).as_string(None))


ENDLESS = checks.Warning(
    "Sessions behind the pooler begin without the role's timeouts.",
    hint="Run `manage.py migrate`, which gives them to the role, then `RECONNECT` in the pooler.",
    id="brokerage.W004",
)


def the_pooler_has_the_settings(app_configs: Any = None, databases: Any = None, **_: Any) -> list[checks.CheckMessage]:
    """`manage.py check --deploy --database default`: do sessions begin as `migrate` has told PostgreSQL?"""
    if not (settings.DB_POOLER and "default" in (databases or ())):
        return []
    with connection.cursor() as cursor:
        cursor.execute(_SHOWN)
        is_as_said = cursor.fetchone() == tuple(settings.SESSION_SETTINGS.values())
    return [] if is_as_said else [ENDLESS]
