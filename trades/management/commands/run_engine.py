from __future__ import annotations

import signal
import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from trades.orders.engine import Engine
from trades.orders.lease import LeaseLost


class Command(BaseCommand):
    help = "Run the order engine of one partition until SIGTERM or SIGINT."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--partition", type=int, default=0, help="Which stream to serve (default 0).")

    def handle(self, *args: Any, **options: Any) -> None:
        partition: int = options["partition"]
        if not 0 <= partition < settings.ENGINE_PARTITIONS:
            raise CommandError(f"There are {settings.ENGINE_PARTITIONS} partitions, numbered from 0.")
        engine = Engine(partition)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: engine.stop())
        try:
            engine.run()
        except LeaseLost:
            self.stderr.write(f"Another engine has taken partition {partition}; leaving it alone.")
            sys.exit(1)
