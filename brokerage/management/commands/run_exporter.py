"""The exporter's process: the state in PostgreSQL and Redis for Prometheus."""

from __future__ import annotations

import signal
import threading
from typing import Any

from prometheus_client import CollectorRegistry

from accounts import metrics
from accounts.management.exits import Refused
from accounts.management.output import Job
from brokerage.observe.exporter import Exporter
from brokerage.observe.healthz import application


class Command(Job):
    help = "Answer GET /metrics and /healthz at METRICS_PORT with the state of the whole, until SIGTERM or SIGINT."

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        registry = CollectorRegistry()
        registry.register(Exporter())
        if not metrics.serve("exporter", application=application(registry)):
            raise Refused("METRICS_PORT names no port that is free.")
        stop.wait()
