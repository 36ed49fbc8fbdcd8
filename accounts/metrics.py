"""Where a process' own metrics are read: a port beside METRICS_PORT for each, in Prometheus' text format.

| process | METRICS_PORT + |
| --- | --- |
| exporter: the state in PostgreSQL and Redis | 0 |
| stream, feed, worker, beat | 1, 2, 3, 4 |
| engine of partition 0, 1, … | 10, 11, … |
| web, each of its processes | 30, 31, …: the first that is free |
"""

from __future__ import annotations

import logging
import threading
from socketserver import ThreadingMixIn
from typing import Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.types import WSGIApplication

from django.conf import settings
from prometheus_client import make_wsgi_app

log = logging.getLogger(__name__)

SILENCE_SECONDS: Final = 10  # a connection on which nothing is said is closed


class Server(ThreadingMixIn, WSGIServer):
    """A thread a scrape, none of which holds up the process' end."""

    daemon_threads = True


class Quiet(WSGIRequestHandler):
    timeout = SILENCE_SECONDS

    def log_message(self, *_: object) -> None:
        """A scrape is no news."""


METRICS_PORTS: Final = 60  # from METRICS_PORT on; web processes have the last thirty
PLACES: Final = {"exporter": 0, "stream": 1, "feed": 2, "worker": 3, "beat": 4, "engine": 10, "web": 30}


def serve(name: str, number: int = 0, *, among: int = 1, application: WSGIApplication | None = None) -> int:
    """Answer GET /metrics from a thread of this process; gives the port, 0 where METRICS_PORT is 0 or none is free.

    An `application` is answered by instead.

    `number` is the partition's; of `among` processes of the same name each takes the first port that is free. A port
    that is taken, or none, costs the metrics, never the process.
    """
    if not settings.METRICS_PORT:
        return 0
    first, why = settings.METRICS_PORT + PLACES[name] + number, ""
    for port in range(first, first + among):
        try:
            server = make_server(settings.METRICS_HOST, port, application or make_wsgi_app(), Server, Quiet)
        except (OSError, OverflowError) as refused:
            why = str(refused)
        else:
            threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
            return port
    log.warning("no metrics of %s at %s port %s: %s", name, settings.METRICS_HOST, first, why)
    return 0
