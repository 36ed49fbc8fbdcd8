"""A worker's one port tells what all of its processes did."""

from __future__ import annotations

import pickle
from typing import Any

import httpx
import pytest
from billiard.einfo import ExceptionInfo
from celery.exceptions import Retry
from django.db import OperationalError

from accounts import metrics, streams
from accounts.tasks import note_horizon
from brokerage.worked import why_not_done
from tests.live import Live
from tests.stack.running import eventually, free_metrics_port
from trades.tasks import sweep

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("live")]


@pytest.mark.parametrize(
    ("ended", "why"),
    [
        (Retry("later", OperationalError("gone")), "again"),  # as `conflicts.AGAIN` has it
        (Retry("later"), "again"),
        (OperationalError("gone"), "failed"),
    ],
)
def test_a_task_that_is_tried_again_has_not_failed(ended: Exception, why: str) -> None:
    """Guard: of Celery's own wrapping alone `exc` is looked at. Both here and as it comes out of a child's pipe."""
    told = None
    try:
        raise ended
    except (Retry, OperationalError):
        told = ExceptionInfo()

    assert why_not_done(told.exception) == why
    assert why_not_done(pickle.loads(pickle.dumps(told)).exception) == why


def test_tasks_are_counted_by_whoever_did_them(django_db_blocker: Any) -> None:
    """Guards: `CountedTask` in brokerage/celery.py, and `__init_subclass__`, past which Celery's own classes go."""
    streams.client().flushdb()
    port = free_metrics_port()
    live = Live(("worker",), {"METRICS_PORT": str(port), "WORKER_CONCURRENCY": "2"})
    live.start()
    try:
        address = f"http://127.0.0.1:{port + metrics.PLACES['worker']}/metrics"

        def told(sample: str) -> float:
            try:
                lines = httpx.get(address, timeout=10).text.splitlines()
            except httpx.TransportError:
                return 0.0
            return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(sample))

        for task in (note_horizon, note_horizon, sweep):
            task.delay()
        assert eventually(lambda: told(f'brokerage_task_seconds_count{{task="{note_horizon.name}"}}') == 2, 120)
        assert eventually(lambda: told(f'brokerage_task_seconds_count{{task="{sweep.name}"}}') == 1, 120)
        assert eventually(lambda: told("brokerage_worker_processes") == 2, 120)
        assert eventually(lambda: told("brokerage_worker_memory_bytes") > 2 * 10_000_000, 120)
        assert told("brokerage_tasks_not_done_total") == 0
    finally:
        live.stop()
