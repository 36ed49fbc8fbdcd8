"""The database's triggers and `trades/states.py` say the same about every move, legal or not."""

from __future__ import annotations

import importlib
from itertools import product

import pytest
from django.db import IntegrityError, connection, transaction

from tests.given import a_customer, btc_at
from tests.trades.orders.engine_steps import closing, opens, tick
from trades.models import Order
from trades.states import BATCH_MOVES, CORRECTION_MOVES, LEG_MOVES, ORDER_MOVES, TRADE_MOVES, Moves

pytestmark = pytest.mark.django_db

guards = importlib.import_module("trades.migrations.0002_guards")
settlement_guards = importlib.import_module("trades.migrations.0005_settlement_guards")


@pytest.mark.parametrize(
    ("column", "condition", "moves"),
    [
        ("status", guards.ORDER, ORDER_MOVES),
        ("state", guards.TRADE, TRADE_MOVES),
        ("state", guards.BATCH, BATCH_MOVES),
        ("status", settlement_guards.LEG, LEG_MOVES),
        ("state", settlement_guards.CORRECTION, CORRECTION_MOVES),
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
