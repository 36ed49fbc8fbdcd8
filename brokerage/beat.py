"""Beat's schedule: the one in the database, with a last run that lies in the future read as due now.

When a task was last sent is noted by the clock of the host on which beat runs. Where that clock was ahead, or was set
back since, nothing would be sent until it gets there again; each task may be sent once too often instead.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any

from celery.schedules import schedstate
from celery.utils.time import maybe_make_aware
from django_celery_beat.schedulers import DatabaseScheduler, ModelEntry

from accounts.heartbeat import Heartbeat

SLACK = timedelta(seconds=1)


class ScheduleEntry(ModelEntry):  # type: ignore[misc]
    """A row of the schedule."""

    last_run_at: datetime

    def is_due(self) -> schedstate:
        """Due now where it has run later than now."""
        last = maybe_make_aware(self.last_run_at)
        if last - self._default_now() > SLACK:
            self.last_run_at = last - timedelta(days=366)
        return super().is_due()

    def save(self) -> None:
        """Note the last run and nothing else: whoever edits the row meanwhile loses nothing."""
        noted = {"last_run_at": self.model.last_run_at, "total_run_count": self.model.total_run_count}
        if not type(self.model)._default_manager.filter(pk=self.model.pk).update(**noted):
            raise type(self.model).DoesNotExist


class Scheduler(DatabaseScheduler):  # type: ignore[misc]
    """`CELERY_BEAT_SCHEDULER`, and what `beat --scheduler` names."""

    Entry = ScheduleEntry
    heart = Heartbeat("beat")
    sync_every = 5  # seconds: the dashboard says by it whether beat runs
    _latest = 0.0  # epoch seconds

    def tick(self, *args: Any, **options: Any) -> float:
        """Send what is due; gives the seconds until the next look.

        What was planned before the clock was set back is planned anew.
        """
        self.heart.beat()
        now = time.time()
        if now < self._latest - SLACK.total_seconds():
            self._heap = None
        self._latest = now
        wait: float = super().tick(*args, **options)
        return wait
