"""The database's triggers and `trades/states.py` say the same about every move, legal or not."""

from __future__ import annotations

import importlib
from itertools import product

import pytest
from django.db import IntegrityError, connection, transaction

from tests.given import a_customer, btc_at
from tests.trades.engine_steps import closing, opens, tick
from trades.models import Order
from trades.states import (
    BATCH_MOVES,
    BOOK_MOVES,
    CORRECTION_MOVES,
    LEG_MOVES,
    ORDER_MOVES,
    PAYMENT_MOVES,
    TRADE_MOVES,
    Moves,
)

pytestmark = pytest.mark.django_db

guards = importlib.import_module("trades.migrations.0002_guards")
parts_of_legs = importlib.import_module("trades.migrations.0078_parts_of_legs")
settlement_guards = importlib.import_module("trades.migrations.0005_settlement_guards")
payment_guards = importlib.import_module("trades.migrations.0094_payments")
book_guards = importlib.import_module("trades.migrations.0096_book_transfers")
reversal_guards = importlib.import_module("trades.migrations.0087_batches_are_reversed_in_slices")


@pytest.mark.parametrize(
    ("column", "condition", "moves"),
    [
        ("status", guards.ORDER, ORDER_MOVES),
        ("state", guards.TRADE, TRADE_MOVES),
        ("state", guards.BATCH, BATCH_MOVES),
        ("status", parts_of_legs.LEG, LEG_MOVES),
        ("state", payment_guards.PAYMENT, PAYMENT_MOVES),
        ("state", book_guards.BOOK, BOOK_MOVES),
        ("state", reversal_guards.CORRECTION, CORRECTION_MOVES),
    ],
)
def test_the_triggers_allow_exactly_the_legal_moves(column: str, condition: str, moves: Moves) -> None:
    question = f"SELECT ({condition}) FROM (SELECT %s AS {column}) AS OLD, (SELECT %s AS {column}) AS NEW"
    with connection.cursor() as cursor:
        for old, new in product(moves, moves):
            if old != new:
                cursor.execute(question, [str(old), str(new)])
                assert cursor.fetchone() == (new in moves[old],), (old, new)


def test_nobody_reopens_a_closed_order() -> None:
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00")
    order = opens(alice, quantity="0.01")
    tick(closing(alice, order.code))

    with pytest.raises(IntegrityError), transaction.atomic():
        Order.objects.filter(pk=order.pk).update(status="OPEN", closed_at=None)
    with pytest.raises(IntegrityError), transaction.atomic():
        Order.objects.filter(pk=order.pk).update(profit=1)
