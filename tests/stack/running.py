"""Start a stack as its operator would, read its log, and see what of it is alive."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from accounts.metrics import METRICS_PORTS
from brokerage.stack.pids import HAS_PROC, MARKER, command_of
from brokerage.stack.where import CHECKOUT, read_state

URLS = ("DATABASE_URL", "MIGRATION_DATABASE_URL", "REDIS_URL", "CACHE_URL", "STREAM_URL", "BROKER_URL")
NOT_INHERITED = (*URLS, "PORT", "STREAM_PORT", "METRICS_PORT", "HOST", "PYTEST_CURRENT_TEST")
STUB = (sys.executable, "-m", "tests.stack.stub")


class Up:
    """One start of a stack, its log collected line by line."""

    def __init__(self, data: Path, *command: str, cwd: Path = CHECKOUT, user: Any = None, **environ: str) -> None:
        inherited = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
        self.data = data
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            env={
                **inherited,
                "BROKERAGE_DATA_DIR": str(data),
                "STREAM_PORT": str(free_port()),
                "METRICS_PORT": str(free_metrics_port()),
                "PYTHONUNBUFFERED": "1",
                **environ,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            **(user or {}),
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def log(self) -> str:
        return "\n".join(self.lines)

    def says(self, words: str, seconds: float = 30, *, after: int = 0) -> str:
        """The first line with these words, waited for."""
        found = eventually(lambda: next((line for line in self.lines[after:] if words in line), None), seconds)
        assert found, f"never said {words!r}:\n{self.log}"
        return found

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def ends(self, seconds: float = 60) -> int:
        """The exit status, within so many seconds."""
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {seconds} s:\n{self.log}") from None
        self._reader.join(10)
        return status

    def child(self, name: str) -> int:
        """The pid of a child or a server, as the stack wrote it down."""
        return self.children()[name]

    def children(self) -> dict[str, int]:
        """The pid of every child and server, as the stack wrote them down."""
        state = read_state(self.data)
        return {name: int(entry["pid"]) for name, entry in {**state["children"], **state["servers"]}.items()}

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip())


def eventually(condition: Callable[[], Any], seconds: float = 10) -> Any:
    """What the condition said first that was true, or its last answer."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return answer


def free_metrics_port() -> int:
    """The first of METRICS_PORTS, below those that the kernel gives to whoever asks for any."""
    while True:
        first = random.randrange(20_000, 32_000, METRICS_PORTS)
        with socket.socket() as tried:
            try:
                tried.bind(("127.0.0.1", first))
            except OSError:
                continue
            return first


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def everyone_of(data: Path, but: Sequence[int] = ()) -> dict[int, str]:
    """Every live process that works for this data directory, by its environment or its command line."""
    assert HAS_PROC, "these tests look processes up in /proc"
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) in {os.getpid(), *but}:
            continue
        pid, command = int(entry.name), command_of(int(entry.name))
        try:
            marked = f"{MARKER}={data}".encode() in (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            marked = False
        if command and (marked or str(data) in command):
            found[pid] = command
    return found


def end(data: Path, ups: Sequence[Up]) -> None:
    """Whatever a failed test left running, by pid."""
    for up in ups:
        if up.process.poll() is None:
            up.process.kill()
            up.process.wait()
    for pid in everyone_of(data):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
