"""Whether each COMMIT waits until the archive of WAL has it: said by the archiver, and taken back by a server that
starts."""

from __future__ import annotations

from typing import Any, Final

import psycopg

ARCHIVER: Final = "brokerage_archiver"
"""The replication slot, and the name under which the archiver connects."""


def make_commits_wait(connection: psycopg.Connection[Any], *, for_archive: bool) -> None:
    """Have each COMMIT wait for the archive, or not any more; a server that waits for another name goes on so.

    It stays switched on where an archiver fails: whoever is told that something is done must find it in the archive.
    Only one that is asked to stop, or a server that starts, ends the waiting.
    """
    asked = connection.execute("SHOW synchronous_standby_names").fetchone()
    if (asked == (ARCHIVER,)) != for_archive:
        change = f"SET synchronous_standby_names = '{ARCHIVER}'" if for_archive else "RESET synchronous_standby_names"
        connection.execute(f"ALTER SYSTEM {change}")
        connection.execute("SELECT pg_reload_conf()")
