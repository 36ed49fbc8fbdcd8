"""Is the process alive, and is it ready for work? For load balancers and for `manage.py up`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from redis.backoff import NoBackoff
from redis.retry import Retry

from accounts import clock, host_clock, json_codec, streams

PROBE = "probe:readyz"  # what is written to see whether it can be
PROBE_SECONDS = 60

_READING = ("GET", "HEAD")

_migrated = threading.Event()  # once true it stays true: new code means a new process


class HealthMiddleware:
    """Answers /livez and /readyz whatever the Host: who asks knows a pod's address, not the firm's name."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        probe = PROBES.get(request.path_info)
        if probe is None:
            return self.get_response(request)
        return probe(request) if request.method in _READING else _not_allowed()


def livez(request: HttpRequest) -> HttpResponse:
    """200 as long as the process answers at all."""
    return _json({"status": "alive"}, 200)


def readyz(request: HttpRequest) -> HttpResponse:
    """200 when requests can be served; else 503, and the parts name what is missing.

    PostgreSQL answers, takes writes and isn't too old, its role has what `migrate` grants, and every migration is
    applied; the Redis that carries commands takes writes, for one that only answers takes no order; this host's clock
    is near PostgreSQL's. The Redis servers of the cache and of the workers, where they are others, are named as well
    and don't count: requests are served without them.
    """
    parts = {"postgresql": _database(), "role": "unknown", "migrations": "unknown", "clock": "unknown"}
    if parts["postgresql"] == "ok":
        parts["role"] = _role()
        parts["migrations"] = _migrations()
        parts["clock"] = _clock()
    parts["redis"] = writes(streams.prompt_client())
    ready = all(state == "ok" for state in parts.values())
    return _json({"status": "ready" if ready else "unavailable", **parts, **_others()}, 200 if ready else 503)


PROBES = {"/livez": livez, "/readyz": readyz}


def _not_allowed() -> HttpResponse:
    answer = _json({"status": "method not allowed"}, 405)
    answer["Allow"] = ", ".join(_READING)
    return answer


OLDEST_POSTGRESQL = 15

_SERVER = """
SELECT current_setting('server_version_num')::int / 10000,
       pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean
"""
# Of each way of writing one table: what was never granted, or was taken by hand, is missing in all of them.
_GRANTED = """
SELECT coalesce(bool_and(has_table_privilege(to_regclass(name), privilege)), true)
FROM (VALUES ('accounts_transfer', 'INSERT'), ('accounts_ledgeraccount', 'SELECT'), ('quotes_instrument', 'SELECT'),
             ('trades_order', 'INSERT'), ('trades_trade', 'INSERT')) needed(name, privilege)
WHERE to_regclass(name) IS NOT NULL
"""


def _database() -> str:
    try:
        clock.now()
        with connection.cursor() as cursor:
            cursor.execute(_SERVER)
            version, is_read_only = cursor.fetchone()
    except DatabaseError:
        return "unreachable"
    if version < OLDEST_POSTGRESQL:
        return f"{version} is too old"
    return "takes no writes" if is_read_only else "ok"


def _role() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute(_GRANTED)
            (has_what_it_needs,) = cursor.fetchone()
    except DatabaseError:
        return "unknown"
    return "ok" if has_what_it_needs else "misses grants"


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


def _clock() -> str:
    off = host_clock.off_seconds()
    return host_clock.in_words(off) if off else "ok"


def writes(client: redis.Redis) -> str:
    """Whether a Redis takes what we write: a key with an expiry, and an entry of a stream."""
    stream = f"{PROBE}:stream"
    pipe = client.pipeline(transaction=False)
    pipe.set(PROBE, "1", px=PROBE_SECONDS * 1000)
    pipe.unlink(stream)  # whatever somebody has put there
    pipe.xadd(stream, {"is": "probe"}, maxlen=1)
    pipe.expire(stream, PROBE_SECONDS)
    try:
        answers = pipe.execute(raise_on_error=False)
    except redis.RedisError as failure:
        answers = [failure]
    failures = [answer for answer in answers if isinstance(answer, Exception)]
    return _in_words(failures[0]) if failures else "ok"


def _in_words(failure: Exception) -> str:
    """Such as "refuses (NOREPLICAS)": Redis' word for it, and nothing of what it says beside that."""
    if isinstance(failure, redis.TimeoutError):
        return "unreachable"
    word = getattr(failure, "status_code", None) or str(failure).partition(" ")[0]
    return f"refuses ({word})" if word.isalpha() and word.isupper() else "unreachable"


def _others() -> dict[str, str]:
    urls = {"cache": settings.CACHE_URL, "broker": settings.BROKER_URL}
    return {name: writes(_client(url)) for name, url in urls.items() if url != settings.STREAM_URL and _is_redis(url)}


def _is_redis(url: str) -> bool:
    return url.startswith(("redis://", "rediss://", "unix://"))


@cache
def _client(url: str) -> redis.Redis:
    seconds = streams.PROMPT_SECONDS
    once_more = Retry(NoBackoff(), 1, (redis.ConnectionError,))
    return redis.Redis.from_url(url, socket_timeout=seconds, socket_connect_timeout=seconds, retry=once_more)


def _json(body: dict[str, str], status: int) -> HttpResponse:
    return HttpResponse(
        json_codec.dumps(body), status=status, content_type="application/json", headers={"Cache-Control": "no-store"}
    )
