"""One PostgreSQL and one Valkey for a whole test session, real ones, with durability switched off.

`start_for_tests()` runs before Django reads its settings, in the process that starts the parallel
workers: they inherit DATABASE_URL (the application's role), MIGRATION_DATABASE_URL (the tables' owner, which the
tests themselves are) and REDIS_URL. Where the caller has set one of them, it is used as it is.
`python -m tests.embedded COMMAND …` runs one command with such a pair beside it.

The session's directory is named after the process that owns it, so whoever comes next knows the
leftovers of a killed session from the servers of one that runs beside it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from brokerage.stack.pids import process, this_process
from brokerage.stack.postgres import OWNER, Postgres
from brokerage.stack.valkey import Valkey

PREFIX = "brokerage-tests"


@dataclass
class Stack:
    """The pair's addresses, and the way to end it."""

    database_url: str
    redis_url: str
    home: Path | None = None
    servers: list[Postgres | Valkey] = field(default_factory=list)
    exported: list[str] = field(default_factory=list)

    def stop(self) -> None:
        """Stop what was started here and remove its files; twice is fine."""
        while self.servers:
            _stop(self.servers.pop())
        for name in self.exported:
            os.environ.pop(name, None)
        if self.home is not None:
            shutil.rmtree(self.home, ignore_errors=True)


def start_for_tests() -> Stack:
    """Start the pair where the environment names none, and name it there."""
    stack = Stack(os.environ.get("DATABASE_URL", ""), os.environ.get("REDIS_URL", ""))
    if stack.database_url and stack.redis_url:
        return stack
    _remove_leftovers()
    stack.home = _session_dir()
    try:
        if not stack.database_url:
            server = Postgres(stack.home, durable=False)
            stack.database_url = _start(stack, server)
            _let_the_owner_empty_tables(server)
        if not stack.redis_url:
            stack.redis_url = _start(stack, Valkey(stack.home))
    except BaseException:
        stack.stop()
        raise
    return stack


def _start(stack: Stack, server: Postgres | Valkey) -> str:
    stack.servers.append(server)
    server.start()
    os.environ.update(server.urls)
    stack.exported += server.urls
    return server.url


def _let_the_owner_empty_tables(server: Postgres) -> None:
    """The tests are the tables' owner; without triggers it deletes rows that nobody may, between two tests."""
    with server.as_superuser("postgres") as connection:
        connection.execute(f"GRANT SET ON PARAMETER session_replication_role TO {OWNER}")


def _stop(server: Postgres | Valkey) -> None:
    """At once: nothing in these files is needed again."""
    if isinstance(server, Postgres):
        server.stop_now()
    else:
        server.stop(1)


def _session_dir() -> Path:
    """A directory named after this process; others may pass through it, as root's PostgreSQL user must."""
    me = this_process()
    started = hashlib.sha256(me.started.encode()).hexdigest()[:8]
    home = Path(tempfile.gettempdir()) / f"{PREFIX}-{os.getuid()}-{me.pid}-{started}"
    home.mkdir(mode=0o711)
    home.chmod(0o711)
    return home


def _remove_leftovers() -> None:
    """Stop and remove what killed sessions of this user left behind."""
    for home in Path(tempfile.gettempdir()).glob(f"{PREFIX}-{os.getuid()}-*-*"):
        with contextlib.suppress(FileNotFoundError):  # its owner has just removed it
            _remove_if_left_over(home)


def _remove_if_left_over(home: Path) -> None:
    if home.is_symlink() or home.lstat().st_uid != os.getuid() or _owner_lives(home):
        return
    with contextlib.suppress(Exception):
        for server in (Postgres(home, durable=False), Valkey(home)):
            _stop(server)
    shutil.rmtree(home, ignore_errors=True)


def _owner_lives(home: Path) -> bool:
    pid, started = home.name.rsplit("-", 2)[1:]
    owner = process(int(pid)) if pid.isdigit() else None
    return owner is not None and hashlib.sha256(owner.started.encode()).hexdigest()[:8] == started


if __name__ == "__main__":
    pair = start_for_tests()
    try:
        sys.exit(subprocess.run(sys.argv[1:], check=False).returncode)
    finally:
        pair.stop()
