"""Races of closing. Each says which guard it proves; each was seen to fail with that guard taken out."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest
from django.db import connection, transaction
from django.utils import timezone

from accounts import audit
from accounts.models import Customer, Transfer
from quotes import prices
from tests.faults.trading_customers import nothing_waits
from tests.given import a_customer, balance, btc_at, token_of, usd, what_the_audit_finds
from tests.live import Live
from tests.sizes import size
from tests.trades.engine_steps import closing, opening, opens, tick
from trades.engine.apply import apply
from trades.margin.commands import Command
from trades.models import Deal, Order

pytestmark = pytest.mark.django_db(transaction=True)

NOT_FOUND = b'{"error":"Order not found or already closed","message":"Order not found or already closed"}'


def test_two_engines_that_close_one_order_at_once_close_it_once() -> None:
    """Guard: `FOR NO KEY UPDATE` in queries.lock_orders.

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


@contextmanager
def fresh(bid: str) -> Iterator[None]:
    """Keep the price where it is, and fresh, for as long as it takes."""
    done = threading.Event()

    def keep() -> None:
        try:
            while not done.wait(1):
                btc_at(bid)
        finally:
            connection.close()

    btc_at(bid)
    keeper = threading.Thread(target=keep)
    keeper.start()
    yield
    done.set()
    keeper.join(10)


def opened(by: Customer, count: int) -> list[str]:
    """So many orders of a hundredth, in ticks of the engine's own size."""
    codes: list[str] = []
    while len(codes) < count:
        some = (opening(by, quantity="0.01", leverage=100) for _ in range(min(200, count - len(codes))))
        codes += [one.body["orderId"] for one in tick(*some)]
    return codes


@pytest.mark.faults
@pytest.mark.timeout(1800)
@pytest.mark.xdist_group("live")
@pytest.mark.parametrize("orders", [size(40, 1_000)])
def test_many_closes_of_each_order_over_http_are_one_close_each(live: Live, orders: int) -> None:
    """Ten concurrent closes of each of 1,000 orders (40 in the suite), shuffled.

    Guard: the tick sees what it decided before (`order.status` in `closing.close`). Without it one tick closes an
    order several times and breaks at its unique closing deal.
    """
    alice = a_customer(with_usd="1_000_000.00")
    with fresh("42_000.00"):
        codes = opened(alice, orders)
    everybodys = codes * 10
    random.Random(1).shuffle(everybodys)

    with fresh("42_100.00"), live.client(token_of(alice)) as client, ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda code: client.post("/api/v1/trade/close", json={"orderId": code}), everybodys))

    assert Counter(answer.status_code for answer in answers) == {200: orders, 400: 9 * orders}
    assert {answer.content for answer in answers if answer.status_code == 400} == {NOT_FOUND}
    assert sorted(answer.json()["order"]["orderId"] for answer in answers if answer.is_success) == sorted(codes)
    assert Deal.objects.filter(kind="close").count() == orders
    assert balance(alice) == usd("1_000_000.00") + orders * usd("1.00")
    nothing_waits()
    assert what_the_audit_finds() == []


@pytest.mark.faults
@pytest.mark.timeout(1800)
@pytest.mark.xdist_group("live")
@pytest.mark.parametrize("orders", [size(10, 1_000)])
def test_one_key_per_order_closes_once_and_every_answer_is_the_same(live: Live, orders: int) -> None:
    """Guard: the stored answer (`queries.stored_answers`).

    Without it a retry is told "not found or already closed" about its own close.
    """
    alice = a_customer(with_usd="1_000_000.00")

    def close(code: str) -> httpx.Response:
        return client.post("/api/v1/trade/close", json={"orderId": code}, headers={"Idempotency-Key": code})

    with fresh("42_000.00"), live.client(token_of(alice)) as client, ThreadPoolExecutor(32) as pool:
        codes = opened(alice, orders)
        answers = list(zip(codes * 10, pool.map(close, codes * 10), strict=True))

    assert {answer.status_code for _, answer in answers} <= {200, 409}
    for code in codes:
        closed = [answer for named, answer in answers if (named, answer.status_code) == (code, 200)]
        assert len({answer.content for answer in closed}) == 1
        assert [answer.headers.get("Idempotent-Replayed") for answer in closed].count(None) == 1
    assert Deal.objects.filter(kind="close").count() == orders
    nothing_waits()
    assert what_the_audit_finds() == []


@pytest.mark.xdist_group("live")
def test_a_key_that_comes_with_another_body_is_refused_and_executes_nothing(live: Live) -> None:
    """While the first is in flight and after it. Guard: the hash beside the stored answer
    (`apply._replay`). Without it the second order's client is told of the first one's close."""
    alice = a_customer(with_usd="100_000.00")

    def close(code: str) -> httpx.Response:
        return client.post("/api/v1/trade/close", json={"orderId": code}, headers={"Idempotency-Key": "one key"})

    with fresh("42_000.00"), live.client(token_of(alice)) as client, ThreadPoolExecutor(16) as pool:
        codes = opened(alice, 16)
        raced = list(pool.map(close, codes))
        (first,) = [answer for answer in raced if answer.status_code == 200]
        after = [close(code) for code in codes]

    done = first.json()["order"]["orderId"]
    assert {answer.status_code for answer in raced} <= {200, 409, 422}
    assert [answer.status_code for answer in after] == [200 if code == done else 422 for code in codes]
    assert list(Deal.objects.filter(kind="close").values_list("order__code", flat=True)) == [done]
    nothing_waits()
    assert what_the_audit_finds() == []


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
