"""A loop that doesn't come round any more ends its process; one that rests, or stood still, doesn't."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from accounts import metrics
from accounts.heartbeat import Heartbeat
from brokerage.stack.where import CHECKOUT
from tests.live import Live, environment
from tests.stack.running import eventually

HANGING = """
import threading, django
django.setup()
from accounts.heartbeat import Heartbeat
heart = Heartbeat("the test")
heart.beat()
heart.watch()
threading.Event().wait()
"""

BEATING = """
import time, django
django.setup()
from pathlib import Path
from django.conf import settings
from accounts.heartbeat import Heartbeat
heart = Heartbeat("the test")
heart.watch()
while not Path(settings.HEARTBEAT_FILE).exists():
    heart.beat()
    time.sleep(0.1)
"""


def test_a_loop_that_is_silent_for_as_many_looks_as_it_may_hangs(settings):
    """Guard: the watch counts its looks. By a clock, whoever stood still for minutes would be taken for hung."""
    settings.HEARTBEAT_SECONDS = 3
    heart = Heartbeat("the test")

    heart.beat()
    assert [heart.hangs() for _ in range(4)] == [False, False, False, True]
    heart.beat()
    assert not heart.hangs()
    heart.beat(rests=2)
    assert [heart.hangs() for _ in range(6)] == [False] * 5 + [True]


def test_a_process_that_hangs_ends_says_so_and_where_it_stood(tmp_path):
    run = subprocess.run(
        [sys.executable, "-c", HANGING],
        cwd=CHECKOUT,
        env=environment()
        | {
            "DJANGO_SETTINGS_MODULE": "brokerage.settings",
            "HEARTBEAT_SECONDS": "1",
            "HEARTBEAT_FILE": str(tmp_path / "heartbeat"),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert run.returncode == 70
    assert "the test hasn't come round for 1 s: it ends, to be started again" in run.stderr
    assert "Event().wait()" in run.stderr or '"<string>", line 8' in run.stderr
    assert (tmp_path / "heartbeat").exists()


def test_a_watch_that_ends_nobody_touches_the_file_all_the_same(settings: Any, tmp_path: Path) -> None:
    """HEARTBEAT_SECONDS=0. Guards: `watch` starts the thread all the same, and `0 <` in `hangs`."""
    settings.HEARTBEAT_SECONDS = 0
    assert [Heartbeat("the test").hangs() for _ in range(3)] == [False] * 3

    run = subprocess.run(
        [sys.executable, "-c", BEATING],
        cwd=CHECKOUT,
        env=environment()
        | {
            "DJANGO_SETTINGS_MODULE": "brokerage.settings",
            "HEARTBEAT_SECONDS": "0",
            "HEARTBEAT_FILE": str(tmp_path / "heartbeat"),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert run.returncode == 0, run.stderr


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["worker", "beat", "feed", "engine"])
def test_each_process_touches_its_file_while_it_comes_round(name: str, tmp_path: Path):
    """Guards for each: `watch`, without which there is no file, and `beat`, without which it is touched once."""
    file = tmp_path / "heartbeat"
    live = Live((name,), {"HEARTBEAT_FILE": str(file)})
    live.start()
    try:
        assert eventually(file.exists, 120), live.log.read_text()
        first = file.stat().st_mtime_ns
        assert eventually(lambda: file.stat().st_mtime_ns > first, 120), "it doesn't come round"
    finally:
        live.stop()


@pytest.mark.django_db(transaction=True)
def test_each_partitions_engine_has_a_file_of_its_own(tmp_path: Path) -> None:
    """Guard: `HEARTBEAT_FILE` in `_All._start`. With one for both, nobody sees that one of them hangs."""
    live = Live(("engine",), {"HEARTBEAT_FILE": str(tmp_path / "heartbeat"), "ENGINE_PARTITIONS": "2"})
    live.start()
    try:
        for partition in range(2):
            assert eventually((tmp_path / f"heartbeat-{partition}").exists, 120), live.log.read_text()
    finally:
        live.stop()
    assert not (tmp_path / "heartbeat").exists()


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 65_000), ("192.0.2.1", 20_000), ("no such host", 20_000)])
def test_metrics_that_can_have_no_port_cost_the_metrics_alone(settings: Any, host: str, port: int) -> None:
    """Guard: the `except` of `metrics.serve`."""
    settings.METRICS_HOST, settings.METRICS_PORT = host, port

    assert metrics.serve("web", 600) == 0
