"""Two database roles: the owner migrates, the application works, and can neither change history nor its guards.

What the application may do with a table is read off the table's own triggers after every `migrate`: a new table
that is guarded like the others is granted like them, and none can be forgotten.

| trigger | the application may not |
| --- | --- |
| `append_only` | update, delete |
| `never_deleted` | delete |
| `never_changed`, `changed_by_owner`: UPDATE OF columns | name these columns in an UPDATE |
| `made_by_owner` | insert |

What only the owner can do and the application needs is a function that runs as the owner; nobody else may call it.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import checks
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.sql import SQL, Identifier, Literal

from accounts.management.exits import WrongSettings
from brokerage.stack.large_objects import OF_LARGE_OBJECTS

CALLED = ("make_candle_month",)
"""Functions that run as their owner, taken from PUBLIC by their migration, and called by the application."""

# And not NAME: a test's database has another one.
WHO = ("USER", "PASSWORD", "HOST", "PORT", "OPTIONS", "DISABLE_SERVER_SIDE_CURSORS")

# Privileges of columns are written as "UPDATE name"; what was granted to everybody counts as given to the role.
_DIFFERENT = """
SELECT c.relname, wanted.privileges, wanted.columns
FROM pg_class c
CROSS JOIN LATERAL (
    SELECT coalesce(bool_or(t.tgname = 'append_only'), false) AS append_only,
           coalesce(bool_or(t.tgname = 'never_deleted'), false) AS never_deleted,
           coalesce(bool_or(t.tgname = 'made_by_owner'), false) AS made_by_owner,
           coalesce(bool_or(t.tgname IN ('never_changed', 'changed_by_owner')), false) AS has_fixed
    FROM pg_trigger t WHERE t.tgrelid = c.oid
) guarded
CROSS JOIN LATERAL (
    SELECT CASE WHEN c.relname = 'django_migrations' THEN ARRAY['SELECT'] ELSE array_remove(ARRAY[
        'SELECT',
        CASE WHEN NOT made_by_owner THEN 'INSERT' END,
        CASE WHEN NOT append_only AND NOT has_fixed THEN 'UPDATE' END,
        CASE WHEN NOT append_only AND NOT never_deleted THEN 'DELETE' END
    ], NULL) END AS privileges,
    ARRAY(
        SELECT 'UPDATE ' || a.attname FROM pg_attribute a
        WHERE has_fixed AND NOT append_only AND a.attrelid = c.oid AND a.attnum > 0
          AND NOT a.attisdropped AND a.attgenerated = ''
          AND NOT EXISTS (
              SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname IN ('never_changed', 'changed_by_owner')
              AND a.attnum = ANY (t.tgattr))
        ORDER BY a.attnum
    ) AS columns
) wanted
CROSS JOIN LATERAL (
    SELECT coalesce(array_agg(a.privilege_type::text), '{}') AS privileges
    FROM aclexplode(c.relacl) a WHERE a.grantee IN (%(role)s::regrole, 0)
) given
CROSS JOIN LATERAL (
    SELECT ARRAY(
        SELECT p.privilege_type || ' ' || a.attname FROM pg_attribute a, aclexplode(a.attacl) p
        WHERE a.attrelid = c.oid AND p.grantee IN (%(role)s::regrole, 0)
    ) AS columns
) by_column
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relnamespace = current_schema()::regnamespace
  AND pg_has_role(c.relowner, 'USAGE')
  AND NOT (wanted.privileges @> given.privileges AND given.privileges @> wanted.privileges
           AND wanted.columns @> by_column.columns AND by_column.columns @> wanted.columns)
ORDER BY c.relname
"""
_UNCALLABLE = """
SELECT p.oid::regprocedure::text FROM pg_proc p
WHERE p.pronamespace = current_schema()::regnamespace AND p.proname = ANY(%(names)s)
  AND pg_has_role(p.proowner, 'USAGE') AND NOT has_function_privilege(%(role)s, p.oid, 'EXECUTE')
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
    grant(connections[using], settings.APPLICATION_ROLE, settings.APPLICATION_PASSWORD)


def grant(connection: BaseDatabaseWrapper, role: str, password: str = "") -> None:
    """Let the role read, insert, update and delete where no trigger refuses it, and no more. Twice is fine.

    A role that doesn't exist is made: see `refuse_a_role_that_cant_be_made`.
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
        for table, privileges, columns in cursor.fetchall():
            cursor.execute(_text("REVOKE ALL ON {} FROM {}, PUBLIC", table, role))
            cursor.execute(_text(f"GRANT {', '.join(privileges)} ON {{}} TO {{}}", table, role))
            if names := [column.removeprefix("UPDATE ") for column in columns]:
                places = ", ".join("{}" for _ in names)
                cursor.execute(_text(f"GRANT UPDATE ({places}) ON {{}} TO {{}}", *names, table, role))
        cursor.execute(_UNCALLABLE, {"names": list(CALLED), "role": role})
        for (function,) in cursor.fetchall():
            cursor.execute(f"GRANT EXECUTE ON FUNCTION {function} TO " + _text("{}", role))
    _revoke_what_nothing_needs(connection, role)


_TEMPORARY = """
SELECT current_database() FROM pg_database
WHERE datname = current_database() AND pg_has_role(datdba, 'USAGE')
  AND has_database_privilege(%(role)s, oid, 'TEMPORARY')
"""
_LARGE_OBJECTS = f"""
SELECT p.oid::regprocedure::text FROM pg_proc p
WHERE {OF_LARGE_OBJECTS} AND pg_has_role(p.proowner, 'USAGE') AND has_function_privilege(%(role)s, p.oid, 'EXECUTE')
"""  # noqa: S608 - our own condition


def _revoke_what_nothing_needs(connection: BaseDatabaseWrapper, role: str) -> None:
    """Temporary tables could stand in for real ones, large objects fill the disk beside every guard.

    The database's owner may take the first away. The functions of the second are the superuser's; where this
    connection isn't one, only the deploy check can say so.
    """
    with connection.cursor() as cursor:
        cursor.execute(_TEMPORARY, {"role": role})
        for (database,) in cursor.fetchall():
            cursor.execute(_text("REVOKE TEMPORARY ON DATABASE {} FROM PUBLIC, {}", database, role))
        cursor.execute(_LARGE_OBJECTS, {"role": role})
        for (function,) in cursor.fetchall():
            cursor.execute(f"REVOKE EXECUTE ON FUNCTION {function} FROM PUBLIC, " + _text("{}", role))


def refuse_a_role_that_cant_be_made(using: str) -> None:
    """Before anything is migrated: the application's role is there, or this connection may make it.

    Raises:
        WrongSettings: neither; it says what an administrator has to do.
    """
    role = settings.APPLICATION_ROLE
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT rolsuper OR rolcreaterole OR EXISTS (SELECT FROM pg_roles WHERE rolname = %s)"
            " FROM pg_roles WHERE rolname = current_user",
            [role],
        )
        if role and not cursor.fetchone()[0]:
            raise WrongSettings(
                f"The role {role} of DATABASE_URL doesn't exist, and the owner may not make it. As an administrator: "
                f"CREATE ROLE {role} LOGIN PASSWORD '…'; then migrate again."
            )


def _make_role(connection: BaseDatabaseWrapper, role: str, password: str) -> None:
    with connection.cursor() as cursor:
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


MAY_STORE_ASIDE = checks.Warning(
    "The application's database role may make temporary tables or large objects.",
    hint="Migrate as the database's owner; 'Two roles' in docs/operations.md has what only a superuser takes away.",
    id="brokerage.W002",
)

_MAY_STORE = f"""
SELECT has_database_privilege(current_database(), 'TEMPORARY') OR EXISTS (
    SELECT FROM pg_proc p WHERE {OF_LARGE_OBJECTS} AND has_function_privilege(p.oid, 'EXECUTE'))
"""  # noqa: S608 - our own condition


def the_application_stores_nothing_aside(
    app_configs: Any = None, databases: Any = None, **_: Any
) -> list[checks.CheckMessage]:
    """`manage.py check --deploy --database default`: may this role make what no guard looks at?"""
    for alias in databases or ():
        with connections[alias].cursor() as cursor:
            cursor.execute(_MAY_STORE)
            (may,) = cursor.fetchone()
        if may:
            return [MAY_STORE_ASIDE]
    return []
