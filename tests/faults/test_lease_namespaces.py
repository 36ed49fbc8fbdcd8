"""Two engines of one host name in different PID namespaces, as two containers run them: one serves, one waits."""

from __future__ import annotations

import subprocess
import time

import pytest

from brokerage.stack.processes import MANAGE
from tests.accounts.test_holders import NAMESPACE, may_unshare
from tests.faults.feeds import soon
from tests.faults.own_redis import own_redis
from tests.live import environment
from trades.models import EngineLease


def after_processes(count: int) -> list[str]:
    """An engine in a PID namespace of its own, with a number that the other's namespace doesn't happen to have."""
    shell = f'for _ in $(seq {count}); do /bin/true; done; "$@"; exit'
    return [*NAMESPACE, "sh", "-c", shell, "sh", *MANAGE, "run_engine"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(not may_unshare(), reason="namespaces can't be made here")
def test_two_engines_in_two_pid_namespaces_do_not_take_the_partition_from_each_other(settings, tmp_path):
    """Guard: the namespace in the holder's name. Without it each finds no such process in its own /proc, and takes the
    lease from the other again and again."""
    EngineLease.objects.all().delete()
    log = tmp_path / "engines.log"
    with own_redis(settings), log.open("wb") as said:
        engines = [
            subprocess.Popen(after_processes(count), env=environment(), stdout=said, stderr=subprocess.STDOUT)
            for count in (50, 150)
        ]
        try:
            soon(lambda: "held by another engine; waiting" in log.read_text(), 40)
            epoch = EngineLease.objects.get().epoch
            until = time.monotonic() + 4
            while time.monotonic() < until:
                assert EngineLease.objects.get().epoch == epoch == 1
                time.sleep(0.2)
        finally:
            for engine in engines:
                engine.kill()
                engine.wait()
            EngineLease.objects.all().delete()
