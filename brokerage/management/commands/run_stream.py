"""The event stream's process: server-sent events and WebSocket for all who are connected."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from typing import Any

from accounts import metrics
from accounts.management.output import Job
from brokerage.management.ports import port
from brokerage.stack.processes import stream_port
from brokerage.stream import server


class Command(Job):
    help = "Tell events and prices to whoever is connected, until SIGTERM or SIGINT."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default=os.environ.get("HOST") or "127.0.0.1", help="where to listen (HOST)")
        parser.add_argument("--port", help="where to listen (STREAM_PORT, one above PORT)")

    def handle(self, *args: Any, **options: Any) -> None:
        of_the_api = port(os.environ.get("PORT") or "8000", "PORT")
        where = port(options["port"] or stream_port(of_the_api, os.environ), "STREAM_PORT")
        metrics.serve("stream")
        server.run(options["host"], where)
