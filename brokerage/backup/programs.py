"""PostgreSQL's own client programs, told whom to ask by their environment: no password is on a command line."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from django.conf import settings

from accounts.management import connecting
from accounts.management.exits import TryAgain, WrongSettings
from brokerage.stack.failure import StackError
from brokerage.stack.postgres import SUPERUSER, Postgres, binaries
from brokerage.stack.where import data_dir

_OURS: Final = {"PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH"}  # PGOPTIONS and its like stay out
Database = Mapping[str, Any]
"""Where, who and with which password, as in Django's DATABASES."""


def program(name: str) -> str:
    """Where a client program is: in POSTGRES_PROGRAMS, the wheel, or on the PATH. Raises WrongSettings."""
    if chosen := settings.POSTGRES_PROGRAMS:
        if not os.access(path := Path(chosen) / name, os.X_OK):
            raise WrongSettings(f"POSTGRES_PROGRAMS has no {name}: {path}.")
        return str(path)
    try:
        if (path := binaries() / name).exists():
            return str(path)
    except StackError:
        pass
    if found := shutil.which(name):
        return found
    raise WrongSettings(f"There is no {name} here: install PostgreSQL's client programs, or set POSTGRES_PROGRAMS.")


def embedded() -> Postgres | None:
    """The embedded server, where it is the one that settings name and it runs."""
    try:
        server = Postgres(data_dir(), say=lambda _: None)
        named = str(server.home / "run") == settings.OWNER_DATABASE["HOST"] or _is_its_socket(server)
    except StackError:
        return None
    return server if named and server.find() else None


def _is_its_socket(server: Postgres) -> bool:
    host = settings.OWNER_DATABASE["HOST"]
    return bool(host) and server.home.exists() and str(server.sockets()) == host


def who_copies() -> Database:
    """Who may copy the whole server: the embedded one's superuser, else the owner, who needs REPLICATION."""
    owner: Database = settings.OWNER_DATABASE
    return {**owner, "USER": SUPERUSER, "PASSWORD": ""} if embedded() else owner


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """SIGTERM is what Ctrl-C is: programs end, and passwords and half-made folders are removed on the way out."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


@contextmanager
def environment(database: Database, **more: str) -> Iterator[dict[str, str]]:
    """What a client program needs to connect; its password stands in a file of mode 600 until it has ended."""
    with tempfile.TemporaryDirectory(prefix="brokerage-pass-") as private:
        passwords = Path(private) / "pgpass"
        passwords.touch(mode=0o600)
        if database["PASSWORD"]:
            escaped = str(database["PASSWORD"]).replace("\\", "\\\\").replace(":", "\\:")
            passwords.write_text(f"*:*:*:*:{escaped}\n")
        said = {
            "PGHOST": database["HOST"],
            "PGPORT": database["PORT"],
            "PGUSER": database["USER"],
            "PGDATABASE": database["NAME"],
            "PGPASSFILE": str(passwords),
            "PGCONNECT_TIMEOUT": "10",
            **{f"PG{name.upper()}": str(value) for name, value in tls(database).items()},
        }
        ours = {name: value for name, value in os.environ.items() if name in _OURS}
        yield {**ours, **{name: value for name, value in said.items() if value}, "LC_ALL": "C", **more}


def tls(database: Database) -> dict[str, Any]:
    """How the connection is encrypted, as its address says, in libpq's words."""
    known = ("sslmode", "sslrootcert", "sslcert", "sslkey")
    return {name: database["OPTIONS"][name] for name in known if name in database.get("OPTIONS", {})}


def run(name: str, *arguments: str, database: Database) -> str:
    """Run a client program to its end; what it printed.

    Raises:
        TryAgain: it failed, with its last line: a server away, a full disk, a role that may not.
        WrongSettings: the server refuses who asks, e.g. their password.
    """
    command = [program(name), *arguments]
    with environment(database) as environ:
        done = subprocess.run(  # noqa: S603 - our own words
            command,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    if done.returncode:
        said = last_line(done.stderr)
        raise (WrongSettings if connecting.refusal_in(said) else TryAgain)(f"{name} failed: {said}")
    return done.stdout


def last_line(text: str) -> str:
    """The line that says why: the first error, else the last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if "error:" in line.lower() or "fatal:" in line.lower()]
    return (errors or lines[-1:] or ["it said nothing"])[0][:400]
