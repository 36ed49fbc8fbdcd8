"""The archiver: pg_receivewal beside the server, so that the WAL is elsewhere a moment after it is written.

It reads from a replication slot: what it hasn't got yet, the server keeps. With BACKUP_SYNCHRONOUS every COMMIT waits
until its WAL is on the archive's disk as well; nothing that anybody was told is then lost with the server's disk.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import psycopg

from accounts.management.exits import TryAgain
from brokerage.backup import programs, wal
from brokerage.stack.waiting_commits import ARCHIVER, make_commits_wait

_ROUND_SECONDS: Final = 0.2
_STOP_SECONDS: Final = 5
_STATUS: Final = "SELECT wal_status FROM pg_replication_slots WHERE slot_name = %s"
_IS_STREAMING: Final = "SELECT state = 'streaming' FROM pg_stat_replication WHERE application_name = %s"


def archive(into: Path, is_stopped: Callable[[], bool], *, synchronous: bool, say: Callable[[str], None]) -> None:
    """Archive below this folder until told to stop.

    Raises:
        TryAgain: the server is away, or has ended, or the folder can't be made; whoever supervises this starts it
            again. Commits that wait for the archive go on waiting until then.
    """
    database = programs.who_copies()
    with _connected(database) as connection:
        folder = into / _folder_name(connection)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if _make_slot(connection):
                _set_aside(connection, folder, say)
        except OSError as failure:
            raise TryAgain(f"{folder} can't be written: {failure.strerror or failure}.") from failure
        words = (f"--directory={folder}", f"--slot={ARCHIVER}", "--synchronous", "--no-loop", "--no-password")
        with programs.environment(database, PGAPPNAME=ARCHIVER) as environ:
            receiver = subprocess.Popen(  # noqa: S603 - our own words
                [programs.program("pg_receivewal"), *words], env=environ, stdin=subprocess.DEVNULL, umask=0o077
            )
            try:
                _watch(connection, receiver, is_stopped, synchronous=synchronous, say=say)
            finally:
                _end(receiver)


def _connected(database: programs.Database) -> psycopg.Connection:
    return psycopg.connect(
        host=database["HOST"] or None,
        port=database["PORT"] or None,
        user=database["USER"] or None,
        password=database["PASSWORD"] or None,
        dbname=database["NAME"],
        autocommit=True,
        connect_timeout=10,
        **programs.tls(database),
    )


def _folder_name(connection: psycopg.Connection) -> str:
    found = connection.execute(
        "SELECT system_identifier::text, pg_walfile_name(pg_current_wal_lsn()) FROM pg_control_system()"
    ).fetchone()
    assert found is not None
    return wal.folder_name(found[0], int(found[1][:8], 16))


def _make_slot(connection: psycopg.Connection) -> bool:
    """The slot reserves WAL from now on, so that a backup that is taken after this has what it needs.

    Whether one that was lost is replaced: the server has removed WAL that the archiver hadn't got yet.
    """
    found = connection.execute(_STATUS, [ARCHIVER]).fetchone()
    was_lost = found == ("lost",)
    if was_lost:
        connection.execute("SELECT pg_drop_replication_slot(%s)", [ARCHIVER])
    if was_lost or found is None:
        connection.execute("SELECT pg_create_physical_replication_slot(%s, true)", [ARCHIVER])
    return was_lost


def _set_aside(connection: psycopg.Connection, folder: Path, say: Callable[[str], None]) -> None:
    """Begin anew where the archive has a gap. What was archived before it stays readable by `restore --wal`."""
    ((at,),) = connection.execute("SELECT clock_timestamp() AT TIME ZONE 'UTC'").fetchall()
    old = folder.with_name(f"{folder.name}-before-{at:%Y%m%dT%H%M%SZ}")
    old.mkdir(mode=0o700)
    folder.rename(old / folder.name)
    folder.mkdir(mode=0o700)
    say(f"The archive has a gap: what is before it stands in {old}. Take a base backup at once: manage.py backup base.")


def _watch(
    connection: psycopg.Connection,
    receiver: subprocess.Popen[bytes],
    is_stopped: Callable[[], bool],
    *,
    synchronous: bool,
    say: Callable[[str], None],
) -> None:
    is_told = False
    while not is_stopped():
        if receiver.poll() is not None:
            raise TryAgain(f"pg_receivewal ended with {receiver.returncode}; its last lines say why.")
        if not is_told and connection.execute(_IS_STREAMING, [ARCHIVER]).fetchone() == (True,):
            make_commits_wait(connection, for_archive=synchronous)
            say(f"WAL is archived{', and each COMMIT waits for it' if synchronous else ''}.")
            is_told = True
        time.sleep(_ROUND_SECONDS)
    with suppress(psycopg.Error):
        make_commits_wait(connection, for_archive=False)


def _end(receiver: subprocess.Popen[bytes]) -> None:
    """It finishes what it is writing when it is asked to."""
    receiver.terminate()
    try:
        receiver.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        receiver.kill()
        receiver.wait()
