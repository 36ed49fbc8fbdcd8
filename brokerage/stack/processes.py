"""The processes of one system: what each is called, how it is started, how long it may take to stop."""

from __future__ import annotations

import signal
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from brokerage.stack import haproxy
from brokerage.stack.where import CHECKOUT

MANAGE = (sys.executable, str(CHECKOUT / "manage.py"))
NAMES = ("proxy", "web", "stream", "exporter", "beat", "feed", "worker", "engine")
FILES, PROBES = 32, 8  # static files and health checks at once, as haproxy.cfg has them
CONNECTIONS = 8192  # that the web process keeps: an idle one costs it nothing


@dataclass(frozen=True)
class Child:
    """One process that is kept running."""

    name: str
    command: tuple[str, ...]
    stop_seconds: float
    later: float = 0.0  # seconds after the others: what nobody waits for leaves the cores to what somebody does
    environ: Mapping[str, str] = field(default_factory=dict)  # beside what every process gets
    stop_signal: int = signal.SIGTERM  # asks it to finish what it has begun
    socket: Path | None = None  # where it listens

    def make_room(self) -> None:
        """Remove the socket that a killed predecessor has left: nothing could listen there again. Before each start."""
        if self.socket is not None:
            self.socket.unlink(missing_ok=True)


def children(
    host: str, port: int, environ: Mapping[str, str], without: Collection[str] = (), socket: Path | None = None
) -> list[Child]:
    """The processes in the order they are stopped: who takes work in goes before who does it.

    With a `socket` the web process listens there and HAProxy at the port; else the web process itself.
    """
    calmly = "ignore:You're running the worker with superuser"  # root is welcome here: nothing is pickled
    celery = (sys.executable, "-W", calmly, "-m", "celery", "--quiet", "-A", "brokerage.background")
    worker = (
        *(*celery, "worker", "--loglevel", "INFO", "--concurrency", environ.get("WORKER_CONCURRENCY", "4")),
        *("--without-mingle", "--without-gossip", "--without-heartbeat"),
    )
    beat = (
        *(*celery, "beat", "--loglevel", "INFO", "--pidfile="),
        *("--scheduler", "brokerage.beat:Scheduler"),
    )
    table = [
        *(_behind_proxy(host, port, environ, socket) if socket else [Child("web", web(host, port, environ), 2.5)]),
        Child("stream", stream(host, port, environ), 1.5, later=1.0),
        Child("exporter", (*MANAGE, "run_exporter"), 0.5, later=2.0),
        Child("beat", beat, 0.7, later=1.0),
        Child("feed", (*MANAGE, "run_feed"), 1.0),
        Child("worker", worker, 2.5, later=1.0),
        Child("engine", (*MANAGE, "run_engine"), 1.5),  # of every partition
    ]
    return [child for child in table if child.name not in without]


def stream(host: str, port: int, environ: Mapping[str, str]) -> tuple[str, ...]:
    """The event stream's command, beside an API at this port."""
    return (*MANAGE, "run_stream", "--host", host, "--port", stream_port(port, environ))


def stream_port(port: int, environ: Mapping[str, str]) -> str:
    """Where the event stream listens: as STREAM_PORT says, else one above the API's own port."""
    return environ.get("STREAM_PORT") or str(port + 1)


def metrics_port(port: int, environ: Mapping[str, str]) -> str:
    """Where the exporter listens: as METRICS_PORT says, else two above the API's own port."""
    return environ.get("METRICS_PORT") or str(port + 2)


def web(host: str, port: int, environ: Mapping[str, str], socket: Path | None = None) -> tuple[str, ...]:
    """The web process' command."""
    threads = _threads(environ) + FILES + PROBES
    return (
        *(sys.executable, "-m", "brokerage.web", "--interface", "wsgi", "brokerage.wsgi:application"),
        *(("--uds", str(socket), "--uds-permissions", "600") if socket else ("--host", host, "--port", str(port))),
        *("--workers", environ.get("WEB_WORKERS", "1"), "--blocking-threads", str(threads)),
        *("--backpressure", str(CONNECTIONS), "--http1-header-read-timeout", "60000"),  # milliseconds, idle or reading
        *("--no-ws", "--http", "1", "--log-level", "error", "--no-access-log"),
        *("--respawn-failed-workers", "--respawn-interval", "0.5", "--workers-kill-timeout", "2"),
    )


def _behind_proxy(host: str, port: int, environ: Mapping[str, str], socket: Path) -> list[Child]:
    """HAProxy finishes what it has begun first, so the web process has nothing left to do."""
    program = haproxy.binary() or "haproxy"
    told = {
        "PROXY_BIND": f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
        "PROXY_WEB": f"unix@{socket}",
        "PROXY_REQUESTS": str(_threads(environ) * int(environ.get("WEB_WORKERS", "1"))),
        "PROXY_ERRORS": str(haproxy.ERRORS),
    }
    command = (program, "-db", "-q", "-f", str(haproxy.CONFIGURATION))
    behind = {"PROXIES": str(int(environ.get("PROXIES") or "0") + 1)}
    return [
        Child("proxy", command, 2.0, environ=told, stop_signal=signal.SIGUSR1),
        Child("web", web(host, port, environ, socket), 1.2, environ=behind, socket=socket),
    ]


def _threads(environ: Mapping[str, str]) -> int:
    return int(environ.get("WEB_THREADS", "400"))  # a request may wait seconds for the engine's reply
