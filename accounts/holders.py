"""What a lease calls its holder, and whether that process is known to have ended.

A process id means something in its PID namespace only, and until another process gets it: two containers of one host
may both run a process 7 under one host name. So a name also says which boot of which machine, which namespace, and
when the process began.
"""

from __future__ import annotations

import os
import socket
from functools import cache
from pathlib import Path
from typing import Final

LONGEST_NAME: Final = 120  # characters: what the leases' columns hold
_LONGEST_HOST: Final = 64


def name() -> str:
    """This process: `host/boot/namespace/start:pid`. Empty parts where the system has no /proc."""
    return (
        f"{socket.gethostname()[:_LONGEST_HOST]}/{_boot()}/{_namespace()}/{_start_of(os.getpid()) or ''}:{os.getpid()}"
    )


def is_dead(holder: str) -> bool:
    """Whether the process of this name has certainly ended; False where this process can't tell.

    It can where both run, or ran, on the same boot of a machine and in the same PID namespace.
    """
    known, _, pid = holder.rpartition(":")
    _, *here = known.split("/")
    if len(here) != 3 or not all(here) or not pid.isascii() or not pid.isdecimal():
        return False
    boot, namespace, start = here
    if (boot, namespace) != (_boot(), _namespace()) or not _sees_its_own():
        return False
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        pass  # somebody else's process, so there is one
    began = _start_of(int(pid))
    return began is not None and began != start


def shown(holder: str) -> str:
    """A name for people: `host:pid`."""
    known, _, pid = holder.rpartition(":")
    return f"{known.partition('/')[0]}:{pid}" if known else holder


@cache
def _boot() -> str:
    """16 of the 32 hex digits that the kernel made up when it started."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().replace("-", "")[:16]
    except OSError:
        return ""


def _namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").stat().st_ino)
    except OSError:
        return ""


def _sees_its_own() -> bool:
    """Whether /proc shows this process' own PID namespace, and not one around it."""
    try:
        return Path("/proc/self").readlink().name == str(os.getpid())
    except OSError:
        return False


def _start_of(pid: int) -> str | None:
    """When a process began, in clock ticks since the machine's start; None where that can't be read."""
    if not _sees_its_own():
        return None
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (OSError, ValueError):
        return None
    return stat.rpartition(")")[2].split()[19]  # after the name, which may itself hold spaces and brackets
