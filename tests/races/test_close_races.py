"""Races of closing. Each says which guard it proves; each was seen to fail with that guard taken out."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction
from django.utils import timezone

from accounts import audit
from accounts.models import Transfer
from quotes import prices
from tests.given import a_customer, balance, btc_at, token_of, usd
from tests.live import Live
from tests.trades.orders.engine_room import closing, opening, opens, tick
from trades.models import Deal, Order
from trades.orders.apply import apply
from trades.orders.commands import Command

pytestmark = pytest.mark.django_db(transaction=True)

NOT_FOUND = b'{"error":"Order not found or already closed","message":"Order not found or already closed"}'


def test_two_engines_that_close_one_order_at_once_close_it_once() -> None:
    """Guard: `FOR NO KEY UPDATE` in rows.lock_orders.

    Without it both engines read OPEN, and the later one breaks its whole tick at the guarded update.
    """
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00", "42_010.00")
    orders = [opens(alice, quantity="0.01") for _ in range(10)]
    start = threading.Barrier(2)

    def engine(commands: list[Command]) -> list[int]:
        try:
            start.wait()
            statuses = []
            for command in commands:
                with transaction.atomic():
                    statuses += [answer.status for answer in apply([command], prices.latest()).answers]
            return statuses
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(engine, [closing(alice, order.code) for order in orders]) for _ in range(2)]
        statuses = Counter(status for one in both for status in one.result())

    assert statuses == {200: 10, 400: 10}
    assert Deal.objects.filter(kind="close").count() == 10
    assert balance(alice) == usd("9_999.00")
    assert audit.run(timezone.now()).ok


@pytest.mark.xdist_group("live")
def test_many_closes_of_each_order_over_http_are_one_close_each(live: Live) -> None:
    """quality.md, race 1 at a small size: 400 concurrent closes of 40 orders.

    Guard: the tick sees what it decided before (`order.status` in `_Tick._close`). Without it one tick closes an
    order several times and breaks at its unique closing deal.
    """
    alice = a_customer(with_usd="100_000.00")
    btc_at("42_000.00")
    told = tick(*(opening(alice, quantity="0.01") for _ in range(40)))
    codes = [one.body["orderId"] for one in told] * 10
    btc_at("42_100.00")

    with live.client(token_of(alice)) as client, ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda code: client.post("/api/v1/trade/close", json={"orderId": code}), codes))

    assert Counter(answer.status_code for answer in answers) == {200: 40, 400: 360}
    assert {answer.content for answer in answers if answer.status_code == 400} == {NOT_FOUND}
    assert Deal.objects.filter(kind="close").count() == 40
    assert balance(alice) == usd("100_040.00")
    assert audit.run(timezone.now()).ok


@pytest.mark.xdist_group("live")
def test_one_key_per_order_closes_once_and_every_answer_is_the_same(live: Live) -> None:
    """quality.md, races 2 and 3 at a small size. Guard: the stored answer (rows.stored_answers).

    Without it a retry is told "not found or already closed" about its own close.
    """
    alice = a_customer(with_usd="100_000.00")
    btc_at("42_000.00")
    codes = [one.body["orderId"] for one in tick(*(opening(alice, quantity="0.01") for _ in range(10)))]

    def close(code: str) -> tuple[str, int, bytes]:
        answer = client.post("/api/v1/trade/close", json={"orderId": code}, headers={"Idempotency-Key": code})
        return code, answer.status_code, answer.content

    with live.client(token_of(alice)) as client, ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(close, codes * 10))
        other = client.post("/api/v1/trade/close", json={"orderId": codes[1]}, headers={"Idempotency-Key": codes[0]})

    assert {status for _, status, _ in answers} <= {200, 409}
    bodies = {(code, body) for code, status, body in answers if status == 200}
    assert len(bodies) == len(codes)
    assert other.status_code == 422
    assert Deal.objects.filter(kind="close").count() == 10


def test_opening_never_reserves_more_than_there_is() -> None:
    """Guard: `FOR NO KEY UPDATE` in accounts.ledger. Without it both engines spend the same cash."""
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00")
    start = threading.Barrier(4)

    def engine() -> int:
        try:
            start.wait()
            with transaction.atomic():
                (answer,) = apply([opening(alice, quantity="0.2", leverage=10)], prices.latest()).answers
            return answer.status
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        statuses = Counter(one.result() for one in [pool.submit(engine) for _ in range(4)])

    assert statuses == {200: 1, 400: 3}
    assert Order.objects.filter(customer=alice).count() == 1
    assert Transfer.objects.filter(customer=alice, kind="order_margin").count() == 1
