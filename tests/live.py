"""The system's own processes, as `manage.py up` starts them, on a test's database."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx
from django.conf import settings

from brokerage.stack.processes import children
from brokerage.stack.where import CHECKOUT

START_SECONDS = 120


def environment() -> dict[str, str]:
    """What a child needs to work on the database and the Redis of this very test, as the application's role."""
    name = settings.DATABASES["default"]["NAME"]

    def here(url: str) -> str:
        return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))

    return {
        **os.environ,
        "DATABASE_URL": here(settings.DATABASE_URL),
        "MIGRATION_DATABASE_URL": here(settings.MIGRATION_DATABASE_URL or settings.DATABASE_URL),
        "REDIS_URL": settings.REDIS_URL,
        "SECRET_KEY": settings.SECRET_KEY,
        "JWT_SIGNING_KEY": settings.JWT_SIGNING_KEY,
        "SANDBOX": "1",
        "WORKER_CONCURRENCY": "1",
        "WEB_THREADS": "64",
        "PYTHONUNBUFFERED": "1",
    }


class Live:
    """proxy, web, engine and worker; `url` is where they answer, `commands` by name what is started.

    Without the proxy the web process answers there itself.
    """

    def __init__(
        self, names: tuple[str, ...] = ("proxy", "web", "engine", "worker"), extra: Mapping[str, str] | None = None
    ) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.names = names
        self.environment = environment() | dict(extra or {})
        self.log = Path(tempfile.mkstemp(prefix="brokerage-live-", suffix=".log")[1])
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.home = Path(tempfile.mkdtemp(prefix="live-"))
        socket_path = self.home / "web.sock" if "proxy" in names else None
        table = children("127.0.0.1", self.port, self.environment, socket=socket_path)
        self.commands = {child.name: child.command for child in table}
        self._children = {child.name: child for child in table}

    def start(self) -> None:
        for name in self.names:
            self.start_one(name)
        if "web" in self.names:
            try:
                self.wait_for_web()
            except BaseException:
                self.stop()
                raise

    def start_one(self, name: str, *, called: str = "", extra: Mapping[str, str] | None = None) -> None:
        """`called`: under another name, beside the first; `extra`: with an environment of its own."""
        child = self._children.get(name)
        if child is not None and not called:
            child.make_room()
        self._running[called or name] = subprocess.Popen(
            self.commands[name],
            cwd=CHECKOUT,
            env=self.environment | dict(child.environ if child else {}) | dict(extra or {}),
            stdout=self.log.open("ab"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def kill(self, name: str) -> None:
        """kill -9, and wait until it is gone."""
        process = self._running.pop(name)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)

    def signal(self, name: str, number: int) -> None:
        os.killpg(self._running[name].pid, number)

    def ended(self, name: str, seconds: float) -> int:
        """Wait until a process ends by itself; its exit code. Raises TimeoutExpired."""
        code = self._running[name].wait(seconds)
        del self._running[name]
        return code

    def rename(self, name: str, called: str) -> None:
        self._running[called] = self._running.pop(name)

    def stop(self) -> None:
        for process in self._running.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        for process in self._running.values():
            try:
                process.wait(8)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(30)
        self._running.clear()
        shutil.rmtree(self.home, ignore_errors=True)
        self.log.unlink(missing_ok=True)

    def client(self, token: str = "", **options: Any) -> httpx.Client:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        # Its pool closes surplus idle connections, sometimes in a thread's hands: none is surplus here.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=60)
        return httpx.Client(base_url=self.url, headers=headers, timeout=15, limits=limits, **options)

    def wait_for_web(self, path: str = "/readyz") -> None:
        """Until it says 200: ready, or with "/livez" only there, as on a host whose clock is wrong."""
        give_up = time.monotonic() + START_SECONDS
        while time.monotonic() < give_up:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{self.url}{path}", timeout=5).status_code == 200:
                    return
            if self._running["web"].poll() is not None:
                break
            time.sleep(0.1)
        raise RuntimeError(f"the web process did not get ready:\n{self.log.read_text()[-4000:]}")
