"""How many tasks the worker's processes did, how fast, and what these processes take, told by the one they belong to.

Celery forks them; each would need a port, or files that all share. But how a task ended comes to the parent anyway,
with the seconds that it took.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from billiard.einfo import ExceptionWithTraceback
from celery.app.task import Task
from celery.exceptions import Retry
from celery.worker.request import Request
from prometheus_client import Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

SECONDS: Final = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0)
PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")

_TOOK: Final = Histogram("brokerage_task_seconds", "How long a task took that was done.", ["task"], buckets=SECONDS)
_NOT_DONE: Final = Counter("brokerage_tasks_not_done", "Tasks that failed, or are to be tried again.", ["task", "why"])


class CountedRequest(Request):  # type: ignore[misc]  # it carries no types
    """A task on its way, as the parent sees it. For each task Celery makes a class of it, with its own `on_success`."""

    def __init_subclass__(cls) -> None:
        theirs = cls.on_success

        def on_success(self: CountedRequest, ended: tuple[bool, Any, float], **given: Any) -> Any:
            failed, _, seconds = ended
            if not failed:
                _TOOK.labels(self.name).observe(seconds)
            return theirs(self, ended, **given)

        cls.on_success = on_success

    def on_failure(self, exc_info: Any, *args: Any, **given: Any) -> Any:
        _NOT_DONE.labels(self.name, why_not_done(exc_info.exception)).inc()
        return super().on_failure(exc_info, *args, **given)


def why_not_done(reason: BaseException) -> str:
    """`again` or `failed`. Of a Retry, too, `exc` is what went wrong."""
    if isinstance(reason, ExceptionWithTraceback):
        reason = reason.exc
    return "again" if isinstance(reason, Retry) else "failed"


class CountedTask(Task):  # type: ignore[misc]
    Request = "brokerage.worked:CountedRequest"


class Children(Collector):
    """The processes that this one has forked."""

    def describe(self) -> Iterator[Metric]:
        return iter(())

    def collect(self) -> Iterator[Metric]:
        sizes = [size for pid in _children() if (size := _resident_bytes(pid))]
        yield GaugeMetricFamily("brokerage_worker_processes", "Processes that do tasks.", value=len(sizes))
        yield GaugeMetricFamily("brokerage_worker_memory_bytes", "What they hold in memory together.", value=sum(sizes))


def _children() -> list[str]:
    found: list[str] = []
    for thread in Path("/proc/self/task").iterdir():
        found += (thread / "children").read_text().split()
    return found


def _resident_bytes(pid: str) -> int:
    """0 where it has ended meanwhile."""
    try:
        return int(Path("/proc", pid, "statm").read_text().split()[1]) * PAGE_BYTES
    except (OSError, IndexError):
        return 0
