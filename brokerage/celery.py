"""Celery's application. Tasks live with their app in `tasks.py`; the schedule lives in the database."""

import gc
import os
from typing import Any

from celery import Celery, bootsteps
from celery.signals import beat_init, worker_init, worker_ready
from kombu.transport import TRANSPORT_ALIASES

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "brokerage.settings")

# A Redis URL means our own transport, imported where it is used; others, as RabbitMQ's, keep theirs.
TRANSPORT_ALIASES |= dict.fromkeys(("redis", "rediss"), "brokerage.transport:Transport")

app = Celery("brokerage", task_cls="brokerage.worked:CountedTask")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_init.connect  # type: ignore[untyped-decorator]
def _keep_what_is_there(**_: object) -> None:
    """What is loaded before the worker forks its processes stays for good: no collection looks through it."""
    gc.collect()
    gc.freeze()


@worker_ready.connect  # type: ignore[untyped-decorator]
def _tell_metrics_of_the_worker(**_: object) -> None:
    """Of the process that shares the work out: its children have no port (`worked.py`)."""
    from prometheus_client import REGISTRY

    from accounts import metrics
    from brokerage.worked import Children

    REGISTRY.register(Children())
    metrics.serve("worker")


class Alive(bootsteps.StartStopStep):  # type: ignore[misc]
    """The worker's own loop says each second that it comes round. Without a broker it doesn't: then it begins anew."""

    requires = {"celery.worker.components:Timer"}

    def start(self, worker: Any) -> None:
        from accounts.heartbeat import Heartbeat

        heart = Heartbeat("the worker")
        worker.timer.call_repeatedly(1.0, heart.beat)
        heart.watch()


app.steps["worker"].add(Alive)


@beat_init.connect  # type: ignore[untyped-decorator]
def _tell_metrics_of_beat(**_: object) -> None:
    from accounts import metrics
    from brokerage.beat import Scheduler

    metrics.serve("beat")
    Scheduler.heart.watch()
