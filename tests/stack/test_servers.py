"""The embedded pair by itself: started once, adopted, recovered, kept private."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from brokerage.stack.failure import StackError
from brokerage.stack.pids import process
from brokerage.stack.places import ELSEWHERE, fingerprint
from brokerage.stack.postgres import Postgres, binaries
from brokerage.stack.valkey import Valkey
from tests.stack.running import URLS, eventually, everyone_of

as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root drops to another user")


@pytest.fixture
def postgres(data: Path) -> Iterator[Postgres]:
    server = Postgres(data, durable=False)
    yield server
    server.stop_now()


def note(server: Postgres, text: str) -> None:
    with psycopg.connect(server.owner_url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS notes (text text)")
        connection.execute("INSERT INTO notes VALUES (%s)", [text])


def notes(server: Postgres) -> list[str]:
    with psycopg.connect(server.owner_url) as connection:
        return [text for (text,) in connection.execute("SELECT text FROM notes")]


def test_postgres_starts_from_nothing_and_stops(postgres: Postgres, data: Path) -> None:
    postgres.start()
    note(postgres, "kept")
    postgres.stop()

    assert everyone_of(data) == {}
    postgres.start()
    assert notes(postgres) == ["kept"]


def test_one_role_owns_the_database_another_works_in_it_and_none_is_a_superuser(postgres: Postgres) -> None:
    postgres.start()

    def who(url: str) -> tuple[object, ...] | None:
        with psycopg.connect(url) as connection:
            return connection.execute(
                "SELECT current_user, rolsuper, rolcreatedb, rolcreaterole, pg_get_userbyid(datdba),"
                " pg_encoding_to_char(encoding), pg_has_role(datdba, 'MEMBER')"
                " FROM pg_roles, pg_database WHERE rolname = current_user AND datname = current_database()"
            ).fetchone()

    assert who(postgres.owner_url) == ("brokerage", False, True, False, "brokerage", "UTF8", True)
    assert who(postgres.url) == ("brokerage_app", False, False, False, "brokerage", "UTF8", False)


def test_a_cluster_of_an_earlier_version_gets_the_applications_role(postgres: Postgres, data: Path) -> None:
    postgres.start()
    with psycopg.connect(postgres.owner_url.replace("brokerage@", "postgres@"), autocommit=True) as superuser:
        superuser.execute("DROP ROLE brokerage_app")

    Postgres(data, durable=False).start()  # adopted while it runs

    with psycopg.connect(postgres.url) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("brokerage_app",)


def test_the_application_makes_no_large_objects_and_no_temporary_tables_in_any_database(postgres: Postgres) -> None:
    postgres.start()
    with psycopg.connect(postgres.owner_url, autocommit=True) as owner:
        owner.execute("CREATE DATABASE another")

    tried = [
        ("brokerage", "CREATE TEMP TABLE t ()"),
        ("brokerage", "SELECT lo_create(0)"),
        ("another", "SELECT lo_create(0)"),
    ]
    for database, statement in tried:
        with (
            psycopg.connect(postgres.url, dbname=database, autocommit=True) as application,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            application.execute(statement)


def test_a_backup_is_restored_by_the_owner_without_an_error(postgres: Postgres, tmp_path: Path) -> None:
    """The owner has a right to large objects' functions; without it each of their grants is an error to it."""
    postgres.start()
    note(postgres, "kept")
    with psycopg.connect(postgres.owner_url, autocommit=True) as owner:
        owner.execute("CREATE DATABASE restored")
    restored = postgres.owner_url.rpartition("/")[0] + "/restored"

    for command in (
        ["pg_dump", "--format=custom", f"--file={tmp_path}/dump", postgres.owner_url],
        ["pg_restore", "--no-owner", f"--dbname={restored}", f"{tmp_path}/dump"],
    ):
        done = subprocess.run([binaries() / command[0], *command[1:]], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr

    with psycopg.connect(restored) as connection:
        assert connection.execute("SELECT text FROM notes").fetchall() == [("kept",)]


def test_a_durable_server_syncs_every_commit(data: Path) -> None:
    postgres = Postgres(data)
    postgres.start()

    with psycopg.connect(postgres.url) as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes", "data_checksums"):
            assert connection.execute(f"SHOW {setting}").fetchone() == ("on",), setting
    postgres.stop_now()


def test_a_server_that_still_runs_is_adopted(postgres: Postgres, data: Path) -> None:
    first = postgres.start()

    assert Postgres(data, durable=False).start() == first


def test_commits_survive_a_killed_server(data: Path) -> None:
    postgres = Postgres(data)
    first = postgres.start()
    note(postgres, "committed")
    os.kill(first.pid, signal.SIGKILL)
    assert eventually(lambda: not first.alive())

    second = Postgres(data).start()

    assert second != first
    assert notes(postgres) == ["committed"]


def test_a_stale_lock_whose_pid_is_somebody_elses_by_now_is_no_obstacle(postgres: Postgres) -> None:
    first = postgres.start()
    lock = postgres.cluster / "postmaster.pid"
    remembered = lock.read_text()
    os.kill(first.pid, signal.SIGKILL)
    assert eventually(lambda: not first.alive())
    with subprocess.Popen(["sleep", "60"]) as somebody:
        lock.write_text(remembered.replace(str(first.pid), str(somebody.pid), 1))

        second = postgres.start()

        assert second.alive()
        assert somebody.poll() is None
        somebody.kill()


def test_a_lock_file_that_a_crash_left_empty_is_no_obstacle(postgres: Postgres) -> None:
    postgres.start()
    postgres.stop()
    (postgres.cluster / "postmaster.pid").touch()

    assert postgres.start().alive()


def test_a_cluster_half_made_when_the_power_went_is_made_anew(postgres: Postgres) -> None:
    half = postgres.home / "data.making"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18")

    postgres.start()
    note(postgres, "whole")
    assert not half.exists()


def test_a_server_that_cannot_start_says_why_in_one_line(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("brokerage.stack.postgres.FOR_TESTS", {"shared_buffers": "nonsense"})
    monkeypatch.setattr("brokerage.stack.postgres.STARTS", 1)

    with pytest.raises(StackError, match=r"^PostgreSQL doesn't start: .*nonsense.*postgres\.log\)$"):
        postgres.start()


def test_nobody_else_can_connect(postgres: Postgres) -> None:
    postgres.start()

    assert postgres.sockets().stat().st_mode & 0o777 == 0o700
    assert postgres.cluster.stat().st_mode & 0o777 == 0o700
    with psycopg.connect(postgres.url) as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)


def test_a_path_too_long_for_a_socket_gets_a_short_private_one(data: Path) -> None:
    deep = data / ("long " * 12) / ("name" * 12)
    deep.mkdir(parents=True)
    postgres, valkey = Postgres(deep, durable=False), Valkey(deep)
    try:
        postgres.start()
        valkey.start()
        note(postgres, "reached")

        assert len(str(postgres.sockets())) < 80
        assert postgres.sockets().stat().st_mode & 0o777 == 0o700
        assert redis.Redis.from_url(valkey.url).ping()
    finally:
        postgres.stop_now()
        valkey.stop()
        shutil.rmtree(postgres.sockets())
        shutil.rmtree(valkey.socket().parent)


@as_root
def test_where_roots_postgres_user_has_no_way_in_the_data_goes_elsewhere(data: Path) -> None:
    hidden = data / "hidden"
    hidden.mkdir(mode=0o700)
    said: list[str] = []
    postgres = Postgres(hidden, durable=False, say=said.append)
    elsewhere = ELSEWHERE / f"brokerage-{fingerprint(hidden)}"
    try:
        server = postgres.start()
        note(postgres, "found again")
        hidden.chmod(0o711)
        again = Postgres(hidden, durable=False)

        assert again.start() == server
        assert notes(again) == ["found again"]
        assert said == [f"the user {postgres.user.name} can't enter {hidden}: postgres keeps its data in {again.home}"]
        assert elsewhere.stat().st_mode & 0o777 == 0o700
    finally:
        postgres.stop_now()
        shutil.rmtree(elsewhere)


@as_root
def test_where_roots_postgres_user_cannot_read_the_wheel_it_gets_a_copy(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("brokerage.stack.server_user.ServerUser.runs", lambda *_: False)

    postgres.start()
    note(postgres, "from the copy")

    assert str(postgres.home / "runtime-") in Path(f"/proc/{postgres.process.pid}/exe").readlink().as_posix()  # type: ignore[union-attr]


def test_valkey_starts_is_adopted_and_stops(data: Path) -> None:
    valkey = Valkey(data)
    first = valkey.start()
    client = redis.Redis.from_url(valkey.url)
    client.set("price", "1")

    assert Valkey(data).start() == first
    assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    assert client.config_get("databases") == {"databases": "64"}
    client.close()
    valkey.stop()
    assert everyone_of(data) == {}


def test_a_killed_or_hanging_valkey_is_replaced_by_an_empty_one(data: Path) -> None:
    valkey = Valkey(data)
    for number in (signal.SIGKILL, signal.SIGSTOP):
        server = valkey.start()
        redis.Redis.from_url(valkey.url).set("cache", "old")
        os.kill(server.pid, number)
        time.sleep(0.05)

        fresh = Valkey(data).start()

        assert fresh != server
        assert process(server.pid) is None
        assert redis.Redis.from_url(valkey.url).get("cache") is None
    Valkey(data).stop()


def test_the_sessions_pair_of_a_killed_test_run_is_removed_by_the_next() -> None:
    killed = subprocess.run(
        [
            *_python(),
            "import os; from tests.embedded import start_for_tests as s; print(s().home, flush=True); os._exit(9)",
        ],
        env={name: value for name, value in os.environ.items() if name not in URLS},
        capture_output=True,
        text=True,
        check=False,
    )
    home = Path(killed.stdout.strip())
    assert home.is_relative_to(tempfile.gettempdir())
    assert len(everyone_of(home)) == 2

    subprocess.run([*_python(), "from tests import embedded; embedded._remove_leftovers()"], check=True)

    assert everyone_of(home) == {}
    assert not home.exists()


def _python() -> list[str]:
    import sys

    return [sys.executable, "-c"]
