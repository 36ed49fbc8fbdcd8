"""The way back: a backup into an empty place, brought to a moment, its history verified before anybody works on it.

A base backup becomes the embedded server's data directory; a dump goes into an empty database, of the embedded
server or of one's own. Until all is done a directory has another name (`data.restoring`), and a database is filled
in one transaction: who is interrupted begins anew.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import psycopg
from django.conf import settings
from django.core.management.base import CommandError
from django.db.migrations.loader import MigrationLoader
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL

from accounts.management.exits import Exit, Found, Refused, TryAgain
from brokerage.backup import manifest, programs, wal
from brokerage.stack.failure import StackError
from brokerage.stack.postgres import MAJOR, Postgres
from brokerage.stack.processes import MANAGE
from brokerage.stack.state import Lock
from brokerage.stack.where import CHECKOUT, data_dir

_RECOVERY_SECONDS: Final = 24 * 3600
_LOST_NUMBERS: Final = 2**32  # of transactions that somebody may have been told of, and that aren't in the backup
_BASE, _WAL, _AUTO = "base.tar", "pg_wal.tar", "postgresql.auto.conf"


@dataclass(slots=True)
class Restored:
    """What was restored: into where, up to which moment as PostgreSQL says (None: the backup's own), what the audit
    said, and the sentences about what its reader has to know."""

    place: str
    until: datetime | None = None
    audit: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def restore(
    folder: Path, *, to: datetime | None, head: str, archive: Path | None, say: Callable[[str], None]
) -> Restored:
    """Restore a backup; what came of it.

    Raises:
        Refused: the place isn't empty, the backup is damaged or of later code, or the moment can't be reached.
        TryAgain: a disk is full or a server away; nothing is left under its final name.
        Found: history isn't what was sealed. What was restored stays aside where it is a directory.
    """
    facts = manifest.read(folder)
    say(f"The backup of {facts['ended_at']} is whole: {facts['kind']}, {facts['bytes']:,} bytes.")
    _refuse_older_code(facts)
    _refuse_the_other_kind(facts)
    known = head or (facts["head"] or {}).get("hash", "")
    if facts["kind"] == "base":
        return _base(folder, facts, to, known, archive, say)
    if to is not None:
        raise CommandError("Only a base backup can be brought to a moment (--to).")
    return _dump(folder, facts, known, say)


def _refuse_older_code(facts: Mapping[str, Any]) -> None:
    app, _, name = str(facts["migration"]).partition(".")
    loader = MigrationLoader(None, load=False)
    loader.load_disk()
    if (app, name) not in loader.disk_migrations:
        raise Refused(f"This code is older than the backup, which has migration {app}.{name}: take {facts['version']}.")


def _refuse_the_other_kind(facts: Mapping[str, Any]) -> None:
    """SANDBOX is on unless somebody says otherwise, and a firm's books in a sandbox would be anybody's to change."""
    was = facts.get("sandbox", settings.SANDBOX)
    if was != settings.SANDBOX:
        raise Refused(f"It was copied with SANDBOX={int(was)}, and this has SANDBOX={int(settings.SANDBOX)}: set it.")


# --- a base backup ----------------------------------------------------------------------------------


def _base(
    folder: Path,
    facts: dict[str, Any],
    to: datetime | None,
    head: str,
    archive: Path | None,
    say: Callable[[str], None],
) -> Restored:
    if str(facts["server"]).split(".")[0] != MAJOR:
        raise Refused(f"It was copied from PostgreSQL {facts['server']}; this one is {MAJOR}. Restore a dump instead.")
    if to is not None and to < datetime.fromisoformat(facts["ended_at"]) - timedelta(seconds=1):
        raise Refused(f"This backup ended at {facts['ended_at']}, later than {to.isoformat()}: take an earlier one.")
    with _alone() as server:
        final, server.cluster = server.cluster, server.home / "data.restoring"
        segments = _segments(folder, facts, archive)
        done = Restored(str(final))
        try:
            _unpack(folder, server, segments, to)
            _name_timelines_that_are_taken(server, folder, facts, archive)
            say(f"Unpacked, with {len(segments)} archived segments of WAL; recovering.")
            _start(server)
            done.until = _last_commit(server)
            _migrate(server.urls)
            _settle(server.owner_url)
        except OSError as failure:
            raise TryAgain(f"{server.home} can't be written: {failure.strerror or failure}.") from failure
        except StackError as failure:
            raise _why_not(str(failure), to) from failure
        done.audit = _audited(server.urls, head)
        server.stop(_RECOVERY_SECONDS)
        _take_back_recovery(server)
        _refuse_tampered(done, f"It is left aside in {server.cluster}.")
        server.cluster.rename(final)
    if not segments:
        done.notes.append("There was no archived WAL: what was written after the backup isn't there.")
    return done


class _alone:  # noqa: N801 - reads as a word of the `with` statement
    """The embedded server of a data directory in which there is none and nothing runs."""

    def __enter__(self) -> Postgres:
        data = data_dir()
        try:
            data.mkdir(mode=0o755, parents=True, exist_ok=True)
            self._lock = Lock(data)
            self._lock.take("a restore")
            self._server = Postgres(data, say=lambda _: None)
            if self._server.cluster.exists():
                raise Refused(f"{self._server.cluster} isn't empty: restore into another BROKERAGE_DATA_DIR.")
            self._server.user.own(self._server.home)
        except StackError as failure:
            raise Refused(str(failure)) from failure
        return self._server

    def __exit__(self, *_: object) -> None:
        self._server.stop(30)
        shutil.rmtree(self._server.home / "wal.restoring", ignore_errors=True)


def _segments(folder: Path, facts: Mapping[str, Any], archive: Path | None) -> list[wal.Segment]:
    """The archived WAL behind the backup. Raises Refused where one is missing, for all after it would be lost."""
    if archive is not None and not archive.is_dir():
        raise CommandError(f"--wal names no directory: {archive}.")
    where = (archive or folder.parent / "wal") / facts["wal"]
    if archive is None and not where.is_dir():
        raise Refused(
            f"There is no archived WAL in {where}, so all that came after the backup would be lost: say where it is"
            " (--wal DIR), or lose it (--wal of an empty directory)."
        )
    needed = wal.number_of(facts["end"])
    found = [one for one in wal.segments(where, facts["timeline"]) if one.number >= needed]
    if (missing := wal.missing_from(needed, found)) is not None:
        raise Refused(
            f"The archive {where} lacks segment {missing:X} of WAL behind the backup, and has later ones: take a backup"
            " that was made after the gap, or this one without the archive (--wal of an empty directory)."
        )
    return found


def _unpack(folder: Path, server: Postgres, segments: list[wal.Segment], to: datetime | None) -> None:
    cluster, archived = server.cluster, server.home / "wal.restoring"
    for place in (cluster, archived):
        shutil.rmtree(place, ignore_errors=True)  # of a restore that was interrupted
    cluster.mkdir(mode=0o700)
    for name, into in ((_BASE, cluster), (_WAL, cluster / "pg_wal")):
        with tarfile.open(folder / name) as tar:
            tar.extractall(into, filter="data")
    wal.copy_for_restoring(segments, archived)
    lines = [
        f"""restore_command = 'cp "{archived}/%f" "%p"'""",
        "recovery_target_timeline = 'current'",
        "hot_standby = off",  # it is ready when it takes writes, not before
    ]
    if to is not None:
        lines += [f"recovery_target_time = '{to.isoformat()}'", "recovery_target_action = 'promote'"]
    (cluster / _AUTO).write_text("\n".join(lines) + "\n")
    (cluster / "recovery.signal").touch()
    for place in (cluster, archived):
        _belong(place, server)


def _name_timelines_that_are_taken(
    server: Postgres, folder: Path, facts: Mapping[str, Any], archive: Path | None
) -> None:
    """A history file each, whatever is in it: PostgreSQL then begins a timeline that no other restore has archived."""
    archives = {
        archive or folder.parent / "wal",
        folder.parent / "wal",
        Path(settings.BACKUP_DIR or folder.parent) / "wal",
    }
    archived = server.home / "wal.restoring"
    for timeline in range(facts["timeline"] + 1, wal.taken(archives, facts["system"]) + 1):
        (archived / f"{timeline:08X}.history").touch()
    _belong(archived, server)


def _belong(place: Path, server: Postgres) -> None:
    """To the user that the server runs as, and to nobody else."""
    for directory, _, files in os.walk(place):
        for path in (Path(directory), *(Path(directory, name) for name in files)):
            path.chmod(0o700 if path.is_dir() else 0o600)
            if server.user.dropped:
                os.chown(path, server.user.uid, server.user.gid)


def _start(server: Postgres) -> None:
    server.ready_seconds, server.starts = _RECOVERY_SECONDS, 1
    server.start()


def _why_not(said: str, to: datetime | None) -> Refused | TryAgain:
    if "No space left on device" in said:
        return TryAgain(said)
    if to is not None and "recovery ended before configured recovery target was reached" in said:
        return Refused(f"The archived WAL ends before {to.isoformat()}: say an earlier moment, or none for the last.")
    return Refused(said)


def _last_commit(server: Postgres) -> datetime | None:
    """When the last transaction that is there was committed, as the recovery's log says."""
    with server.as_superuser("postgres") as connection:
        found = connection.execute("SELECT pg_last_xact_replay_timestamp()").fetchone()
    return found[0] if found else None


def _take_back_recovery(server: Postgres) -> None:
    (server.cluster / _AUTO).write_text("")


# --- a dump -----------------------------------------------------------------------------------------


def _dump(folder: Path, facts: dict[str, Any], head: str, say: Callable[[str], None]) -> Restored:
    if settings.MIGRATION_DATABASE_URL or settings.DATABASE_URL:
        done = Restored(f"the database {settings.OWNER_DATABASE['NAME']}")
        urls = {
            "DATABASE_URL": settings.DATABASE_URL,
            "MIGRATION_DATABASE_URL": settings.MIGRATION_DATABASE_URL or settings.DATABASE_URL,
        }
        _refuse_addresses(urls)
        _fill(folder, facts, urls["MIGRATION_DATABASE_URL"], settings.OWNER_DATABASE, say)
        try:
            _migrate(urls)
            _settle(urls["MIGRATION_DATABASE_URL"])
            done.audit = _audited(urls, head)
        except (TryAgain, psycopg.Error) as failure:
            raise Refused(
                f"{failure} It is half restored: drop and create the database, then the same line."
            ) from failure
        _refuse_tampered(done, "Let nobody work on it.")
        return done
    with _alone() as server:
        final, server.cluster = server.cluster, server.home / "data.restoring"
        shutil.rmtree(server.cluster, ignore_errors=True)
        done = Restored(str(final))
        try:
            server.start()
        except StackError as failure:
            raise Refused(str(failure)) from failure
        who = {"HOST": str(server.sockets()), "PORT": "5432", "USER": "brokerage", "PASSWORD": "", "NAME": "brokerage"}
        _fill(folder, facts, server.owner_url, who, say)
        _migrate(server.urls)
        _settle(server.owner_url)
        done.audit = _audited(server.urls, head)
        server.stop(_RECOVERY_SECONDS)
        _refuse_tampered(done, f"It is left aside in {server.cluster}.")
        server.cluster.rename(final)
    return done


def _refuse_addresses(urls: Mapping[str, str]) -> None:
    """What `migrate` would refuse afterwards. Raises Refused: nothing has been restored yet."""
    owner, application = (conninfo_to_dict(urls[name]) for name in ("MIGRATION_DATABASE_URL", "DATABASE_URL"))
    if application and application.get("dbname") != owner.get("dbname"):
        raise Refused("DATABASE_URL and MIGRATION_DATABASE_URL name two databases: mend one of them.")
    with psycopg.connect(urls["MIGRATION_DATABASE_URL"], connect_timeout=10) as connection:
        found = connection.execute(_ROLE, [application.get("user") or owner.get("user")]).fetchone()
    if found == (False,):
        raise Refused(
            f"There is no role {application['user']}, and the owner makes none: CREATE ROLE … LOGIN PASSWORD."
        )


_ROLE: Final = """
SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = %s)
    OR EXISTS (SELECT FROM pg_roles WHERE rolname = current_user AND (rolcreaterole OR rolsuper))
"""
_TABLES: Final = (
    "SELECT count(*) FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r','p')"
)


def _fill(
    folder: Path, facts: Mapping[str, Any], url: str, database: programs.Database, say: Callable[[str], None]
) -> None:
    """All of the dump, or nothing. Raises Refused where there is a table already."""
    with psycopg.connect(url, autocommit=True, connect_timeout=10) as connection:
        found = connection.execute(_TABLES).fetchone()
        if found and found[0]:
            raise Refused(f"The database {database['NAME']} isn't empty: {found[0]} tables. Restore into an empty one.")
        say("Restoring the dump.")
        whole = ("--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction", "--no-password")
        programs.run(
            "pg_restore", *whole, f"--dbname={database['NAME']}", str(folder / "database.dump"), database=database
        )
        for function in facts["functions_not_public"]:
            connection.execute(SQL(f"REVOKE EXECUTE ON FUNCTION {function} FROM PUBLIC"))


# --- both -------------------------------------------------------------------------------------------


def _migrate(urls: Mapping[str, str]) -> None:
    """As every new release does: roles and grants, newer migrations, events behind those that were told."""
    run = _manage(urls, "migrate", "--no-input", "--verbosity", "0")
    if run.returncode:
        raise TryAgain(f"migrate failed: {programs.last_line(run.stderr)}")


def _settle(owner_url: str) -> None:
    """New events get numbers above all that may have been told before: no reader's cursor is ahead of them."""
    with psycopg.connect(owner_url, connect_timeout=10) as connection:
        connection.execute("UPDATE accounts_eventshift SET shift = shift + %s", [_LOST_NUMBERS])
        connection.execute("UPDATE accounts_eventhorizon SET transaction = 0")


def _audited(urls: Mapping[str, str], head: str) -> dict[str, Any]:
    """What `audit_ledger --verify` says, in a process of its own, which connects as the application."""
    run = _manage(urls, "audit_ledger", "--verify", "--json", *(("--head", head) if head else ()))
    try:
        said: dict[str, Any] = json.loads(run.stdout)
    except ValueError:
        raise TryAgain(f"The audit couldn't run: {programs.last_line(run.stderr)}") from None
    if run.returncode not in (Exit.DONE, Exit.FINDING):
        raise TryAgain(f"The audit couldn't run: {programs.last_line(run.stderr)}")
    return said


def _manage(urls: Mapping[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if name.removesuffix("_FILE") not in urls}
    return subprocess.run(  # noqa: S603 - our own words
        [*MANAGE, *words],
        cwd=CHECKOUT,
        env={**inherited, **urls},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )


def _refuse_tampered(done: Restored, what_now: str) -> None:
    tampered = done.audit["tampered"]
    if tampered:
        raise Found(f"History isn't what was sealed: {tampered[0]['sentence']} {what_now}")
