"""Which process is it? A pid alone can be somebody else's by now; a pid and its start time can't.

Nothing in the stack signals a process that it doesn't know by both.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
HAS_PROC = (PROC / "self" / "stat").exists()
MARKER = "BROKERAGE_STACK"  # in every child's environment: the data directory it works for


@dataclass(frozen=True)
class Process:
    """One process, told apart from every later one with the same pid."""

    pid: int
    started: str

    def alive(self) -> bool:
        """Whether this very process still runs. A zombie does not; our own are reaped on the way."""
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, os.WNOHANG)
        return process(self.pid) == self

    def signal(self, number: int) -> None:
        """Send a signal, if it is still this process."""
        if self.alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


def process(pid: int) -> Process | None:
    """The process that has this pid now, unless there is none or only a zombie."""
    if not HAS_PROC:
        return _from_ps(pid)
    fields = _stat(pid)
    if fields is None or fields[0] in {"Z", "X"}:
        return None
    return Process(pid, f"{_boot()}:{fields[19]}")


def exists(pid: int) -> bool:
    """Whether anything has this pid, a zombie included: what a plain kill(pid, 0) can tell."""
    try:
        os.kill(pid, 0)
    except OSError as error:
        return isinstance(error, PermissionError)
    return True


def command_of(pid: int) -> str:
    """The command line of a process, its words separated by spaces; empty when there is none."""
    if HAS_PROC:
        with contextlib.suppress(OSError):
            return (PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        return ""
    return _ps(pid, "command=")


def this_process() -> Process:
    """The process that runs this line."""
    found = process(os.getpid())
    if found is None:
        raise RuntimeError("This system shows no start time for processes, neither in /proc nor through ps.")
    return found


def group_members(leader: int, marker: str) -> list[int]:
    """Live processes of a group whose leader may be gone, and whose environment names `marker`.

    A child that was killed may leave children of its own: same group, same environment. Without
    /proc nobody's environment can be read, so there the answer is nobody.
    """
    if not HAS_PROC:
        return []
    found = []
    for entry in PROC.iterdir():
        if not entry.name.isdigit():
            continue
        fields = _stat(int(entry.name))
        if fields is None or fields[0] in {"Z", "X"} or fields[2] != str(leader):
            continue
        with contextlib.suppress(OSError):
            if f"{MARKER}={marker}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return found


def wait_until(condition: Callable[[], bool], seconds: float, *, step: float = 0.02) -> bool:
    """Whether the condition came true within so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(step)
    return True


def stop_group(leader: Process, seconds: float, *, marker: str, how: int = signal.SIGTERM) -> bool:
    """A signal, TERM, to a process group, KILL to what is left after so many seconds; whether the first was enough.

    The group's leader must be known by pid and start time, or its members by their environment.
    """
    _signal_group(leader, how, marker)
    was_enough = wait_until(lambda: not leader.alive() and not group_members(leader.pid, marker), seconds)
    if not was_enough:
        _signal_group(leader, signal.SIGKILL, marker)
        wait_until(lambda: not leader.alive() and not group_members(leader.pid, marker), 1)
    return was_enough


def _signal_group(leader: Process, number: int, marker: str) -> None:
    if leader.alive():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(leader.pid, number)
    else:
        for pid in group_members(leader.pid, marker):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/<pid>/stat after the name, which may itself hold spaces and brackets."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def _boot() -> str:
    """Start times count from the boot, so the boot is part of them."""
    try:
        return (PROC / "sys/kernel/random/boot_id").read_text().strip()[:8]
    except OSError:
        return "boot"


def _from_ps(pid: int) -> Process | None:
    shown = _ps(pid, "stat=,lstart=").split()
    if not shown or shown[0].startswith("Z"):
        return None
    return Process(pid, " ".join(shown[1:]))


def _ps(pid: int, columns: str) -> str:
    """What ps says of one process, where there is no /proc."""
    return subprocess.run(
        ["ps", "-ww", "-o", columns, "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LC_ALL": "C"},
    ).stdout.strip()
