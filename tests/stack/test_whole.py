"""`manage.py up` as it is shipped: every process real, from an empty data directory to the last one stopped."""

from __future__ import annotations

import signal
import sys
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from brokerage.stack.pids import process
from brokerage.stack.processes import NAMES
from brokerage.stack.where import read_state
from tests.stack.running import Up, eventually, everyone_of

MANAGE = (sys.executable, "manage.py")


@pytest.fixture
def run(start: Callable[..., Up], port: int) -> Callable[[], Up]:
    def begin() -> Up:
        up = start(*MANAGE, "up", "--port", str(port))
        up.says("ready after", 120)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz") as answer:
            assert answer.status == 200
        return up

    return begin


def pids(up: Up) -> Mapping[str, int]:
    """Every process by its name, once the last has been started."""
    everyone = {*NAMES, "postgres", "valkey"}
    found = eventually(lambda: up.children() if set(up.children()) == everyone else None)
    assert found, f"not all of {everyone} in {up.children()}:\n{up.log}"
    return dict(found)


def test_one_command_runs_everything_and_other_commands_find_it(
    run: Callable[[], Up], start: Callable[..., Up], data: Path
) -> None:
    up = run()

    assert set(pids(up)) == {
        "proxy",
        "web",
        "stream",
        "exporter",
        "beat",
        "feed",
        "worker",
        "engine",
        "postgres",
        "valkey",
    }
    assert f"stream {read_state(data)['up']['stream']}/ ·" in up.says("ready after")
    beside = start(*MANAGE, "migrate", "--check")
    assert beside.ends() == 0, beside.log

    up.signal(signal.SIGTERM)
    assert up.ends() == 0
    assert everyone_of(data) == {}


def test_a_start_after_a_kill_adopts_the_servers_and_replaces_the_rest(run: Callable[[], Up], data: Path) -> None:
    killed = run()
    before = pids(killed)
    killed.signal(signal.SIGKILL)
    killed.ends()

    up = run()

    kept = {name for name, pid in pids(up).items() if pid == before[name]}
    assert kept == {"postgres", "valkey"}
    assert not [name for name in NAMES if process(before[name])]
    assert "running migrate" not in up.log
    up.signal(signal.SIGINT)
    assert up.ends() == 0
    assert everyone_of(data) == {}
