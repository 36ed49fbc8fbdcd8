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


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(not may_unshare(), reason="namespaces can't be made here")
def test_two_engines_in_two_pid_namespaces_do_not_take_the_partition_from_each_other(settings):
    """Guard: the namespace in the holder's name. Without it each finds no such process in its own /proc, and takes the
    lease from the other again and again."""
    EngineLease.objects.all().delete()
    command = [*NAMESPACE, *MANAGE, "run_engine"]
    with own_redis(settings):
        engines = [subprocess.Popen(command, env=environment(), stderr=subprocess.DEVNULL) for _ in range(2)]
        try:
            soon(lambda: EngineLease.objects.filter(renewed_at__isnull=False).exists(), 30)
            epoch = EngineLease.objects.get().epoch
            until = time.monotonic() + 8
            while time.monotonic() < until:
                assert EngineLease.objects.get().epoch == epoch
                time.sleep(0.2)
        finally:
            for engine in engines:
                engine.kill()
                engine.wait()
            EngineLease.objects.all().delete()
