"""Orders, spot trades and withdrawals race for the same cash, while prices move between the rounds.

Whatever goes through, nobody has spent what their positions need: at the prices of the round, equity without profits
covers the margin. So no debit brings about a stop-out by itself.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

import pytest

from accounts import clock
from accounts.errors import Refusal
from accounts.models import Customer, Transfer
from quotes import prices
from tests.given import a_customer, a_quote, balance, btc_at, executes, price_at, stores, what_the_audit_finds
from tests.races.together import together
from tests.sizes import size
from tests.trades.engine_steps import judges, opening, tick
from trades.funding import withdraw
from trades.models import Order
from trades.spendable import NOTHING, held_by_positions

pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True)]


def opens(customer: Customer, quantity: str) -> None:
    tick(opening(customer, quantity=quantity, leverage=50))


def pays_out(customer: Customer, amount: int, key: str) -> None:
    with suppress(Refusal):
        withdraw(customer, "USD", amount, key, clock.now(), "test")


def buys(customer: Customer, amount: int) -> None:
    with suppress(Refusal):
        stores(executes(a_quote(customer, deliver=amount, symbol="ETH-USD")))


def lacks(customer: Customer) -> int:
    """By how much the available cash falls short of what open positions need."""
    kept = held_by_positions([customer.pk], prices.latest().by_symbol).get(customer.pk, NOTHING)
    return max(0, kept.amount - balance(customer))


def one_by_one(calls: Sequence[Callable[[], object]]) -> None:
    for call in calls:
        call()


@pytest.mark.parametrize("seed", range(size(2, 30)))
def test_nobody_spends_what_open_positions_need(seed: int) -> None:
    """Guards: the lock of the available account before `held_by_positions` (`ledger.lock`, `_lock_places`), and the
    losses in it."""
    chance = random.Random(seed)
    people = [a_customer(f"trader-{n}", with_usd="10_000.00") for n in range(3)]
    price = 40_000
    for number in range(6):
        btc_at(f"{price}.00")
        price_at("ETH-USD", "2_000.00")
        judges(*people)
        before = {customer.pk: lacks(customer) for customer in people}  # what the price alone has done
        wanted: list[Callable[[], object]] = []
        orders: list[Callable[[], object]] = []  # decided by one engine, one after the other
        for customer in people:
            free = balance(customer)
            for turn in range(3):
                orders.append(partial(opens, customer, f"{chance.randint(1, 40) / 10}"))
                wanted += [
                    partial(pays_out, customer, chance.randint(1, max(1, free // 2)), f"{number}-{turn}"),
                    partial(buys, customer, chance.randint(100, max(101, free // 2))),
                ]
        chance.shuffle(wanted)
        results = together([partial(one_by_one, orders), *wanted])
        assert [one for one in results if isinstance(one, Exception)] == []

        for customer in people:
            assert lacks(customer) <= before[customer.pk], (number, customer)
        assert not Transfer.objects.filter(kind__contains="protection").exists()
        price = int(price * chance.uniform(0.996, 1.004))
    assert Order.objects.filter(status="OPEN").exists()
    assert what_the_audit_finds() == []
