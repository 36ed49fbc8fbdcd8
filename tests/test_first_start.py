"""`migrate` as compose starts it first: an empty database, and the application's role isn't there yet."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from brokerage.stack.processes import MANAGE
from tests.live import environment
from tests.roles import urls_role

pytestmark = pytest.mark.django_db(transaction=True)


@dataclass
class Empty:
    """A database without a table; its owner; and the name of a role that doesn't exist."""

    superuser: psycopg.Connection
    url: str
    owner: str
    role: str

    def migrate(self) -> subprocess.CompletedProcess[str]:
        env = environment() | {
            "SANDBOX": "0",
            "SECRET_KEY": "a secret key of a test, " * 4,
            "JWT_SIGNING_KEY": "a signing key of a test, " * 4,
            "DATABASE_URL": urls_role(self.url, f"{self.role}:secret"),
            "MIGRATION_DATABASE_URL": urls_role(self.url, self.owner),
        }
        return subprocess.run(
            [*MANAGE, "migrate", "--no-input", "--verbosity", "0"],
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )

    def tables(self) -> int:
        with psycopg.connect(urls_role(self.url, self.owner)) as connection:
            (number,) = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
            return number


@pytest.fixture
def empty() -> Iterator[Empty]:
    here, tail = environment()["DATABASE_URL"], uuid.uuid4().hex[:8]
    try:
        superuser = psycopg.connect(urls_role(here, "postgres"), autocommit=True)
    except psycopg.OperationalError:
        pytest.skip("only the embedded PostgreSQL lets tests be its superuser")
    with superuser:
        url = urlunsplit(urlsplit(here)._replace(path=f"/first_{tail}"))
        made = Empty(superuser, url, f"owner_{tail}", f"app_{tail}")
        _say(made, "CREATE ROLE {owner} LOGIN")
        _say(made, f"CREATE DATABASE first_{tail} OWNER {{owner}}")
        yield made
        _say(made, f"DROP DATABASE first_{tail} WITH (FORCE)")
        _say(made, "DROP ROLE IF EXISTS {role}")
        _say(made, "DROP ROLE {owner}")


def _say(empty: Empty, statement: str) -> None:
    names = {"owner": sql.Identifier(empty.owner), "role": sql.Identifier(empty.role)}
    empty.superuser.execute(sql.SQL(statement).format(**names))


def test_an_owner_that_may_make_roles_migrates_and_makes_the_applications_own(empty: Empty) -> None:
    """Guard: nothing asks before `become_owner`, Django's checks neither (`Job.requires_system_checks`)."""
    _say(empty, "ALTER ROLE {owner} CREATEROLE")

    run = empty.migrate()

    assert (run.returncode, run.stderr) == (0, "")
    with psycopg.connect(urls_role(empty.url, empty.role), autocommit=True) as application:
        application.execute("SELECT FROM accounts_transfer")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            application.execute("UPDATE accounts_transfer SET amount = 1")


def test_an_owner_that_may_not_make_roles_is_told_so_in_one_line_and_nothing_is_migrated(empty: Empty) -> None:
    """Guard: `refuse_a_role_that_cant_be_made`."""
    run = empty.migrate()

    assert run.returncode == 78
    assert run.stderr == (
        f"Settings: The role {empty.role} of DATABASE_URL doesn't exist, and the owner may not make it. "
        f"As an administrator: CREATE ROLE {empty.role} LOGIN PASSWORD '…'; then migrate again.\n"
    )
    assert empty.tables() == 0
