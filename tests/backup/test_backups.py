"""What `backup` leaves, what `restore` refuses, and that a dump comes back whole into an empty database."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from django.conf import settings
from django.db import DatabaseError, connection, transaction

from accounts import clock, seals
from accounts.management.exits import Refused
from accounts.models import Backup
from brokerage.backup import manifest, programs, restoring, wal
from brokerage.observe import state
from brokerage.stack.where import CHECKOUT
from tests.accounts.sealing import seal
from tests.commands import ended, ran
from tests.given import a_customer
from tests.live import environment
from trades.admin import wellness
from trades.admin.cards import BAD, GOOD

pytestmark = pytest.mark.django_db(transaction=True)

SECOND = f"restored_here_{os.getpid()}"  # workers share a server
_TABLES = "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
RIGHTS = f"""
SELECT relname, coalesce(array(SELECT (a.grantee::regrole, a.privilege_type)::text FROM aclexplode(relacl) a
    WHERE a.grantee <> relowner ORDER BY 1), '{{}}')
FROM pg_class WHERE relname IN ({_TABLES}) AND NOT relispartition
UNION ALL
SELECT proname, array(SELECT (a.grantee::regrole, a.privilege_type)::text
    FROM aclexplode(coalesce(proacl, acldefault('f', proowner))) a WHERE a.grantee <> proowner ORDER BY 1)
FROM pg_proc WHERE pronamespace = 'public'::regnamespace
ORDER BY 1, 2
"""


@pytest.fixture(autouse=True)
def own_database(settings: Any) -> None:
    """The programs go to this test's database, not to that which the address names."""
    settings.OWNER_DATABASE = {**settings.OWNER_DATABASE, "NAME": connection.settings_dict["NAME"]}


def a_dump(folder: Path) -> dict[str, Any]:
    code, facts, sentence = ended("backup", "dump", "--to", str(folder))
    assert code == 0, sentence
    return facts


@pytest.fixture
def empty_database() -> Iterator[dict[str, str]]:
    """What a process needs to work on another database of this server, which is empty."""
    environ = environment()
    urls = {
        name: urlunsplit(urlsplit(environ[name])._replace(path=f"/{SECOND}"))
        for name in ("DATABASE_URL", "MIGRATION_DATABASE_URL")
    }
    with psycopg.connect(settings.MIGRATION_DATABASE_URL, autocommit=True) as owner:
        owner.execute(f"DROP DATABASE IF EXISTS {SECOND} WITH (FORCE)")
        owner.execute(f"CREATE DATABASE {SECOND} TEMPLATE template0")
        yield {**environ, **urls}
        owner.execute(f"DROP DATABASE IF EXISTS {SECOND} WITH (FORCE)")


def restore(environ: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "manage.py", "restore", *words]
    return subprocess.run(command, cwd=CHECKOUT, env=environ, capture_output=True, text=True, check=False)


def test_a_backup_says_what_it_is_of_and_is_for_its_owner_alone(tmp_path: Path) -> None:
    a_customer(with_usd="100.00")
    head = seal().head
    assert head is not None

    facts = a_dump(tmp_path / "b")

    assert facts["head"] == {"number": head.number, "hash": head.hash}
    said = json.loads((tmp_path / "b" / "manifest.json").read_text())
    assert {"kind", "began_at", "ended_at", "version", "migration", "server", "head", "bytes", "files"} <= said.keys()
    assert said["files"]["database.dump"]["sha256"] == manifest.sha256(tmp_path / "b" / "database.dump")
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "b").iterdir()} == {0o600}
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_a_backup_is_a_row_and_the_dashboard_and_the_metrics_tell_how_old_it_is(tmp_path: Path, settings: Any) -> None:
    """Guards: `_backup` of the dashboard, and the row's trigger."""
    settings.BACKUP_MAX_AGE_HOURS = 26
    now = clock.now()
    assert [(card.value, card.mood) for card in wellness._backup(now)] == [("none yet", BAD)]
    assert state.backup_age(now) == float("inf")

    a_dump(tmp_path / "b")

    row = Backup.objects.get()
    assert (row.kind, row.place, row.head_hash) == ("dump", str(tmp_path / "b"), "")
    assert row.began_at <= row.at
    assert state.backup_age(row.at + timedelta(seconds=5)) == 5
    assert [card.mood for card in wellness._backup(row.at + timedelta(hours=26))] == [GOOD]
    assert [card.mood for card in wellness._backup(row.at + timedelta(hours=26, seconds=1))] == [BAD]
    with pytest.raises(DatabaseError, match="never changed or removed"), transaction.atomic():
        Backup.objects.update(bytes=1)
    settings.BACKUP_MAX_AGE_HOURS = 0
    assert [card.mood for card in wellness._backup(row.at + timedelta(days=99))] == [GOOD]


def test_a_backup_that_failed_is_no_row(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()

    ended("backup", "dump", "--to", str(tmp_path / "b"))

    assert not Backup.objects.exists()


def test_a_target_that_is_there_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    """Guard: `target.exists()` in `making.make`."""
    (tmp_path / "b").mkdir()

    code, _, sentence = ended("backup", "dump", "--to", str(tmp_path / "b"))

    assert (code, sentence) == (3, f"{tmp_path / 'b'} is there already: choose another place.")
    assert list((tmp_path / "b").iterdir()) == []


def test_without_a_place_it_is_usage() -> None:
    assert ran("backup", "dump")[0] == 2


def test_a_disk_that_fills_up_leaves_nothing_and_may_be_tried_again(tmp_path: Path) -> None:
    """A limit of a file's size stands for the full disk. Guard: `finally` in `making.make`."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        code, _, sentence = ended("backup", "dump", "--to", str(tmp_path / "b"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert code == 75
    assert "pg_dump failed" in sentence
    assert list(tmp_path.iterdir()) == []


def test_a_password_is_in_a_file_of_ones_own_and_on_no_command_line() -> None:
    """Guard: `programs.environment`."""
    database = {**settings.OWNER_DATABASE, "PASSWORD": "a:b\\c"}

    with programs.environment(database) as environ:
        path = Path(environ["PGPASSFILE"])
        assert path.read_text() == "*:*:*:*:a\\:b\\\\c\n"
        assert path.stat().st_mode & 0o777 == 0o600
        assert "PGPASSWORD" not in environ
        assert "PGOPTIONS" not in environ
    assert not path.exists()


@pytest.mark.parametrize("harm", ["changed", "cut short", "missing", "no manifest", "not JSON", "elsewhere"])
def test_a_damaged_backup_is_refused_before_anything_is_touched(tmp_path: Path, harm: str) -> None:
    """Guard: `manifest.read`, which `restore` begins with."""
    a_dump(folder := tmp_path / "b")
    file, said = folder / "database.dump", folder / "manifest.json"
    if harm == "changed":
        whole = bytearray(file.read_bytes())
        whole[len(whole) // 2] ^= 1
        file.write_bytes(whole)
    elif harm == "cut short":
        os.truncate(file, 100)
    elif harm == "missing":
        file.unlink()
    elif harm == "no manifest":
        said.unlink()
    elif harm == "not JSON":
        said.write_text("{")
    else:
        facts = json.loads(said.read_text())
        facts["files"]["../b/database.dump"] = facts["files"].pop("database.dump")
        said.write_text(json.dumps(facts))

    code, _, sentence = ended("restore", str(folder))

    assert (code, sentence.startswith(("The backup", "The manifest", str(folder)))) == (3, True), sentence


def test_a_dump_comes_back_with_its_rows_rights_and_chain(tmp_path: Path, empty_database: dict[str, str]) -> None:
    """Guards: `functions_not_public`, and `migrate` afterwards: without them functions are everybody's, or nothing is
    granted."""
    a_customer(with_usd="100.00")
    head = seal().head
    assert head is not None
    a_dump(tmp_path / "b")

    run = restore(empty_database, str(tmp_path / "b"), "--head", head.hash)

    assert run.returncode == 0, run.stdout + run.stderr
    with psycopg.connect(empty_database["MIGRATION_DATABASE_URL"]) as there, connection.cursor() as here:
        for query in (RIGHTS, "SELECT * FROM accounts_transfer ORDER BY id", "SELECT * FROM accounts_sealblock"):
            here.execute(query)
            assert there.execute(query).fetchall() == here.fetchall()
    again = restore(empty_database, str(tmp_path / "b"))
    assert again.returncode == 3
    assert "isn't empty" in again.stderr


def test_a_dump_comes_back_into_an_empty_data_directory(tmp_path: Path) -> None:
    """Guard: `_alone`: what is there is never written over."""
    a_customer(with_usd="100.00")
    seal()
    a_dump(tmp_path / "b")
    data = Path(tempfile.mkdtemp(prefix="restored-"))
    data.chmod(0o711)  # root's PostgreSQL user has to pass
    environ = {name: value for name, value in environment().items() if "DATABASE_URL" not in name}
    environ["BROKERAGE_DATA_DIR"] = str(data)
    try:
        run = restore(environ, str(tmp_path / "b"))
        again = restore(environ, str(tmp_path / "b"))
        kept = (data / "postgres" / "data" / "PG_VERSION").exists()
    finally:
        shutil.rmtree(data)

    assert run.returncode == 0, run.stdout + run.stderr
    assert (again.returncode, "isn't empty" in again.stderr, kept) == (3, True, True), again.stderr


def test_a_head_that_the_chain_doesnt_hold_is_a_finding(tmp_path: Path, empty_database: dict[str, str]) -> None:
    """A backup of other books, or of these with a rewritten history. Guard: `--head` given to the audit."""
    a_customer(with_usd="100.00")
    seal()
    a_dump(tmp_path / "b")

    run = restore(empty_database, str(tmp_path / "b"), "--head", "f" * 64)

    assert run.returncode == 1, run.stderr
    assert "History isn't what was sealed" in run.stderr


def test_code_that_is_older_than_the_backup_is_refused(tmp_path: Path, empty_database: dict[str, str]) -> None:
    """Guard: `_refuse_older_code`."""
    a_dump(folder := tmp_path / "b")
    facts = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**facts, "migration": "trades.9999_of_tomorrow"}))

    run = restore(empty_database, str(folder))

    assert run.returncode == 3
    assert "older than the backup" in run.stderr


def test_only_a_base_backup_is_brought_to_a_moment(tmp_path: Path, empty_database: dict[str, str]) -> None:
    a_dump(folder := tmp_path / "b")

    assert restore(empty_database, str(folder), "--to", "2026-12-01T03:00Z").returncode == 2
    assert restore(empty_database, str(folder), "--to", "2026-12-01T03:00").returncode == 2


def test_the_head_is_read_before_the_copy_so_every_copy_holds_it(tmp_path: Path) -> None:
    assert seals.head() is None

    assert a_dump(tmp_path / "b")["head"] is None


def test_a_firms_books_dont_come_back_as_a_sandbox(tmp_path: Path) -> None:
    """Guard: `_refuse_the_other_kind`."""
    a_dump(folder := tmp_path / "b")
    facts = json.loads((folder / "manifest.json").read_text())
    assert facts["sandbox"] is settings.SANDBOX
    (folder / "manifest.json").write_text(json.dumps({**facts, "sandbox": not settings.SANDBOX}))

    code, _, sentence = ended("restore", str(folder))

    assert (code, "It was copied with SANDBOX=" in sentence) == (3, True), sentence


def test_addresses_that_cant_work_are_refused_before_the_dump_is_restored(
    tmp_path: Path, empty_database: dict[str, str]
) -> None:
    """Guard: `_refuse_addresses`: what fails after the dump leaves a database that isn't empty."""
    a_dump(tmp_path / "b")
    elsewhere = {**empty_database, "DATABASE_URL": environment()["DATABASE_URL"]}

    run = restore(elsewhere, str(tmp_path / "b"))

    assert (run.returncode, "name two databases" in run.stderr) == (3, True), run.stderr
    with psycopg.connect(empty_database["MIGRATION_DATABASE_URL"]) as there:
        assert there.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)


def test_no_archived_wal_beside_a_base_backup_is_refused_unless_said(tmp_path: Path) -> None:
    """Guard: `archive is None` in `_segments`. All that came after the backup would be lost with a note."""
    facts = {"end": "0/3000028", "wal": "7-1", "timeline": 1}

    with pytest.raises(Refused, match="There is no archived WAL"):
        restoring._segments(tmp_path / "b", facts, None)

    (tmp_path / "empty").mkdir()
    assert restoring._segments(tmp_path / "b", facts, tmp_path / "empty") == []


def test_what_killed_backups_left_goes_after_a_day(tmp_path: Path) -> None:
    """Guard: `_remove_leftovers`, and its day: one that is being made now stays."""
    old, new, other = (tmp_path / f".{name}.making" for name in ("1-dump", "2-dump", "1-base"))
    two_days_ago = clock.now().timestamp() - 2 * 86_400
    for place in (old, new, other):
        place.mkdir()
        (place / "file").touch()
        os.utime(place / "file", (two_days_ago, two_days_ago))
        if place != new:
            os.utime(place, (two_days_ago, two_days_ago))

    a_dump(tmp_path / "b")

    assert {path.name for path in tmp_path.iterdir()} == {"b", new.name, other.name}


def test_sigterm_ends_a_backup_and_leaves_nothing(tmp_path: Path) -> None:
    """Guard: `sigterm_interrupts`. The program that is waited for sends it, as whoever stops the service does."""
    programs_dir = tmp_path / "programs"
    programs_dir.mkdir()
    (programs_dir / "pg_dump").write_text("#!/bin/sh\nkill -TERM $PPID\nexec sleep 600\n")
    (programs_dir / "pg_dump").chmod(0o755)
    (tmp_path / "tmp").mkdir()
    environ = {**environment(), "POSTGRES_PROGRAMS": str(programs_dir), "TMPDIR": str(tmp_path / "tmp")}
    command = [sys.executable, "manage.py", "backup", "dump", "--to", str(tmp_path / "to" / "b")]

    run = subprocess.run(command, cwd=CHECKOUT, env=environ, capture_output=True, text=True, check=False)

    assert run.returncode == 130, run.stderr
    assert list((tmp_path / "to").iterdir()) == []
    assert [path.name for path in (tmp_path / "tmp").iterdir() if path.name.startswith("brokerage-pass")] == []


def test_the_next_timeline_is_above_those_that_have_an_archive(tmp_path: Path) -> None:
    for name in ("7-1", "7-3", "7-2-before-20261201T020000Z", "77-9", "7-x"):
        (tmp_path / name).mkdir()

    assert wal.taken([tmp_path, tmp_path / "none"], "7") == 3
    assert wal.taken([tmp_path], "8") == 0
    assert wal.name_of(1, "1/2000028") == "000000010000000100000002"


def files(folder: Path, *names: str) -> list[wal.Segment]:
    for name in names:
        (folder / name).touch()
    return wal.segments(folder, 1)


def test_archived_segments_are_in_order_and_a_gap_is_found(tmp_path: Path) -> None:
    """Guard: `missing_from`. Without it a restore ends at the gap, and says nothing."""
    found = files(
        tmp_path,
        "0000000100000000000000FE",
        "0000000100000000000000FF",
        "000000010000000100000000",
        "000000010000000100000000.partial",
        "000000010000000100000001.partial",
        "000000020000000100000001",
        "00000002.history",
    )

    assert [(one.number, one.is_partial) for one in found] == [(254, False), (255, False), (256, False), (257, True)]
    assert wal.missing_from(255, found) is None
    assert wal.missing_from(250, found) == 250
    assert wal.missing_from(255, [one for one in found if one.number != 256]) == 256
    assert wal.missing_from(300, found) is None
    assert wal.number_of("1/2000028") == 258
