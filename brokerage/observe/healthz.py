"""Is the whole well: an engine for each partition, a price for each open market, no trade left in storing?

The exporter answers it at its own port, which nobody outside reaches: it tells more than a load balancer should know.
/readyz, which everybody may ask, is of one process.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Final
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import redis
from django.db import Error as DatabaseError
from django.db import connections
from prometheus_client import CollectorRegistry, make_wsgi_app

from accounts import clock, json_codec, streams
from brokerage.observe import health, state
from trades.engine.lease import LEASE_SECONDS
from trades.low_water import STORING
from trades.settlement.waiting import oldest

Look = Callable[[datetime, datetime], tuple[Any, list[str]]]


def whole() -> tuple[int, dict[str, Any]]:
    """200 where nothing is wrong, else 503; and what was seen, with a sentence in `wrong` for each thing that is."""
    facts: dict[str, Any] = {}
    wrong: list[str] = []
    writes = health.writes(streams.prompt_client())
    if writes != "ok":
        wrong.append(f"Redis: {writes}.")
    try:
        real, now = clock.both()
        for name, look in _LOOKS.items():
            facts[name], found = _seen(look, name, real, now)
            wrong += found
    except DatabaseError:
        wrong.append("PostgreSQL can't be reached.")
    finally:
        connections.close_all()
    return (503 if wrong else 200), {"status": "unwell" if wrong else "well", "wrong": wrong, **facts}


def _seen(look: Look, name: str, real: datetime, now: datetime) -> tuple[Any, list[str]]:
    try:
        return look(real, now)
    except (DatabaseError, redis.RedisError):
        return None, [f"Of {name} nothing is known."]


def _partitions(real: datetime, _: datetime) -> tuple[Any, list[str]]:
    ages = state.engine_lease_ages(real)
    wrong = [f"Partition {partition} has no engine." for partition, age in ages.items() if age > LEASE_SECONDS]
    return {str(partition): {"lease_age_seconds": _seconds(age)} for partition, age in ages.items()}, wrong


def _prices(_: datetime, now: datetime) -> tuple[Any, list[str]]:
    found = state.price_states(now)
    wrong = [
        f"{symbol} has no price that may be used." for symbol, it in found.items() if it.is_open and not it.is_usable
    ]
    told = {
        symbol: {"age_seconds": _seconds(price.age), "usable": price.is_usable, "open": price.is_open}
        for symbol, price in found.items()
    }
    return told, wrong


def _storing(_: datetime, now: datetime) -> tuple[Any, list[str]]:
    (storing,) = (one for one in oldest(now) if one.what == STORING)
    seconds = 0.0 if storing.age is None else storing.age.total_seconds()
    return {"oldest_seconds": _seconds(seconds)}, ["A trade has been storing for too long."] if storing.is_late else []


_LOOKS: Final[dict[str, Look]] = {"partitions": _partitions, "prices": _prices, "storing": _storing}


def _seconds(age: float) -> float | None:
    """To a tenth; None: there has never been one."""
    return None if math.isinf(age) else round(age, 1)


def application(registry: CollectorRegistry) -> WSGIApplication:
    """What the exporter answers: /healthz, and /metrics as prometheus-client does."""
    metrics = make_wsgi_app(registry)

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/healthz":
            scraped: Iterable[bytes] = metrics(environ, start_response)
            return scraped
        status, body = whole()
        headers = [("Content-Type", "application/json"), ("Cache-Control", "no-store")]
        start_response("200 OK" if status == 200 else "503 Service Unavailable", headers)
        return [json_codec.dumps(body)]

    return answer
