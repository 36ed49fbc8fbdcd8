"""A tick goes to the rows it names, whatever the planner believes about the tables (decision 0034)."""

from __future__ import annotations

import re
from itertools import count

import pytest
from django.db import connection
from django.utils import timezone

from tests.given import a_customer, btc_at
from tests.pipelines import in_a_pipeline
from tests.trades.orders.engine_steps import opens
from trades.engine import queries
from trades.engine.store import close_orders
from trades.margin.session import Changed

pytestmark = pytest.mark.django_db


def plan_of(sql: str) -> str:
    """The plan for any parameters, as the engine's connection keeps it."""
    numbers = count(1)
    with connection.cursor() as cursor:
        numbered = re.sub("%s", lambda _: f"${next(numbers)}", sql)
        cursor.execute(f"EXPLAIN (GENERIC_PLAN, COSTS OFF) {numbered}")
        return "\n".join(row[0] for row in cursor.fetchall())


def test_a_close_is_written_by_the_orders_keys() -> None:
    """Guards: `queries.by_index`, without which a small table is read as a whole; `o.status = w.was` in the UPDATE:
    with a plain 'OPEN' it goes through all live orders."""
    btc_at("42_000.00")
    order = opens(a_customer(with_usd="10_000.00"))
    (row,) = in_a_pipeline(queries.lock_orders, [(order.customer_id, order.code)]).result()
    close = close_orders([Changed(row, row.status, {"status"})], timezone.now())
    assert close is not None

    queries.by_index()
    plan = plan_of(close.sql)

    assert "Index Scan using trades_order_pkey" in plan, plan
    assert "order_live" not in plan, plan
