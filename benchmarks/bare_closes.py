"""The same rows by bare SQL: what PostgreSQL itself needs for the engines' closes, with nobody thinking in between.

The statements of real ticks, caught on their way with all their values, in transactions that are given up; then sent by
connections that do nothing else. Left out are the stream, every decision, the answers and the book: no engine can be
faster on this machine, whatever it is written in, as long as it writes these rows by these statements.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
from django.conf import settings
from django.db import transaction

from accounts.db.pipeline import Pipeline
from accounts.ids import partition_of, uuid7
from accounts.models import Customer
from brokerage.stack.where import embedded_urls
from quotes import prices
from trades.engine import queries
from trades.engine.apply import apply
from trades.margin.commands import Command
from trades.margin.kinds import CLOSE

Statement = tuple[str, list[Any]]
Tick = list[Statement]
Orders = Sequence[tuple[Customer, str]]


def closed_per_s(orders: Orders, connections: int) -> float:
    """Close these orders by bare SQL on so many connections at once; closes per second."""
    ticks = [_ticks([one for one in orders if partition_of(one[0].pk) % connections == n]) for n in range(connections)]
    with ThreadPoolExecutor(connections) as pool:
        began = time.perf_counter()
        list(pool.map(_send, ticks))
        return len(orders) / (time.perf_counter() - began)


def _ticks(orders: Orders) -> list[Tick]:
    size = settings.ENGINE_TICK_COMMANDS
    return [_tick(orders[first : first + size]) for first in range(0, len(orders), size)]


def _tick(orders: Orders) -> Tick:
    commands = [Command(uuid7(), CLOSE, who.pk, who.user_id, {"orderId": code}) for who, code in orders]
    with _caught() as statements, transaction.atomic():
        apply(commands, prices.latest())
        transaction.set_rollback(True)
    return statements


@contextmanager
def _caught() -> Iterator[Tick]:
    """What is asked of PostgreSQL meanwhile."""
    caught: Tick = []
    send = Pipeline.send

    def note(self: Pipeline, sql: str, parameters: Sequence[Any] = (), into: Any = list) -> Any:
        caught.append((sql, list(parameters)))
        return send(self, sql, parameters, into)

    Pipeline.send = note  # type: ignore[method-assign]
    try:
        yield caught
    finally:
        Pipeline.send = send  # type: ignore[method-assign]


def _send(ticks: Sequence[Tick]) -> None:
    """The ticks one after the other, a transaction each: the questions together, then what is written, then COMMIT."""
    with psycopg.connect(embedded_urls()["DATABASE_URL"], autocommit=True, prepare_threshold=2) as connection:
        connection.execute(queries.BY_INDEX)
        cursor = connection.cursor(binary=True)
        for *questions, written in ticks:
            with connection.transaction():
                with connection.pipeline():
                    for sql, parameters in questions:
                        cursor.execute(sql.encode(), parameters)
                cursor.execute(written[0].encode(), written[1])
