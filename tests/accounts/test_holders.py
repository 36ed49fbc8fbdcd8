"""Whose process holds a lease, and when it may be taken for dead."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from accounts import holders
from brokerage.stack.where import CHECKOUT

SAYS_ITS_NAME = "from accounts import holders; import time; print(holders.name(), flush=True); time.sleep(60)"
SAYS_WHO_IS_DEAD = "import sys; from accounts import holders; print(holders.is_dead(sys.argv[1]))"
NAMESPACE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")

pytestmark = pytest.mark.skipif(not holders._sees_its_own(), reason="there is no /proc of this namespace")


class Another:
    """Another process of this host, which says what it is called; perhaps in a PID namespace of its own."""

    def __init__(self, *before: str) -> None:
        self.process = subprocess.Popen(
            [*before, sys.executable, "-c", SAYS_ITS_NAME], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.name = self.process.stdout.readline().strip()

    def ends(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def another() -> Iterator[Another]:
    process = Another()
    yield process
    process.ends()


def may_unshare() -> bool:
    try:
        return subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def test_a_living_process_is_not_dead_and_a_killed_one_is(another):
    assert another.name.endswith(f":{another.process.pid}")
    assert len(another.name) <= holders.LONGEST_NAME
    assert not holders.is_dead(holders.name())
    assert not holders.is_dead(another.name)

    another.process.send_signal(signal.SIGSTOP)
    assert not holders.is_dead(another.name)

    another.ends()
    assert holders.is_dead(another.name)


def test_a_process_that_got_the_number_of_one_that_ended_does_not_keep_it_alive(another):
    """Guard: the time at which the process began. A number alone would be somebody else's."""
    known, _, pid = another.name.rpartition(":")
    place, _, start = known.rpartition("/")

    assert holders.is_dead(f"{place}/{int(start) - 1}:{pid}")


@pytest.mark.parametrize("part", [1, 2], ids=["boot", "namespace"])
def test_of_another_boot_or_namespace_nobody_here_can_tell(another, part):
    another.ends()
    parts = another.name.split("/")
    parts[part] = "1"

    assert not holders.is_dead("/".join(parts))


@pytest.mark.parametrize("name", ["", "another-host:1", "host:99999999", "a/b/c/d:x", "a/b/c/d:", "///:7", ":" * 50])
def test_a_name_of_another_form_is_not_known_to_be_dead(name):
    assert not holders.is_dead(name)


@pytest.mark.skipif(not may_unshare(), reason="namespaces can't be made here")
def test_processes_of_one_host_name_in_two_pid_namespaces_do_not_take_each_other_for_dead():
    """Guard: the namespace in the name. Two containers' processes are both number 1 there, and gone here."""
    first = Another(*NAMESPACE)
    try:
        assert first.name.endswith(":1")
        assert not holders.is_dead(first.name)
        for name in (first.name, holders.name()):
            said = subprocess.run(
                [*NAMESPACE, sys.executable, "-c", SAYS_WHO_IS_DEAD, name],
                cwd=CHECKOUT,
                capture_output=True,
                text=True,
                check=True,
            )
            assert said.stdout.strip() == "False"
    finally:
        first.ends()


def test_a_name_is_short_for_people():
    assert holders.shown("web-1/1a2b/4026531836/123456:4711") == "web-1:4711"
    assert holders.shown("web-1:4711") == "web-1:4711"
    assert holders.shown("") == ""


def test_a_name_stays_the_same_while_the_process_lives():
    before = holders.name()
    time.sleep(0.02)
    assert holders.name() == before
    assert before.endswith(f":{os.getpid()}")
