"""Is the process alive, and is it ready for work? For load balancers and for `manage.py up`."""

from __future__ import annotations

import threading

import redis
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse

from accounts import exact, streams

_migrated = threading.Event()  # once true it stays true: new code means a new process


def livez(request: HttpRequest) -> HttpResponse:
    """200 as long as the process answers at all."""
    return _json({"status": "alive"}, 200)


def readyz(request: HttpRequest) -> HttpResponse:
    """200 when PostgreSQL answers, every migration is applied and Redis answers; else 503 naming what is missing."""
    parts = {"postgresql": _database(), "migrations": "unknown", "redis": _redis()}
    if parts["postgresql"] == "ok":
        parts["migrations"] = _migrations()
    ready = all(state == "ok" for state in parts.values())
    return _json({"status": "ready" if ready else "unavailable", **parts}, 200 if ready else 503)


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return "unreachable"
    return "ok"


def _migrations() -> str:
    if not _migrated.is_set():
        try:
            executor = MigrationExecutor(connection)
            if executor.migration_plan(executor.loader.graph.leaf_nodes()):
                return "missing"
        except DatabaseError:
            return "unknown"
        _migrated.set()
    return "ok"


def _redis() -> str:
    try:
        streams.client().ping()
    except redis.RedisError:
        return "unreachable"
    return "ok"


def _json(body: dict[str, str], status: int) -> HttpResponse:
    return HttpResponse(
        exact.dumps(body), status=status, content_type="application/json", headers={"Cache-Control": "no-store"}
    )
