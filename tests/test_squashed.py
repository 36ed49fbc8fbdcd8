"""A new database is made of each app's `schema.sql`, an older one of every migration: both come out the same."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from tests.live import environment

pytestmark = pytest.mark.django_db(transaction=True)

STEP_BY_STEP = """
import django
django.setup()
from django.core.management import call_command
from django.db.migrations.loader import MigrationLoader
load = MigrationLoader.load_disk
def without_squashed(self):
    load(self)
    self.disk_migrations = {key: one for key, one in self.disk_migrations.items() if not one.replaces}
MigrationLoader.load_disk = without_squashed
call_command("migrate", verbosity=0)
"""

WHAT_IS_THERE = """
SELECT 'column', c.relname || '.' || a.attname, concat_ws(' ', format_type(a.atttypid, a.atttypmod), a.attnotnull,
       a.attidentity, pg_get_expr(d.adbin, d.adrelid), a.attstattarget)
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
     LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (c.oid, a.attnum)
WHERE c.relnamespace = 'public'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'S')
UNION ALL SELECT 'table', relname, concat_ws(' ', relkind, reloptions) FROM pg_class
WHERE relnamespace = 'public'::regnamespace
UNION ALL SELECT 'constraint', conrelid::regclass::text || '.' || conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = 'public'::regnamespace
UNION ALL SELECT 'index', indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
UNION ALL SELECT 'trigger', tgrelid::regclass::text || '.' || tgname, pg_get_triggerdef(oid) FROM pg_trigger
WHERE NOT tgisinternal
UNION ALL SELECT 'function', oid::regprocedure::text,
       pg_get_functiondef(oid) || has_function_privilege('public', oid, 'EXECUTE')
FROM pg_proc WHERE pronamespace = 'public'::regnamespace
UNION ALL SELECT 'asset', code, (a.*)::text FROM accounts_asset a
UNION ALL SELECT 'instrument', symbol, to_jsonb(i)::text FROM quotes_instrument i
UNION ALL SELECT 'term band', term, to_jsonb(b)::text FROM quotes_termband b
UNION ALL SELECT 'window', name, (to_jsonb(w) - '{id,created_at,schedule_since,last_cut_at}'::text[])::text
FROM trades_settlementwindow w
"""


@pytest.fixture
def two_databases() -> Iterator[tuple[str, str]]:
    """URLs of two empty databases."""
    here = environment()["MIGRATION_DATABASE_URL"]
    urls = [urlunsplit(urlsplit(here)._replace(path=f"{urlsplit(here).path}_{name}")) for name in ("new", "old")]
    names = [urlsplit(url).path[1:] for url in urls]
    with psycopg.connect(here, autocommit=True) as owner:
        for name in names:
            owner.execute(f'CREATE DATABASE "{name}"')
        yield urls[0], urls[1]
        for name in names:
            owner.execute(f'DROP DATABASE "{name}"')


def plain(definition: str) -> str:
    """Without what PostgreSQL writes otherwise once it has read its own text: casts of words, and brackets."""
    return re.sub(r"::character varying|::text|ARRAY|[()\[\]]", "", definition)


def what_is_there(url: str) -> dict[tuple[str, str], str]:
    with psycopg.connect(url) as connection:
        return {(kind, name): plain(said) for kind, name, said in connection.execute(WHAT_IS_THERE).fetchall()}


def test_a_new_database_is_what_the_migrations_would_have_made(two_databases: tuple[str, str]) -> None:
    """Guard: each `schema.sql`."""
    new, old = two_databases
    settings = environment() | {"DJANGO_SETTINGS_MODULE": "brokerage.settings"}
    for url, how in ((new, ["manage.py", "migrate", "-v0"]), (old, ["-c", STEP_BY_STEP])):
        done = subprocess.run(
            [sys.executable, *how],
            env=settings | {"DATABASE_URL": url, "MIGRATION_DATABASE_URL": url},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr

    made, migrated = what_is_there(new), what_is_there(old)

    assert len(made) > 1000
    assert {key: said for key, said in made.items() if migrated.get(key) != said} == {}
    assert migrated.keys() == made.keys()
