"""A tick that does not get to its commit: nothing is lost, the next one does it."""

from __future__ import annotations

import psycopg
import pytest
from django.db import OperationalError, connection

from accounts import streams
from tests.given import a_customer, btc_at
from tests.trades.engine_steps import closing, opens
from trades.engine.process import Engine
from trades.margin.commands import Command, decode_answer, encode, stream_name
from trades.models import Deal

pytestmark = pytest.mark.django_db(transaction=True)

STREAM, REPLIES = stream_name(0), "replies:interrupted"


def test_commands_of_a_tick_that_was_broken_off_are_done_by_the_next() -> None:
    """Guard: entries are acknowledged after the commit (`Engine.turn`).

    Acknowledged when they are read, the close would be gone: never done, never answered.
    """
    streams.client().delete(STREAM, REPLIES)
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = opens(alice)
    close = closing(alice, order.code)
    sent = Command(close.id, close.kind, close.customer_id, close.asker_id, close.terms, 10_000, REPLIES)
    engine = Engine()
    assert engine._start()
    engine.turn()
    streams.client().xadd(STREAM, encode(sent))  # type: ignore[arg-type]

    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '200ms'")
    with psycopg.connect(**connection.get_connection_params() | {"cursor_factory": psycopg.Cursor}) as operator:
        operator.execute("SELECT 1 FROM trades_order WHERE id = %s FOR UPDATE", [order.pk])
        with pytest.raises(OperationalError):
            engine.turn()
        assert streams.client().lrange(REPLIES, 0, -1) == []
        operator.rollback()

    assert engine._start()
    engine.turn()

    (answer,) = streams.client().lrange(REPLIES, 0, -1)
    assert decode_answer(answer).status == 200
    assert Deal.objects.filter(order=order, kind="close").count() == 1
    engine.lease.give_back()
