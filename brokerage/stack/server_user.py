"""Which user runs PostgreSQL. It refuses to run as root, so as root it runs as an unprivileged user."""

from __future__ import annotations

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brokerage.stack.failure import StackError

UNPRIVILEGED = ("postgres", "nobody")
SHELL = "/bin/sh"


@dataclass(frozen=True)
class ServerUser:
    """A user of this machine that a server runs as; `dropped` when it isn't the one who started us."""

    name: str
    uid: int
    gid: int
    dropped: bool

    def popen(self) -> dict[str, Any]:
        """What `subprocess` needs to run a program as this user, and with nobody else's groups."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []} if self.dropped else {}

    def reaches(self, directory: Path) -> bool:
        """Whether this user may enter the directory: asked of the system, which knows every rule."""
        if not self.dropped:
            return os.access(directory, os.X_OK)
        return self._can([SHELL, "-c", 'cd -- "$0"', str(directory)])

    def runs(self, program: Path) -> bool:
        """Whether this user can run a program, the libraries beside it included."""
        return self._can([str(program), "--version"])

    def own(self, directory: Path) -> None:
        """Make the directory, private to this user.

        Raises:
            StackError: somebody else owns it: with a known name in a shared place it could be a trap.
        """
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        facts = directory.lstat()
        if directory.is_symlink() or facts.st_uid not in {self.uid, os.getuid()}:
            raise StackError(f"{directory} belongs to another user; choose another place with BROKERAGE_DATA_DIR.")
        if facts.st_uid != self.uid:
            os.chown(directory, self.uid, self.gid)
        if facts.st_mode & 0o777 != 0o700:
            directory.chmod(0o700)

    def _can(self, command: list[str]) -> bool:
        try:
            done = subprocess.run(
                command,
                check=False,
                cwd="/",
                env={},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=10,
                **self.popen(),
            )
        except (OSError, subprocess.SubprocessError):
            return False
        return done.returncode == 0


def server_user() -> ServerUser:
    """The user PostgreSQL runs as: ours, or as root the first unprivileged one that exists."""
    if os.getuid() != 0:
        return ServerUser(_name(os.getuid()), os.getuid(), os.getgid(), dropped=False)
    for name in UNPRIVILEGED:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return ServerUser(name, entry.pw_uid, entry.pw_gid, dropped=True)
    raise StackError(
        "PostgreSQL refuses to run as root, and this machine has neither a user postgres nor nobody; "
        "start as an ordinary user, or set DATABASE_URL."
    )


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def this_user() -> ServerUser:
    """Whoever runs this."""
    return ServerUser("", os.getuid(), os.getgid(), dropped=False)
