from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from argparse import SUPPRESS, ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from prometheus_client import REGISTRY

from accounts import metrics
from accounts.management.exits import TryAgain
from accounts.management.output import Job
from trades.engine.lease import LeaseLost
from trades.engine.process import Engine

LOOK_SECONDS = 0.2


class Command(Job):
    help = "Run the order engine of one partition, or of all of them, until SIGTERM or SIGINT."

    def add_arguments(self, parser: ArgumentParser) -> None:
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--partition", type=int, help="Serve this one alone, in this process.")
        which.add_argument(
            "--partitions",
            type=int,
            help="Serve them all, each with a process and a lease of its own: what is done anyway. As many as"
            " ENGINE_PARTITIONS says, which the web processes go by, too; a number here must be the same.",
        )

        parser.add_argument("--parent", type=int, default=0, help=SUPPRESS)

    def handle(self, *args: Any, **options: Any) -> None:
        partition, partitions = options["partition"], options["partitions"]
        known: int = settings.ENGINE_PARTITIONS
        if partitions not in (None, known):
            raise CommandError(f"ENGINE_PARTITIONS says {known}: set it to {partitions} for every process first.")
        if partition is None and known > 1:
            _All(known).run()
            return
        partition = partition or 0
        if not 0 <= partition < known:
            raise CommandError(f"There are {known} partitions, numbered from 0.")
        engine = Engine(partition, options["parent"])
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: engine.stop())
        REGISTRY.register(engine.counted)
        metrics.serve("engine", partition)
        engine.heart.watch()
        try:
            engine.run()
        except LeaseLost:
            raise TryAgain(f"Another engine has taken partition {partition}; leaving it alone.") from None


class _All:
    """One process a partition, for Python keeps one core busy; one that ends is started again."""

    def __init__(self, partitions: int) -> None:
        self.partitions = partitions
        self._stopping = threading.Event()

    def run(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stopping.set())
        running = {partition: self._start(partition) for partition in range(self.partitions)}
        try:
            while not self._stopping.wait(LOOK_SECONDS):
                for partition, process in running.items():
                    if process.poll() is not None:
                        running[partition] = self._start(partition)
        finally:
            for process in running.values():
                process.terminate()
            for process in running.values():
                process.wait()

    def _start(self, partition: int) -> subprocess.Popen[bytes]:
        """An engine that stops by itself when this process dies, with a HEARTBEAT_FILE of its own: `…-0`, `…-1`."""
        me = str(os.getpid())
        command = [sys.executable, sys.argv[0], "run_engine", "--partition", str(partition), "--parent", me]
        file = settings.HEARTBEAT_FILE
        own = {"HEARTBEAT_FILE": f"{file}-{partition}"} if file else {}
        return subprocess.Popen(command, env={**os.environ, **own})  # noqa: S603 - our own command line
