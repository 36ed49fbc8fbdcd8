"""One whole system on one machine, from the lock to the last process stopped: what `manage.py up` runs.

The order matters. Nothing is touched before the lock is held; leftovers of a killed predecessor
go before the port is judged, for one of them may hold it; servers come before the work that needs them.
"""

from __future__ import annotations

import errno
import http.client
import os
import signal
import socket
import stat
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

from brokerage.stack.failure import StackError
from brokerage.stack.log import Log
from brokerage.stack.pids import stop_group
from brokerage.stack.postgres import Postgres
from brokerage.stack.processes import NAMES, Child
from brokerage.stack.state import Lock, StateFile, recorded_children
from brokerage.stack.supervisor import OWN_NAME, Supervisor
from brokerage.stack.valkey import Valkey

ROUND_SECONDS = 0.1
NOT_FOR_OTHERS = 0o022  # a state file that others could write would name them our servers
ANY = "0.0.0.0"  # noqa: S104 - only where HOST asks for it
EVERYWHERE = {ANY: "127.0.0.1", "::": "::1"}  # the address to ask when it listens everywhere
OWNERS_URL = "MIGRATION_DATABASE_URL"
METRICS_HOST = "127.0.0.1"  # unless METRICS_HOST says another; the port is taken in any case
SLOW_START_SECONDS = 20.0  # seconds without a ready web process before the log says why


@dataclass(frozen=True)
class Step:
    """A command that must have ended well before the processes start; skipped where `needed` says no."""

    name: str
    command: tuple[str, ...]
    plain: bool = False
    needed: Callable[[Mapping[str, str]], bool] = field(default=lambda _: True)


@dataclass
class System:
    """What to run: where, at which address, which servers, which steps first, which processes then."""

    data: Path
    host: str
    port: int
    children: Sequence[Child]
    steps: Sequence[Step] = ()
    stream_port: int | None = None  # None runs without the event stream
    metrics_port: int | None = None  # None runs without the exporter
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    out: Log = field(default_factory=lambda: Log(sys.stdout, (OWN_NAME, "postgres", "valkey", *NAMES, "migrate")))

    def __post_init__(self) -> None:
        self._began = time.monotonic()
        self._stopping = threading.Event()
        self._state = StateFile(self.data)
        self._supervisor = Supervisor(self.data, self.out, self._state, self._stopping.is_set)

    @property
    def url(self) -> str:
        """The base of every address of the API and the back office."""
        return self._base(self.port)

    @property
    def stream_url(self) -> str:
        """The base of the event stream's addresses; empty without it."""
        return "" if self.stream_port is None else self._base(self.stream_port)

    def _base(self, port: int) -> str:
        host = EVERYWHERE.get(self.host, self.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{port}"

    def run(self) -> None:
        """Run until a signal says stop, then stop everything.

        Raises:
            StackError: it could not start; whatever had started is stopped again.
        """
        os.umask(os.umask(NOT_FOR_OTHERS) | NOT_FOR_OTHERS)
        self.data.mkdir(parents=True, exist_ok=True)
        mode = stat.S_IMODE(self.data.stat().st_mode)
        if mode & NOT_FOR_OTHERS and self.data.stat().st_uid == os.getuid():
            self.data.chmod(mode & ~NOT_FOR_OTHERS)
        lock = Lock(self.data)
        lock.take(self.url)
        self._listen_for_signals()
        self._stop_leftovers()
        claim(self.host, self.port)
        if self.stream_port is not None:
            claim(self.host, self.stream_port, "STREAM_PORT")
        if self.metrics_port is not None:
            claim(METRICS_HOST, self.metrics_port, "METRICS_PORT")
        self._state.introduce(self.url, self.stream_url)
        try:
            environ = {**self.environ, **self._start_servers()}
            self._take_steps(environ)
            for name in (OWNERS_URL, f"{OWNERS_URL}_FILE"):
                environ.pop(name, None)  # from here on nobody needs to own the tables
            self._supervisor.start(self.children, environ)
            threading.Thread(target=self._announce, name="ready?", daemon=True).start()
            while not self._stopping.is_set():
                self._supervisor.check(environ)
                time.sleep(ROUND_SECONDS)
        except StackError:
            if not self._stopping.is_set():
                raise
        finally:
            self._stopping.set()
            self._supervisor.stop()
        self._supervisor.say("everything is stopped")

    def _listen_for_signals(self) -> None:
        def stop(number: int, frame: FrameType | None) -> None:
            if self._stopping.is_set():
                return  # already on the way; a second Ctrl-C changes nothing about the order
            self._stopping.set()

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup asked to go on
                signal.signal(number, stop)

    def _stop_leftovers(self) -> None:
        """Stop what a killed predecessor left running; its servers are adopted, its other processes are not."""
        left = recorded_children(self.data)
        for name in sorted(left, key=lambda name: NAMES.index(name) if name in NAMES else -1):
            if left[name].alive():
                self._supervisor.say(f"stopping {name}, left running by a killed predecessor (pid {left[name].pid})")
            stop_group(left[name], 2, marker=str(self.data))

    def _start_servers(self) -> dict[str, str]:
        """Start or adopt the embedded servers where the environment names none; their addresses."""
        urls: dict[str, str] = {}
        for variable, kind in (("DATABASE_URL", Postgres), ("REDIS_URL", Valkey)):
            wanted = not (self.environ.get(variable) or self.environ.get(f"{variable}_FILE"))
            if not wanted and not (self.data / kind.name).exists():
                continue
            server = kind(self.data, say=self._supervisor.say)
            server.process = server.find()
            if wanted:
                urls |= server.urls
                self._supervisor.serve(server, server.urls)
            elif server.process is not None:
                self._supervisor.say(f"stopping {server.name}, which {variable} replaces")
                server.stop(5)
        return urls

    def _take_steps(self, environ: Mapping[str, str]) -> None:
        for step in self.steps:
            if self._stopping.is_set():
                raise StackError("stopped")
            if step.needed(environ):
                self._take(step, environ)

    def _take(self, step: Step, environ: Mapping[str, str]) -> None:
        if not step.plain:
            self._supervisor.say(f"running {step.name}")
        if status := self._supervisor.run_once(step.name, step.command, environ, plain=step.plain):
            raise StackError(f"{step.name} failed with exit status {status}")

    def _announce(self) -> None:
        """Say once that the system answers; say why it doesn't, when that takes long."""
        told_at = time.monotonic() + SLOW_START_SECONDS
        while not self._stopping.is_set():
            answer = ask_ready(self.url)
            if answer == "200":
                seconds = time.monotonic() - self._began
                self._supervisor.say(
                    f"ready after {seconds:.1f} s: API {self.url}/ · admin {self.url}/admin/ · "
                    + (f"stream {self.stream_url}/ · " if self.stream_url else "")
                    + f"stop with Ctrl-C or kill {os.getpid()}"
                )
                return
            if time.monotonic() >= told_at:
                self._supervisor.say(f"not ready yet: {self.url}/readyz says {answer}")
                told_at += SLOW_START_SECONDS
            time.sleep(ROUND_SECONDS)


def ask_ready(url: str) -> str:
    """What /readyz answers: its status, with the first words of the body unless all is well."""
    address = urlsplit(url)
    with closing(http.client.HTTPConnection(address.hostname or "", address.port, timeout=2)) as connection:
        try:
            connection.request("GET", "/readyz")
            answer = connection.getresponse()
            body = answer.read(300).decode(errors="replace").strip()
        except (OSError, http.client.HTTPException) as error:
            return str(error) or type(error).__name__
    return "200" if answer.status == 200 else f"{answer.status} {body}"


def numeric(host: str) -> str:
    """The address behind HOST: the web server takes nothing else.

    Raises:
        StackError: the name means nothing here.
    """
    try:
        found = socket.getaddrinfo(host or ANY, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise StackError(f"HOST names no address of this machine: {host} ({error.strerror or error}).") from error
    return str(sorted(found, key=lambda entry: entry[0] != socket.AF_INET)[0][4][0])


def claim(host: str, port: int, name: str = "PORT") -> None:
    """See that the port, which the setting `name` says, is free.

    Raises:
        StackError: it isn't, in one line that names one that is.
    """
    problem = _cannot_bind(host, port)
    if problem is None:
        return
    if problem.errno == errno.EADDRINUSE:
        free = next((other for other in range(port + 1, min(port + 100, 65_536)) if not _cannot_bind(host, other)), 0)
        raise StackError(f"Port {port} is taken; choose another with {name}={free or '…'}")
    raise StackError(f"Can't listen on {host}:{port}: {problem.strerror or problem}")


def _cannot_bind(host: str, port: int) -> OSError | None:
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        return error
    return None
