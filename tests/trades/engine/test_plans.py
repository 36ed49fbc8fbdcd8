"""A tick goes to the rows it names, whatever the planner believes about the tables (decision 0034)."""

from __future__ import annotations

import re
from itertools import count

import pytest
from django.db import connection
from django.utils import timezone

from tests.given import a_customer, btc_at
from tests.pipelines import in_a_pipeline
from tests.trades.engine_steps import opens
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


def test_the_words_that_a_column_may_hold_are_one_value_in_what_a_close_writes() -> None:
    """Guard: migration 0070 of trades. Whoever changes such a list writes it like that: Django's own migration would
    write a node for each word, which PostgreSQL reads anew in every tick."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'c' AND conrelid = ANY(ARRAY["
            " 'accounts_ledgeraccount', 'accounts_transfer', 'trades_order', 'trades_deal', 'trades_orderevent'"
            "]::regclass[])"
        )
        checks = dict(cursor.fetchall())

    assert "'{buy,sell}'::text[]" in checks["order_side_known"]
    assert '\'{"",manual,' in checks["deal_reason_known"]
    assert [name for name, check in checks.items() if "ARRAY[" in check] == []
