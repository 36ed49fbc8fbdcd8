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
PARENT_DEATH_SIGNAL = Path(__file__).with_name("parent_death_signal.py")
OWN_NAME = "up"  # the log's name of the supervisor itself


class Server(Protocol):
    """An embedded server, as far as it is kept running."""

    name: str
    process: Process | None

    def start(self, given_up: Callable[[], bool]) -> Process: ...
    def stop(self, seconds: float) -> None: ...


class RestartDelay:
    """How long to wait before the next start: half a second, doubled up to ten, reset after 30 seconds of running."""

    def __init__(self) -> None:
        self._pause = FIRST_PAUSE
        self._since = time.monotonic()
        self.until = 0.0

    def started(self) -> None:
        """The process runs from now."""
        self._since = time.monotonic()

    def ended(self) -> float:
        """The process ended just now; gives the seconds to wait."""
        now = time.monotonic()
        pause = FIRST_PAUSE if now - self._since >= HEALTHY_AFTER else self._pause
        self._pause = min(2 * pause, LONGEST_PAUSE)
        self.until = now + pause
        return pause


@dataclass
class Supervised:
    """A child and the process that runs it now, if any."""

    child: Child
    delay: RestartDelay
    popen: subprocess.Popen[bytes] | None = None
    running: Process | None = None


class Supervisor:
    """The processes of one data directory, from the first to the last."""

    def __init__(self, data: Path, log: Log, state: StateFile, stopping: Callable[[], bool]) -> None:
        self._marker = str(data)
        self._log = log
        self._state = state
        self._stopping = stopping
        self._servers: list[tuple[Server, RestartDelay]] = []
        self._supervised: list[Supervised] = []

    def say(self, text: str) -> None:
        """Write a line of the supervisor's own into the log."""
        self._log.line(OWN_NAME, text)

    def serve(self, server: Server, urls: Mapping[str, str]) -> None:
        """Start or adopt a server, write down where it answers, and keep it running."""
        adopted = server.process is not None
        self._servers.append((server, RestartDelay()))
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
            one = Supervised(child, RestartDelay())
            self._supervised.append(one)
            if child.later:
                one.delay.until = time.monotonic() + child.later
            else:
                self._launch(one, environ)

    def check(self, environ: Mapping[str, str]) -> None:
        """One round: notice which processes ended, and start those again whose pause is over."""
        for server, delay in self._servers:
            self._check_server(server, delay)
        for one in self._supervised:
            status = one.popen.poll() if one.popen else None
            if one.popen is not None and status is not None:
                self._restart_later(one, status)
            elif one.popen is None and time.monotonic() >= one.delay.until:
                self._launch(one, environ)

    def stop(self) -> None:
        """Stop everything in order, by force where it takes more than its share of the time."""
        deadline = time.monotonic() + STOP_SECONDS
        for one in self._supervised:
            if one.running is None:
                continue
            self.say(f"stopping {one.child.name}")
            how = one.child.stop_signal
            if not stop_group(one.running, one.child.stop_seconds, marker=self._marker, how=how):
                self.say(f"{one.child.name} took more than {one.child.stop_seconds} s: killed")
        for server, _ in reversed(self._servers):
            self.say(f"stopping {server.name}")
            server.stop(max(0.5, deadline - time.monotonic()))
        self._supervised.clear()
        self._servers.clear()
        self._state.remove()

    def _check_server(self, server: Server, delay: RestartDelay) -> None:
        if server.process is not None and not server.process.alive():
            server.process = None
            self.say(f"{server.name} ended by itself; starting it again in {delay.ended():g} s")
        elif server.process is None and time.monotonic() >= delay.until:
            try:
                self._state.server(server.name, server.start(self._stopping), {})
                delay.started()
                self.say(f"{server.name} is ready again")
            except StackError as error:
                if not self._stopping():
                    self.say(f"{error}; trying again in {delay.ended():g} s")

    def _launch(self, one: Supervised, environ: Mapping[str, str]) -> None:
        one.child.make_room()
        popen = self._popen(one.child.command, {**environ, **one.child.environ}, subprocess.PIPE)
        one.popen, one.running = popen, process(popen.pid) or Process(popen.pid, "gone")
        one.delay.started()
        self._state.child(one.child.name, one.running)
        if popen.stdout is not None:
            self._log.follow(one.child.name, popen.stdout)

    def _restart_later(self, one: Supervised, status: int) -> None:
        """A child ended by itself: stop what is left of its process group, and say when it is started again."""
        if one.running is not None:
            stop_group(one.running, 0, marker=self._marker)
        one.popen = one.running = None
        pause = one.delay.ended()
        self.say(f"{one.child.name} {how_it_ended(status)}; starting it again in {pause:g} s")

    def _popen(self, command: Sequence[str], environ: Mapping[str, str], pipe: int | None) -> subprocess.Popen[bytes]:
        """A child in a session of its own, so that the terminal's Ctrl-C comes to us alone."""
        return subprocess.Popen(
            with_parent_death_signal(command),
            cwd=CHECKOUT,
            env={**environ, MARKER: self._marker, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=pipe,
            stderr=None if pipe is None else subprocess.STDOUT,
            start_new_session=True,
        )


def with_parent_death_signal(command: Sequence[str]) -> list[str]:
    """The command as one that stops when this process dies; unchanged on a system that can't do it."""
    if not sys.platform.startswith("linux"):
        return [*command]
    return [sys.executable, "-I", "-S", str(PARENT_DEATH_SIGNAL), str(os.getpid()), *command]


def how_it_ended(status: int) -> str:
    """An exit status in words."""
    if status >= 0:
        return f"ended with exit status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"
