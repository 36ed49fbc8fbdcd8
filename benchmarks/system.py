"""A whole system of its own for a benchmark: `manage.py up` on fresh data, durable, ended with the benchmark."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

CHECKOUT = Path(__file__).resolve().parent.parent
START_SECONDS = 90


@dataclass(frozen=True)
class System:
    """`port` answers HTTP; `environment` makes another process find the system's servers."""

    port: int
    environment: dict[str, str]


@contextlib.contextmanager
def running(without: str, **settings: str) -> Iterator[System]:
    """Start everything but `without` and wait until it is ready; this process' Django then sees its database.

    Another checkout (`benchmarks.paired`) may not know each of these processes: it isn't asked to go without that.
    """
    from brokerage.stack.processes import NAMES

    known = ",".join(name for name in without.split(",") if name in NAMES)
    home = Path(tempfile.mkdtemp(prefix="brokerage-bench-"))
    home.chmod(0o711)  # PostgreSQL runs as an unprivileged user where root starts it
    port = free_port()
    environment = {
        **os.environ,
        "BROKERAGE_DATA_DIR": str(home / "data"),
        "DJANGO_SETTINGS_MODULE": "benchmarks.settings",
        "PORT": str(port),
        "LOG_LEVEL": "WARNING",
        "PYTHONPATH": str(CHECKOUT),
        **settings,
    }
    environment.pop("DATABASE_URL", None)
    environment.pop("REDIS_URL", None)
    environment.pop("MIGRATION_DATABASE_URL", None)
    log = (home / "log").open("w")
    up = subprocess.Popen(
        [sys.executable, "manage.py", "up", "--without", known],
        cwd=CHECKOUT,
        env=environment,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        _wait(up, port, home / "log")
        os.environ.update(environment)
        yield System(port, environment)
    finally:
        up.send_signal(signal.SIGTERM)
        up.wait(20)
        shutil.rmtree(home, ignore_errors=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def superuser_url() -> str:
    """The system's database for the server's own superuser: benchmarks copy tables and ask for checkpoints."""
    from brokerage.stack.where import embedded_urls

    url = urlsplit(embedded_urls()["DATABASE_URL"])
    return url._replace(netloc=f"postgres@{url.netloc.rpartition('@')[2]}").geturl()


def _wait(up: subprocess.Popen[bytes], port: int, log: Path) -> None:
    give_up = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up and up.poll() is None:
        with contextlib.suppress(OSError), urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
            if answer.status == 200:
                return
        time.sleep(0.1)
    raise RuntimeError(f"the system did not get ready:\n{log.read_text()[-3000:]}")
