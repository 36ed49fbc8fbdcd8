"""The archiver beside a server of its own: what COMMIT waits for when it fails, a lost slot, and timelines."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from accounts.management.exits import TryAgain
from brokerage.backup import archiver, making, restoring, wal
from brokerage.stack import postgres
from brokerage.stack.waiting_commits import ARCHIVER
from tests.backup.drill import LONGEST, new_home
from tests.commands import ran
from tests.stack.running import end, eventually

pytestmark = [pytest.mark.xdist_group("live"), pytest.mark.timeout(1200)]


@pytest.fixture
def server(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[postgres.Postgres]:
    monkeypatch.setitem(postgres.SETTINGS, "max_slot_wal_keep_size", "16MB")
    home = new_home()
    made = postgres.Postgres(home, durable=False, say=lambda _: None)
    made.start()
    settings.OWNER_DATABASE = {
        "HOST": str(made.sockets()),
        "PORT": str(postgres.PORT),
        "USER": postgres.SUPERUSER,
        "PASSWORD": "",
        "NAME": postgres.DATABASE,
        "OPTIONS": {},
    }
    yield made
    made.stop_now()
    end(home, ())
    shutil.rmtree(home, ignore_errors=True)


@contextmanager
def archiving(into: Path) -> Iterator[tuple[Future[None], threading.Event, list[str]]]:
    """An archiver that streams: how it ends, what stops it, and what it said."""
    stopped, said = threading.Event(), list[str]()
    with ThreadPoolExecutor(1) as pool:
        ends = pool.submit(archiver.archive, into, stopped.is_set, synchronous=True, say=said.append)
        try:
            assert eventually(lambda: ends.done() or any("WAL is archived" in line for line in said), LONGEST)
            assert not ends.done(), ends.exception()
            yield ends, stopped, said
        finally:
            stopped.set()


def waits_for(connection: psycopg.Connection) -> str:
    ((name,),) = connection.execute("SHOW synchronous_standby_names").fetchall()
    return str(name)


def test_commits_wait_on_when_the_archiver_fails_and_no_more_when_it_is_stopped(
    server: postgres.Postgres, tmp_path: Path
) -> None:
    """Guard: only an archiver that is asked to stop resets `synchronous_standby_names`."""
    with server.as_superuser("postgres") as connection:
        with archiving(tmp_path / "wal") as (ends, _, _):
            assert eventually(lambda: waits_for(connection) == ARCHIVER, LONGEST)
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_replication")
            with pytest.raises(TryAgain, match="pg_receivewal ended"):
                ends.result(LONGEST)
        ((kept,),) = connection.execute(
            "SELECT count(*) FROM pg_file_settings WHERE name = 'synchronous_standby_names' AND setting = %s",
            [ARCHIVER],
        ).fetchall()
        assert kept == 1

        with archiving(tmp_path / "wal") as (ends, stopped, _):
            stopped.set()
            ends.result(LONGEST)
        assert eventually(lambda: waits_for(connection) == "", LONGEST)


def test_a_slot_that_was_lost_is_made_anew_in_a_folder_of_its_own(server: postgres.Postgres, tmp_path: Path) -> None:
    """Guard: `_make_slot` replaces a lost slot. Without it the archiver fails for ever."""
    with server.as_superuser("postgres") as connection:
        with archiving(tmp_path / "wal"):
            pass
        (folder,) = (tmp_path / "wal").iterdir()
        archived = {path.name for path in folder.iterdir()}
        for _ in range(6):
            connection.execute("SELECT pg_logical_emit_message(false, 'test', 'x')")
            connection.execute("SELECT pg_switch_wal()")
        connection.execute("CHECKPOINT")
        assert connection.execute("SELECT wal_status FROM pg_replication_slots").fetchall() == [("lost",)]

        with archiving(tmp_path / "wal") as (_, _, said):
            assert "base backup at once" in said[0]
        (aside,) = (tmp_path / "wal").glob("*-before-*")
        assert {path.name for path in (aside / folder.name).iterdir()} == archived
        assert not archived & {path.name for path in folder.iterdir() if not path.name.endswith(".partial")}
        assert wal.segments(folder, 1)


def test_an_archive_that_cant_be_made_may_be_tried_again(server: postgres.Postgres, tmp_path: Path) -> None:
    (tmp_path / "wal").write_text("no folder")

    with pytest.raises(TryAgain, match="can't be written"):
        archiver.archive(tmp_path / "wal", lambda: True, synchronous=False, say=print)


def test_a_server_that_is_away_ends_with_75(settings: Any, tmp_path: Path) -> None:
    """Guard: psycopg's own errors in `exits.ending_of`."""
    away = {"HOST": str(tmp_path), "PORT": "5432", "USER": "a", "PASSWORD": "", "NAME": "a", "OPTIONS": {}}
    settings.OWNER_DATABASE = away

    code, _, sentence = ran("archive_wal", "--to", str(tmp_path / "wal"))

    assert (code, "can't be reached" in sentence) == (75, True), sentence


@pytest.mark.django_db(transaction=True)
def test_a_restore_begins_a_timeline_that_no_other_has_archived(server: postgres.Postgres, tmp_path: Path) -> None:
    """Guard: `_name_timelines_that_are_taken`. Without it two restores of one backup write into one archive."""
    (folder := tmp_path / "b").mkdir()
    facts = making._base(folder)
    (tmp_path / "wal" / f"{facts['system']}-2").mkdir(parents=True)
    home = new_home()
    second = postgres.Postgres(home, durable=False, say=lambda _: None)
    try:
        second.user.own(second.home)
        restoring._unpack(folder, second, [], None)
        restoring._name_timelines_that_are_taken(second, folder, facts, None)
        restoring._start(second)
        with second.as_superuser("postgres") as connection:
            ((name,),) = connection.execute("SELECT pg_walfile_name(pg_current_wal_lsn())").fetchall()
    finally:
        second.stop_now()
        end(home, ())
        shutil.rmtree(home, ignore_errors=True)

    assert name[:8] == "00000003"
    assert facts["first_wal"][:8] == "00000001"
