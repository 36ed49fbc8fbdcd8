"""Where a process' own metrics are read: a port beside METRICS_PORT for each, in Prometheus' text format.

| process | METRICS_PORT + |
| --- | --- |
| exporter: the state in PostgreSQL and Redis | 0 |
| stream, feed, worker, beat | 1, 2, 3, 4 |
| engine of partition 0, 1, … | 10, 11, … |
| web, each of its processes | 30, 31, …: the first that is free |
"""

from __future__ import annotations

import errno
import logging
from typing import Final

from django.conf import settings
from prometheus_client import REGISTRY, CollectorRegistry, start_http_server

log = logging.getLogger(__name__)

PLACES: Final = {"exporter": 0, "stream": 1, "feed": 2, "worker": 3, "beat": 4, "engine": 10, "web": 30}


def serve(name: str, number: int = 0, *, among: int = 1, registry: CollectorRegistry = REGISTRY) -> int:
    """Answer GET /metrics from a thread of this process; gives the port, 0 where METRICS_PORT is 0 or none is free.

    `number` is the partition's; of `among` processes of the same name each takes the first port that is free. A port
    that is taken costs the metrics, never the process.
    """
    if not settings.METRICS_PORT:
        return 0
    first = settings.METRICS_PORT + PLACES[name] + number
    for port in range(first, first + among):
        try:
            start_http_server(port, settings.METRICS_HOST, registry)
        except OSError as taken:
            if taken.errno != errno.EADDRINUSE:
                raise
        else:
            return port
    log.warning("no metrics of %s: port %s is taken", name, first)
    return 0
