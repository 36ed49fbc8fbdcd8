"""Versions of rows that decide about money and may change: instruments, windows, customers, who they are.

A trigger writes what a row says, whenever that changes, into `accounts_rowversion`, which is append-only and sealed
(docs/decisions/0048-row-versions.md). So a row that somebody changed around the trigger no longer says what its last
version does, and is named. What the versions leave out is what changes all day and decides nothing.

Settings name the list of these tables (`VERSIONED_TABLES`), since most are other apps'. A migration of the table's app
gives it the trigger, by the database's function `keep_versions`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.db import connection, transaction
from django.utils.module_loading import import_string
from psycopg.sql import SQL, Composable, Identifier, Literal

from accounts.audit import MOST_FINDINGS, Check, Finding, Looked, count_of

VERSIONS: Final = "accounts_rowversion"
TRIGGER: Final = "versioned"


@dataclass(frozen=True, slots=True)
class Versioned:
    """A table whose rows have versions: its key, the columns left out of them, and those of which a digest is kept.

    `salted`: personal data, of which a digest with the row's `salt` is kept, as `<name>_sha256`. When the data is
    erased, the salt goes with it.
    """

    table: str
    key: str
    without: tuple[str, ...] = ()
    hashed: tuple[str, ...] = ()
    salted: tuple[str, ...] = ()

    def says(self) -> Composable:
        """What a row `r` says, as the trigger writes it."""
        said = SQL("to_jsonb(r) - {}::text[]").format(Literal(_array(self.without)))
        for name in self.hashed:
            digest = SQL("encode(sha256(convert_to(r.{}, 'UTF8')), 'hex')").format(Identifier(name))
            said = SQL("({}) || jsonb_build_object({}::text, {})").format(said, Literal(name), digest)
        for name in self.salted:
            salted = SQL("encode(sha256(convert_to(r.salt::text || coalesce(to_jsonb(r) ->> {}, ''), 'UTF8')), 'hex')")
            digest = salted.format(Literal(name))
            said = SQL("(({}) - {}::text) || jsonb_build_object({}::text, {})").format(
                said, Literal(name), Literal(f"{name}_sha256"), digest
            )
        return SQL("({}) - 'salt'").format(said) if self.salted else said

    def arguments(self) -> list[str]:
        """The trigger's."""
        salted = [",".join(self.salted)] if self.salted else []
        return [self.key, ",".join(self.without), ",".join(self.hashed), *salted]


def kept() -> tuple[Versioned, ...]:
    """The tables that settings name."""
    tables: tuple[Versioned, ...] = import_string(settings.VERSIONED_TABLES)
    return tables


def checks(tables: Sequence[Versioned]) -> tuple[Check, ...]:
    """Of each of these tables: that its rows say what their last versions do. Only where the audit verifies."""
    return tuple(_check(one) for one in tables)


# --- verifying --------------------------------------------------------------------------------------

# Only what both name is compared: a column that was added or dropped since is no tampering. `migrate` writes another
# version then (`catch_up`). Both sides are small: these tables are.
_DIFFERENT = """
WITH last AS MATERIALIZED (
    SELECT DISTINCT ON (row_key) row_key, number, said FROM accounts_rowversion
    WHERE table_name = {name} ORDER BY row_key, number DESC
)
SELECT coalesce(w.row_key, last.row_key), w.said IS NULL, last.said IS NULL, last.number,
       ARRAY(SELECT n FROM jsonb_object_keys(w.said) n
             WHERE last.said ? n AND w.said -> n IS DISTINCT FROM last.said -> n ORDER BY n)
FROM (SELECT r.{key}::text AS row_key, {says} AS said FROM {table} r) w
FULL JOIN last ON last.row_key = w.row_key
WHERE w.said IS DISTINCT FROM last.said
  AND (w.said IS NULL OR last.said IS NULL OR EXISTS (
      SELECT FROM jsonb_object_keys(w.said) n WHERE last.said ? n AND w.said -> n IS DISTINCT FROM last.said -> n))
ORDER BY 1 LIMIT {most}
"""

_GUARDED = """
SELECT t.tgname FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
WHERE t.tgrelid = to_regclass(%s) AND t.tgname = %s AND t.tgenabled = 'O' AND p.proname = 'note_row_version'
"""


def _check(versioned: Versioned) -> Check:
    name = f"versions of {versioned.table}"
    return Check(name, lambda: Looked(count_of(versioned.table), _found(name, versioned)), only_verifying=True)


def _found(check: str, versioned: Versioned) -> Iterator[Finding]:
    table = versioned.table
    with connection.cursor() as cursor:
        cursor.execute(_GUARDED, [table, TRIGGER])
        if not cursor.fetchone():
            yield Finding(check, table, f"{table} has lost the trigger that writes its rows' versions.", tampered=True)
        cursor.execute("SELECT set_config('TimeZone', 'UTC', true)")  # moments in JSON are told in the session's zone
        cursor.execute(_query(_DIFFERENT, versioned, most=Literal(MOST_FINDINGS)))
        rows = cursor.fetchall()
    for row in rows:
        yield Finding(check, _key(row[0]), _sentence(table, *row), tampered=True)


def _sentence(table: str, key: str, is_gone: bool, is_unknown: bool, number: int | None, names: list[str]) -> str:
    what = f"Row {_key(key)} of {table}"
    if number is None:
        return f"{what} was added without a version."
    if is_gone:
        return f"{what} was removed after its version {number} without another one."
    if is_unknown:
        return f"{what} is there again after its version {number}, which says that it was removed."
    return f"{what} was changed after its version {number} without another one: {', '.join(names)}."


def _key(text: str) -> str:
    return text.replace("-", "") if len(text) == 36 and text.count("-") == 4 else text


# --- after a migration ------------------------------------------------------------------------------

# A column that was added or dropped fires no trigger. Only rows that say of the others what their last version does:
# what was tampered with stays so.
_CAUGHT_UP = """
WITH last AS MATERIALIZED (
    SELECT DISTINCT ON (row_key) row_key, number, said FROM accounts_rowversion
    WHERE table_name = {name} ORDER BY row_key, number DESC
)
INSERT INTO accounts_rowversion (id, table_name, row_key, number, said, by_role, at)
SELECT new_uuid7(), {name}, w.row_key, last.number + 1, w.said, session_user, clock_timestamp()
FROM (SELECT r.{key}::text AS row_key, {says} AS said FROM {table} r) w
JOIN last ON last.row_key = w.row_key
WHERE w.said <> last.said AND NOT EXISTS (
    SELECT FROM jsonb_object_keys(w.said) n WHERE last.said ? n AND w.said -> n IS DISTINCT FROM last.said -> n)
"""


def after_migrating(**_: Any) -> None:
    """Django's post_migrate signal."""
    catch_up()


@transaction.atomic
def catch_up() -> int:
    """Write a version of each row to whose table a migration added columns, or took some; how many. For the owner."""
    written = 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s)", [VERSIONS])
        if cursor.fetchone()[0] is None:  # migrated back to before there were any
            return 0
        cursor.execute("SELECT set_config('TimeZone', 'UTC', true)")
        for versioned in kept():
            cursor.execute("SELECT to_regclass(%s)", [versioned.table])
            if cursor.fetchone()[0] is None:  # migrated to where there is no such table, or not yet
                continue
            cursor.execute(_query(_CAUGHT_UP, versioned))
            written += cursor.rowcount
    return written


def _query(text: str, versioned: Versioned, **more: Composable) -> str:
    given: dict[str, Any] = {
        "name": Literal(versioned.table),
        "table": Identifier(versioned.table),
        "key": Identifier(versioned.key),
        "says": versioned.says(),
        **more,
    }
    return SQL(text).format(**given).as_string(None)


def _array(names: tuple[str, ...]) -> str:
    return "{" + ",".join(names) + "}"
