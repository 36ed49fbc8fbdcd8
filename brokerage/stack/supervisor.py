"""Keeps a set of processes running: starts them, starts them again, and stops them in order.

Only the main thread starts and stops processes: a child is told to stop when the thread that made it ends.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from brokerage.stack.failure import StackError
from brokerage.stack.log import Log
from brokerage.stack.pids import MARKER, Process, process, stop_group
from brokerage.stack.processes import Child
from brokerage.stack.state import StateFile
from brokerage.stack.where import CHECKOUT

FIRST_PAUSE, LONGEST_PAUSE, HEALTHY_AFTER = 0.5, 10.0, 30.0  # seconds
STOP_SECONDS = 9.0  # for everything together; ten are promised
LEASH = Path(__file__).with_name("leash.py")
ME = "up"  # whose lines are the supervisor's own


class Server(Protocol):
    """An embedded server, as far as it is kept running."""

    name: str
    process: Process | None

    def start(self, given_up: Callable[[], bool]) -> Process: ...
    def stop(self, seconds: float) -> None: ...


class Patience:
    """How long to wait before the next start: half a second, doubled to ten, forgotten after good behaviour."""

    def __init__(self) -> None:
        self._pause = FIRST_PAUSE
        self._since = time.monotonic()
        self.until = 0.0

    def started(self) -> None:
        """It runs from now."""
        self._since = time.monotonic()

    def ended(self) -> float:
        """It ended just now; the seconds to wait."""
        now = time.monotonic()
        pause = FIRST_PAUSE if now - self._since >= HEALTHY_AFTER else self._pause
        self._pause = min(2 * pause, LONGEST_PAUSE)
        self.until = now + pause
        return pause


@dataclass
class Kept:
    """A child and the process that does its work at the moment, if any."""

    child: Child
    patience: Patience
    popen: subprocess.Popen[bytes] | None = None
    running: Process | None = None


class Supervisor:
    """The processes of one data directory, from the first to the last."""

    def __init__(self, data: Path, log: Log, state: StateFile, stopping: Callable[[], bool]) -> None:
        self._marker = str(data)
        self._log = log
        self._state = state
        self._stopping = stopping
        self._servers: list[tuple[Server, Patience]] = []
        self._kept: list[Kept] = []

    def say(self, text: str) -> None:
        """A line of the supervisor's own."""
        self._log.line(ME, text)

    def serve(self, server: Server, urls: Mapping[str, str]) -> None:
        """Start or adopt a server, write down where it answers, and keep it running."""
        adopted = server.process is not None
        self._servers.append((server, Patience()))
        running = server.start(self._stopping)
        self._state.server(server.name, running, urls)
        self.say(f"{server.name} {'was still running: adopted' if adopted else 'is ready'}")

    def run_once(self, name: str, command: Sequence[str], environ: Mapping[str, str], *, plain: bool = False) -> int:
        """Run a command to its end, its lines in the log, or as they are where `plain`; its exit status.

        Raises:
            StackError: the stack was told to stop meanwhile.
        """
        popen = self._popen(command, environ, None if plain else subprocess.PIPE)
        running = process(popen.pid)
        if popen.stdout is not None:
            reader = self._log.follow(name, popen.stdout)
        while popen.poll() is None:
            if self._stopping():
                stop_group(running or Process(popen.pid, ""), 2, marker=self._marker)
                raise StackError(f"stopped during {name}")
            time.sleep(0.01)
        if popen.stdout is not None:
            reader.join(1)
        return popen.returncode

    def start(self, children: Sequence[Child], environ: Mapping[str, str]) -> None:
        """Start the children, all at once but those who come later, and keep them running from now on."""
        for child in children:
            kept = Kept(child, Patience())
            self._kept.append(kept)
            if child.later:
                kept.patience.until = time.monotonic() + child.later
            else:
                self._launch(kept, environ)

    def tend(self, environ: Mapping[str, str]) -> None:
        """One round: notice who ended, start again whose pause is over."""
        for server, patience in self._servers:
            self._tend_server(server, patience)
        for kept in self._kept:
            status = kept.popen.poll() if kept.popen else None
            if kept.popen is not None and status is not None:
                self._bury(kept, status)
            elif kept.popen is None and time.monotonic() >= kept.patience.until:
                self._launch(kept, environ)

    def stop(self) -> None:
        """Stop everything in order, by force where it takes more than its share of the time."""
        deadline = time.monotonic() + STOP_SECONDS
        for kept in self._kept:
            if kept.running is None:
                continue
            self.say(f"stopping {kept.child.name}")
            if not stop_group(kept.running, kept.child.stop_seconds, marker=self._marker):
                self.say(f"{kept.child.name} took more than {kept.child.stop_seconds} s: killed")
        for server, _ in reversed(self._servers):
            self.say(f"stopping {server.name}")
            server.stop(max(0.5, deadline - time.monotonic()))
        self._kept.clear()
        self._servers.clear()
        self._state.remove()

    def _tend_server(self, server: Server, patience: Patience) -> None:
        if server.process is not None and not server.process.alive():
            server.process = None
            self.say(f"{server.name} ended by itself; starting it again in {patience.ended():g} s")
        elif server.process is None and time.monotonic() >= patience.until:
            try:
                self._state.server(server.name, server.start(self._stopping), {})
                patience.started()
                self.say(f"{server.name} is ready again")
            except StackError as error:
                if not self._stopping():
                    self.say(f"{error}; trying again in {patience.ended():g} s")

    def _launch(self, kept: Kept, environ: Mapping[str, str]) -> None:
        popen = self._popen(kept.child.command, environ, subprocess.PIPE)
        kept.popen, kept.running = popen, process(popen.pid) or Process(popen.pid, "gone")
        kept.patience.started()
        self._state.child(kept.child.name, kept.running)
        if popen.stdout is not None:
            self._log.follow(kept.child.name, popen.stdout)

    def _bury(self, kept: Kept, status: int) -> None:
        """A child ended by itself: end what it left of its group, and say when it is started again."""
        if kept.running is not None:
            stop_group(kept.running, 0, marker=self._marker)
        kept.popen = kept.running = None
        pause = kept.patience.ended()
        self.say(f"{kept.child.name} {how_it_ended(status)}; starting it again in {pause:g} s")

    def _popen(self, command: Sequence[str], environ: Mapping[str, str], pipe: int | None) -> subprocess.Popen[bytes]:
        """A child in a session of its own, so that the terminal's Ctrl-C comes to us alone."""
        return subprocess.Popen(
            leashed(command),
            cwd=CHECKOUT,
            env={**environ, MARKER: self._marker, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=pipe,
            stderr=None if pipe is None else subprocess.STDOUT,
            start_new_session=True,
        )


def leashed(command: Sequence[str]) -> list[str]:
    """The command as one that stops when this process dies, on a system that can do it."""
    if not sys.platform.startswith("linux"):
        return [*command]
    return [sys.executable, "-I", "-S", str(LEASH), str(os.getpid()), *command]


def how_it_ended(status: int) -> str:
    """An exit status in words."""
    if status >= 0:
        return f"ended with exit status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"
