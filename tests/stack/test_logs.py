"""What logs hold: nothing that whoever reads them could use, and nobody but their owner reads the files."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from django.conf import settings

from brokerage.logs import FORMATS, formatter
from brokerage.stack.log import Log
from brokerage.stack.masking import masked
from brokerage.stack.places import open_log
from brokerage.stack.postgres import Postgres
from brokerage.stack.valkey import Valkey
from tests.stack.running import STUB, Up

HASH = "pbkdf2_sha256$1000000$abcDEF123$NotForAnyEye0123456789="
ADDRESS = "ann.smith@firm.example"


@pytest.fixture
def everything_open() -> Iterator[None]:
    """The umask of somebody who has never heard of it."""
    before = os.umask(0)
    yield
    os.umask(before)


def modes(directory: Path) -> dict[str, str]:
    return {path.name: f"{stat.S_IMODE(path.stat().st_mode):o}" for path in [directory, *directory.iterdir()]}


@pytest.mark.usefixtures("everything_open")
def test_logs_are_their_owners_alone_whatever_the_umask(data: Path) -> None:
    postgres, valkey = Postgres(data, durable=False), Valkey(data)
    postgres.start()
    valkey.start()
    postgres.stop_now()
    valkey.stop()

    assert modes(data / "log") == {"log": "700", "postgres.log": "600", "valkey.log": "600"}


@pytest.mark.usefixtures("everything_open")
def test_logs_of_an_earlier_version_are_closed(data: Path) -> None:
    (data / "log").mkdir(mode=0o777)
    for name in ("postgres.log", "postgres.log.1"):
        (data / "log" / name).touch(mode=0o666)

    open_log(data, "postgres").close()

    assert modes(data / "log") == {"log": "700", "postgres.log": "600", "postgres.log.1": "600"}


@pytest.mark.usefixtures("everything_open")
def test_only_the_owner_can_write_the_files_of_up(data: Path, port: int) -> None:
    """Who can write stack.json names the database that the next command works on."""
    below = data / "kept"
    below.mkdir(mode=0o777)  # an earlier version's
    up = Up(below, *STUB, str(port))
    try:
        up.says("ready")
        written = [below, *(path for path in below.iterdir() if not path.is_socket())]
        assert {path.name for path in written} >= {"kept", "stack.json", "up.lock"}
        assert [path.name for path in written if path.stat().st_mode & 0o022] == []
    finally:
        up.signal(15)
        up.ends()


FAILING = [
    # the statement itself, as Django writes it: with its values in it
    f"UPDATE people SET password = '{HASH}', email = '{ADDRESS}' WHERE 1 / 0 = 1",
    # what is taken already, and the row that a rule refuses: in the detail
    f"INSERT INTO people VALUES ('{ADDRESS}', '{HASH}')",
    f"INSERT INTO people VALUES ('other@firm.example', '{HASH}', -1)",
    # what can't be read, in the error itself
    f"SELECT '{HASH}'::uuid",
    f"SELECT {ADDRESS.replace('@', '.')}",
    f"DO $$ BEGIN RAISE EXCEPTION 'no %', '{HASH}'; END $$",
    f"DO $$ BEGIN RAISE WARNING 'no %', '{HASH}'; END $$",
]


def test_postgres_logs_nothing_of_statements_that_fail(data: Path) -> None:
    """Guard: log_min_messages, log_min_error_statement, log_error_verbosity. Without them each of these is logged."""
    postgres = Postgres(data, durable=False)
    postgres.start()
    with psycopg.connect(postgres.owner_url, autocommit=True) as owner:
        owner.execute("CREATE TABLE people (email text UNIQUE, password text, age int CHECK (age > 0))")
        owner.execute(f"INSERT INTO people VALUES ('{ADDRESS}', '{HASH}')")
        for statement in FAILING:
            with contextlib.nullcontext() if "WARNING" in statement else pytest.raises(psycopg.Error):
                owner.execute(statement)
        with pytest.raises(psycopg.Error):
            owner.execute("INSERT INTO people VALUES (%s, %s)", [ADDRESS, HASH])
        with pytest.raises(psycopg.Error):
            owner.execute("SELECT 1 / %s, %s::text", [0, HASH])
        _waits_for_a_lock(postgres, owner)
    postgres.stop()

    written = "".join(path.read_text() for path in (data / "log").iterdir())
    written = written.replace(str(data), "")  # a random name, of which "ann" may be a part
    assert "database system is ready" in written, "what the server says of itself stays"
    for secret in (HASH, "NotForAnyEye", ADDRESS, "ann", "people"):
        assert secret not in written, secret


def test_the_application_cannot_make_postgresql_log_more(data: Path) -> None:
    postgres = Postgres(data, durable=False)
    postgres.start()
    with psycopg.connect(postgres.url, autocommit=True) as application:
        for change in ("log_statement = 'all'", "log_min_messages = 'notice'", "log_min_error_statement = 'error'"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                application.execute(f"SET {change}")
    postgres.stop_now()


def _waits_for_a_lock(postgres: Postgres, owner: psycopg.Connection) -> None:
    """Longer than a second, which the server logs, and would log with the statement."""
    with psycopg.connect(postgres.owner_url) as waiting, owner.transaction():
        owner.execute("UPDATE people SET age = 1")
        slow = threading.Thread(
            target=lambda: waiting.execute(f"UPDATE people SET age = 2 WHERE password = '{HASH}'"), daemon=True
        )
        slow.start()
        slow.join(1.3)


# --- the application's own lines -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "written"),
    [
        (f"deposit by {ADDRESS}, key k", "deposit by [e-mail], key k"),
        (f"set to '{HASH}'", "set to '[hash]'"),
        ("DETAIL:  Key (email)=(x, y) already exists.", "DETAIL:  Key (email)=([value]) already exists."),
        ("DETAIL:  Failing row contains (1, (a), b).", "DETAIL:  Failing row contains ([row])."),
        ("redis://:s3cret@valkey:6379/0 is away", "redis://:***@valkey:6379/0 is away"),
        ("postgres://app:s3cret@db:5432/x", "postgres://app:***@db:5432/x"),
        ("Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "Bearer [token]"),
        ("batch 01a1fe08d6a1716f994f18f1b931527f: 4 of 4", "batch 01a1fe08d6a1716f994f18f1b931527f: 4 of 4"),
        ("a@b is no address, 5 $ neither", "a@b is no address, 5 $ neither"),
    ],
)
def test_secrets_and_addresses_are_masked_and_ids_stay(said: str, written: str) -> None:
    assert masked(said) == written


@pytest.mark.parametrize("how", FORMATS)
def test_a_traceback_is_masked_as_well(how: str) -> None:
    """Guard: `_masked`, in both formats."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(formatter(how))
    log = logging.Logger("alone")
    log.addHandler(handler)

    try:
        raise ValueError(f"Key (email)=({ADDRESS}) already exists; {HASH}")
    except ValueError:
        log.exception("of %s", ADDRESS, extra={"order": ADDRESS, "sql": "SELECT", "request": object()})

    assert "SELECT" not in out.getvalue()
    assert "object" not in out.getvalue()
    assert "Traceback" in out.getvalue()
    assert ADDRESS not in out.getvalue()
    assert HASH not in out.getvalue()


def test_every_process_masks_what_it_logs_and_so_does_up() -> None:
    assert settings.LOGGING["formatters"]["line"]["()"] == "brokerage.logs.formatter"
    assert {its["formatter"] for its in settings.LOGGING["handlers"].values()} == {"line"}
    out = io.StringIO()

    Log(out, ["web"]).line("web", f"of {ADDRESS}")

    assert out.getvalue().endswith("of [e-mail]\n")
