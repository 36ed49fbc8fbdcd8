"""Directories with hard rules: sockets need short plain paths, and a dropped user must get there."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from brokerage.stack.failure import StackError
from brokerage.stack.server_user import ServerUser

SOCKET_PATH_BYTES = 103  # macOS; Linux allows 107. The longest name below is what PostgreSQL appends.
LONGEST_NAME = "/.s.PGSQL.5432"
PLAIN = re.compile(r"[A-Za-z0-9/._-]+")  # a path that means the same in every URL dialect, unquoted
ELSEWHERE = Path("/var/lib")  # only root ever needs it; a temp directory would be swept one day
LOG_BYTES = 50_000_000


def fingerprint(directory: Path) -> str:
    """A short name for a directory, the same at every start."""
    return hashlib.sha256(str(directory.resolve()).encode()).hexdigest()[:12]


def server_home(data: Path, name: str, user: ServerUser, say: Callable[[str], None]) -> Path:
    """Where a server keeps its files: in the data directory, or where its user can get to.

    Only a user that root dropped to can be locked out: of a checkout below a private home, for
    instance. What was put elsewhere once stays there, so that no start ever finds an empty database.

    Raises:
        StackError: the files are in the data directory, and the user can't get to them any more.
    """
    inside = data / name
    outside = ELSEWHERE / f"brokerage-{fingerprint(data)}" / name
    if user.reaches(data) and (inside.exists() or not (user.dropped and outside.exists())):
        return inside
    if inside.exists():
        raise StackError(f"The user {user.name} can't enter {data} any more: open the way (chmod o+x), or move it.")
    say(f"the user {user.name} can't enter {data}: {name} keeps its data in {outside}")
    user.own(outside.parent)
    return outside


def socket_dir(home: Path, user: ServerUser) -> Path:
    """A private directory for a server's socket: below its home, or a short one in the temp directory."""
    wanted = home / "run"
    if len(f"{wanted}{LONGEST_NAME}".encode()) > SOCKET_PATH_BYTES or not PLAIN.fullmatch(str(wanted)):
        wanted = _short_temp(user) / f"brokerage-{user.uid}-{fingerprint(home)}"
    user.own(wanted)
    return wanted


def open_log(data: Path, name: str) -> BinaryIO:
    """A server's log file, opened to append; a very long one is put aside first.

    Whatever the umask, and whatever an earlier version left: the directory is its owner's alone, and so is each file.
    """
    path = data / "log" / f"{name}.log"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.parent.chmod(0o700)
    aside = path.with_suffix(".log.1")
    if path.exists() and path.stat().st_size > LOG_BYTES:
        path.replace(aside)
    if aside.exists():
        aside.chmod(0o600)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    os.fchmod(descriptor, 0o600)
    return os.fdopen(descriptor, "ab")


def _short_temp(user: ServerUser) -> Path:
    chosen = Path(tempfile.gettempdir())
    usable = len(str(chosen)) < 50 and PLAIN.fullmatch(str(chosen)) and user.reaches(chosen)
    return chosen if usable else Path("/tmp")  # noqa: S108 - a private, checked directory in it
