"""A pid alone is nobody: only a process known by its start time as well is ever signalled."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from brokerage.stack.pids import MARKER, Process, process, stop_group, this_process
from tests.stack.running import eventually


@pytest.fixture
def somebody() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as sleeper:
        yield sleeper
        sleeper.kill()


def test_a_process_is_recognised_while_it_lives(somebody: subprocess.Popen[bytes]) -> None:
    known = process(somebody.pid)

    assert known is not None
    assert known.alive()
    assert this_process().alive()
    somebody.kill()
    assert eventually(lambda: not known.alive())


def test_a_pid_that_somebody_else_has_by_now_is_left_alone(somebody: subprocess.Popen[bytes]) -> None:
    before = Process(somebody.pid, "another boot:12345")

    before.signal(signal.SIGKILL)
    stop_group(before, 0.1, marker="/nowhere")

    time.sleep(0.05)
    assert somebody.poll() is None


def test_what_a_killed_process_left_of_its_group_is_stopped_with_it() -> None:
    family = "import subprocess, sys; p = subprocess.Popen(['sleep', '60']); print(p.pid, flush=True); p.wait()"
    with subprocess.Popen(
        [sys.executable, "-c", family],
        stdout=subprocess.PIPE,
        env={**os.environ, MARKER: "/these/data"},
        start_new_session=True,
    ) as parent:
        assert parent.stdout is not None
        orphan = process(int(parent.stdout.readline()))
        leader = process(parent.pid)
        parent.kill()
        parent.wait()
    assert orphan is not None
    assert leader is not None
    assert orphan.alive()

    stop_group(leader, 0.2, marker="/other/data")
    assert orphan.alive()

    stop_group(leader, 1, marker="/these/data")
    assert not orphan.alive()


def test_a_process_that_ignores_term_is_killed_when_its_time_is_over() -> None:
    deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE, start_new_session=True) as stubborn:
        assert stubborn.stdout is not None
        stubborn.stdout.readline()
        known = process(stubborn.pid)
        assert known is not None

        assert stop_group(known, 0.1, marker="/nowhere") is False
        assert not known.alive()
