"""What rules change in memory is written, whatever they change, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction

from accounts.db.pipeline import pipeline
from quotes import prices
from tests.given import a_customer, btc_at
from tests.trades.engine_steps import changing, closing, now, opens
from trades.engine.apply import apply, market_at
from trades.engine.load import load
from trades.engine.store import MUTABLE, store
from trades.margin.rows import COLUMNS
from trades.models import MarginAccount, Order

pytestmark = pytest.mark.django_db


def changes(order: Order, **values: Any) -> None:
    """A rule that sets columns of an order, in a tick of its own."""
    with transaction.atomic(), pipeline() as p:
        session = load(p, [closing(order.customer, order.code)], market_at(prices.latest()))
        for name, value in values.items():
            setattr(session.by_id[order.pk], name, value)
        store(p, session, ())


def an_open_order() -> Order:
    btc_at("42_000.00")
    return opens(a_customer(with_usd="10_000.00"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("fee", 700),
        ("swap", -3),
        ("take_profit", Decimal(50_000)),
        ("realized", Decimal("0.25")),
        ("quantity", Decimal("0.05")),
    ],
)
def test_a_column_that_a_rule_changed_is_stored_whoever_thought_of_it(name: str, value: Any) -> None:
    """Guard: `Session.changed` compares every column. A fee that closing set was answered and stored as 0."""
    order = an_open_order()
    changes(order, **{name: value})
    assert getattr(now(order), name) == value


@pytest.mark.parametrize(("name", "value"), [("leverage", 3), ("side", "sell"), ("client_order_id", "another")])
def test_what_never_changes_about_an_order_refuses_the_tick(name: str, value: Any) -> None:
    order = an_open_order()
    with pytest.raises(ValueError, match=f"'{name}'.* never change"):
        changes(order, **{name: value})
    assert getattr(now(order), name) != value


def test_what_changes_and_what_never_does_are_all_columns() -> None:
    fixed = {"id", "code", "customer_id", "client_order_id", "command_id", "parent_id", "instrument_id"}
    fixed |= {"side", "type", "leverage", "created_at"}
    assert set(COLUMNS) == fixed | set(MUTABLE)
    assert not fixed & set(MUTABLE)


def test_a_change_to_what_is_there_already_writes_no_order() -> None:
    order = an_open_order()
    apply([changing(order.customer, order.code, stopLoss="40000")], prices.latest())
    before = row_version(order)
    apply([changing(order.customer, order.code, stopLoss="40000")], prices.latest())
    assert row_version(order) == before


NOTES = {
    "called_at": datetime(2026, 1, 2, tzinfo=UTC),
    "drawn": 7,
    "owed": 500,
    "owed_at": datetime(2026, 1, 3, tzinfo=UTC),
    "swap_carried": Decimal("0.25"),
    "hedged": 3,
}


def test_what_is_noted_about_a_margin_account_is_stored_each_column_of_it() -> None:
    """Guard: `AccountState.noted`, `CustomerRow.noted` and `note_margin_accounts` name the same columns. One that is
    left out would be decided by in this tick and forgotten by the next."""
    order = an_open_order()
    with transaction.atomic(), pipeline() as p:
        session = load(p, [closing(order.customer, order.code)], market_at(prices.latest()))
        for name, value in NOTES.items():
            setattr(session.accounts[order.customer_id], name, value)
        store(p, session, ())
    with transaction.atomic(), pipeline() as p:
        again = load(p, [closing(order.customer, order.code)], market_at(prices.latest()))

    assert {name: getattr(again.accounts[order.customer_id], name) for name in NOTES} == NOTES
    assert MarginAccount.objects.values(*NOTES).get(customer=order.customer_id) == NOTES
    assert {field.attname for field in MarginAccount._meta.get_fields()} == {*NOTES, "customer_id", "updated_at"}


def row_version(order: Order) -> str:
    """PostgreSQL's own number of the row's version."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT xmin::text || ctid::text FROM trades_order WHERE id = %s", [order.pk])
        version: str = cursor.fetchone()[0]
    return version
