"""`manage.py demo`: the stories through HTTP on the running system, or on one it starts itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpx
from django.conf import settings
from django.core.management.base import CommandError
from rich.console import Console

from accounts.management.exits import Found
from accounts.management.output import Job
from brokerage.demo import day, margin, stories
from brokerage.demo.client import DemoClient, UnexpectedAnswer
from brokerage.stack.places import open_log
from brokerage.stack.processes import MANAGE
from brokerage.stack.where import CHECKOUT, data_dir, running_url

START_SECONDS = 120


class Command(Job):
    help = "Play the stories through HTTP, show every call, and end with the ledger audit."

    def handle(self, *args: Any, **options: Any) -> None:
        console = Console()
        with _system(console) as url:
            demo = DemoClient(url, console)
            try:
                self._play(demo)
            except (UnexpectedAnswer, httpx.HTTPError) as end:
                demo.wrong.append(str(end))
                console.print(f"[red]{end}[/red]", highlight=False)
        if demo.wrong:
            raise Found(f"{len(demo.wrong)} things were not as they should be")
        console.rule("[green]Everything was as it should be")

    def _play(self, demo: DemoClient) -> None:
        client = _seeded()["client"]
        try:
            who = stories.participants(demo, client)
            stories.close_order(demo, who)
            stories.keep_clear_of_cuts(demo)
            stories.exit_trade(demo, who)
            stories.keep_clear_of_cuts(demo)
            stories.batched_trade(demo, who)
            margin.orders_by_themselves(demo)
            margin.fall(demo)
            day.bad_prices(demo, who, meanwhile=stories.told_of_a_deposit)
            stories.books(demo)
        finally:
            demo.command("set_price", stories.SYMBOL, "--release")


def _seeded() -> dict[str, Any]:
    if not settings.SANDBOX:
        raise CommandError("The demo trades with made-up money: it plays only where SANDBOX is on.")
    try:
        seeded: dict[str, Any] = json.loads((data_dir() / "seed.json").read_text())
    except (OSError, ValueError):
        raise CommandError("There are no demo credentials: run `manage.py seed` on an empty database.") from None
    return seeded


@contextmanager
def _system(console: Console) -> Iterator[str]:
    """The URL of the running system; where none runs, of one that is started for the demo and stopped after it."""
    if url := running_url():
        console.print(f"Playing on the system that runs at {url}", highlight=False)
        yield url
        return
    log = data_dir() / "log" / "demo.log"
    console.print(f"No system runs here; starting one (its log: {log})", highlight=False)
    demo_mode = {**os.environ, "DEMO": "1"}
    with open_log(data_dir(), "demo") as out:
        out.truncate(0)
        up = subprocess.Popen(  # noqa: S603
            [*MANAGE, "up"], cwd=CHECKOUT, env=demo_mode, stdout=out, stderr=subprocess.STDOUT
        )
    try:
        yield _ready(up, log.read_text)
    finally:
        up.send_signal(signal.SIGTERM)
        up.wait(20)


def _ready(up: subprocess.Popen[bytes], said: Callable[[], str]) -> str:
    give_up = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up and up.poll() is None:
        url = running_url()
        with suppress(httpx.HTTPError):
            if url and httpx.get(f"{url}/readyz", timeout=3).status_code == 200:
                return url
        time.sleep(0.2)
    raise CommandError(f"The system did not start:\n{said()[-2000:]}")
