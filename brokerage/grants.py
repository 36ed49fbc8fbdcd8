"""Two database roles: the owner migrates, the application works, and can neither change history nor its guards.

What the application may do with a table is read off the table's own triggers after every `migrate`: a new table
that is guarded like the others is granted like them, and none can be forgotten.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import checks
from django.core.management import CommandError
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.sql import SQL, Identifier, Literal

WHO = ("USER", "PASSWORD", "HOST", "PORT")  # and not NAME: a test's database has another one

_DIFFERENT = """
SELECT c.relname, wanted.privileges
FROM pg_class c
CROSS JOIN LATERAL (
    SELECT coalesce(bool_or(t.tgname = 'append_only'), false) AS append_only,
           coalesce(bool_or(t.tgname = 'never_deleted'), false) AS never_deleted
    FROM pg_trigger t WHERE t.tgrelid = c.oid
) guarded
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN c.relname = 'django_migrations' THEN ARRAY['SELECT']
        WHEN guarded.append_only THEN ARRAY['SELECT', 'INSERT']
        WHEN guarded.never_deleted THEN ARRAY['SELECT', 'INSERT', 'UPDATE']
        ELSE ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']
    END AS privileges
) wanted
CROSS JOIN LATERAL (
    SELECT coalesce(array_agg(a.privilege_type::text), '{}') AS privileges
    FROM aclexplode(c.relacl) a WHERE a.grantee = %(role)s::regrole
) given
WHERE c.relkind IN ('r', 'p') AND c.relnamespace = current_schema()::regnamespace
  AND pg_has_role(c.relowner, 'USAGE')
  AND NOT (wanted.privileges @> given.privileges AND given.privileges @> wanted.privileges)
ORDER BY c.relname
"""


def become_owner() -> None:
    """From here on this process works as the tables' owner. Before anything has asked the database."""
    connection = connections["default"]
    if any(connection.settings_dict[name] != settings.OWNER_DATABASE[name] for name in WHO):
        connection.close()
        connection.close_pool()  # type: ignore[attr-defined]
        connection.settings_dict.update({name: settings.OWNER_DATABASE[name] for name in WHO})


def after_migrating(using: str, **_: Any) -> None:
    """Django's post_migrate signal: see that the application may do what it must, and no more."""
    give(connections[using], settings.APPLICATION_ROLE, settings.APPLICATION_PASSWORD)


def give(connection: BaseDatabaseWrapper, role: str, password: str = "") -> None:
    """Let the role read, insert and, where no trigger of the table refuses it, update and delete. Twice is fine.

    A role that doesn't exist is made, where this connection's own may make roles.

    Raises:
        CommandError: the role doesn't exist and can't be made.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user, EXISTS (SELECT FROM pg_roles WHERE rolname = %s)", [role])
        owner, exists = cursor.fetchone()
        if role in ("", owner):
            return  # one role for everything: the deploy check says so
        if not exists:
            _make_role(connection, role, password)
        cursor.execute("SELECT current_schema(), has_schema_privilege(%s, current_schema(), 'USAGE')", [role])
        schema, may_use = cursor.fetchone()
        if not may_use:
            cursor.execute(_text("GRANT USAGE ON SCHEMA {} TO {}", schema, role))
        cursor.execute(_DIFFERENT, {"role": _text("{}", role)})
        for table, privileges in cursor.fetchall():
            cursor.execute(_text("REVOKE ALL ON {} FROM {}", table, role))
            cursor.execute(_text(f"GRANT {', '.join(privileges)} ON {{}} TO {{}}", table, role))


def _make_role(connection: BaseDatabaseWrapper, role: str, password: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user")
        if not cursor.fetchone()[0]:
            raise CommandError(
                f"The role {role} of DATABASE_URL doesn't exist, and the owner may not make it. As an administrator: "
                f"CREATE ROLE {role} LOGIN PASSWORD '…'; then migrate again."
            )
        cursor.execute(_text("CREATE ROLE {} LOGIN", role))
        if password:  # hashed here, so that no log of the server's ever shows it
            pgconn = connection.connection.pgconn
            hashed = pgconn.encrypt_password(password.encode(), role.encode()).decode()
            cursor.execute(_text("ALTER ROLE {} PASSWORD ", role) + Literal(hashed).as_string(None))


def _text(statement: str, *names: str) -> str:
    return SQL(statement).format(*map(Identifier, names)).as_string(None)


# --- the check --------------------------------------------------------------------------------------

MAY_REWRITE = checks.Warning(
    "The application's database role may rewrite history.",
    hint="Give it a role of its own in DATABASE_URL, name the tables' owner in MIGRATION_DATABASE_URL, and migrate.",
    id="brokerage.W001",
)

_MAY = """
SELECT has_table_privilege(oid, 'UPDATE') OR pg_has_role(relowner, 'MEMBER')
FROM pg_class WHERE oid = to_regclass('accounts_transfer')
"""


def the_application_cannot_rewrite_history(
    app_configs: Any = None, databases: Any = None, **_: Any
) -> list[checks.CheckMessage]:
    """`manage.py check --deploy --database default`: may this role UPDATE transfers, or act as their owner?"""
    for alias in databases or ():
        with connections[alias].cursor() as cursor:
            cursor.execute(_MAY)
            found = cursor.fetchone()
        if found and found[0]:
            return [MAY_REWRITE]
    return []
