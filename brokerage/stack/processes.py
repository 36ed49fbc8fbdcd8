"""The processes of one system: what each is called, how it is started, how long it may take to stop."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from brokerage.stack.where import CHECKOUT

MANAGE = (sys.executable, str(CHECKOUT / "manage.py"))


@dataclass(frozen=True)
class Child:
    """One process that is kept running."""

    name: str
    command: tuple[str, ...]
    stop_seconds: float
    later: float = 0.0  # seconds after the others: what nobody waits for leaves the cores to what somebody does


def children(host: str, port: int, environ: Mapping[str, str], without: Collection[str] = ()) -> list[Child]:
    """The processes in the order they are stopped: who takes work in goes before who does it."""
    threads = environ.get("WEB_THREADS", "400")  # a request may wait seconds for the engine's reply
    web = (
        *(sys.executable, "-m", "granian", "--interface", "wsgi", "brokerage.wsgi:application"),
        *("--host", host, "--port", str(port)),
        *("--workers", environ.get("WEB_WORKERS", "1"), "--blocking-threads", threads, "--backpressure", threads),
        *("--no-ws", "--http", "1", "--log-level", "error", "--no-access-log"),
        *("--respawn-failed-workers", "--respawn-interval", "0.5", "--workers-kill-timeout", "2"),
    )
    calmly = "ignore:You're running the worker with superuser"  # root is welcome here: nothing is pickled
    celery = (sys.executable, "-W", calmly, "-m", "celery", "--quiet", "-A", "brokerage")
    worker = (
        *(*celery, "worker", "--loglevel", "INFO", "--concurrency", environ.get("WORKER_CONCURRENCY", "3")),
        *("--without-mingle", "--without-gossip", "--without-heartbeat"),
    )
    beat = (
        *(*celery, "beat", "--loglevel", "INFO", "--pidfile", ""),
        *("--scheduler", "brokerage.beat:Scheduler"),
    )
    table = [
        Child("web", web, 2.5),
        Child("beat", beat, 0.7, later=1.0),
        Child("feed", (*MANAGE, "run_feed"), 1.0),
        Child("worker", worker, 2.5, later=1.0),
        Child("engine", (*MANAGE, "run_engine"), 1.5),  # of every partition
    ]
    return [child for child in table if child.name not in without]


NAMES = tuple(child.name for child in children("", 0, {}))
