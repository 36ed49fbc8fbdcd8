"""Starts the real servers before Django reads its settings; loaded by `-p` in pyproject.toml.

One PostgreSQL and one Valkey serve the whole session. Every parallel worker has its own database (pytest-django
names it) and its own Redis database (by the worker's number), so tests never see each other's prices or streams.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings

from tests.embedded import Stack, start_for_tests

MOST_WORKERS = 32  # each has a Redis database of its own, of 64

_stack: Stack | None = None


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Iterator[Any]:
    # A wrapper runs before every plain hook, and pytest-django's reads the settings in one.
    global _stack
    if settings.configured:  # of other servers: all workers would share one Redis database
        raise pytest.UsageError("Somebody has read the settings before the tests' servers are known.")
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if not worker:
        _stack = start_for_tests()
    number = int(worker.removeprefix("gw")) + 1 if worker else 0
    parts = urlsplit(os.environ["REDIS_URL"])
    query = f"db={number}" if parts.scheme == "unix" else ""
    path = parts.path if parts.scheme == "unix" else f"/{number}"
    if worker:
        # By hand: urlunsplit drops the slashes of unix:///path on some Pythons.
        os.environ["REDIS_URL"] = f"{parts.scheme}://{parts.netloc}{path}" + (f"?{query}" if query else "")
    os.environ.setdefault("FEED_CANDLE_FILES", f"{tempfile.gettempdir()}/candles-of-tests-{os.getpid()}")
    os.environ.setdefault("SECRET_KEY", "only for tests " * 4)
    os.environ.setdefault("JWT_SIGNING_KEY", "only for tests " * 4)
    yield


@pytest.hookimpl(tryfirst=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: a core is idle two fifths of the time, while tests wait for processes."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores + 1, MOST_WORKERS)


def pytest_collection_finish(session: pytest.Session) -> None:
    """A group of tests shares its processes: a release of pytest under which pytest-xdist groups nothing is refused."""
    if session.config.getoption("loadgroup", False) and "PYTEST_XDIST_WORKER" in os.environ:
        for item in session.items:
            if item.get_closest_marker("xdist_group") and "@" not in item.nodeid:
                raise pytest.UsageError(f"pytest-xdist groups no tests: {item.nodeid}")


def pytest_unconfigure(config: pytest.Config) -> None:
    if _stack is not None:
        _stack.stop()
