"""Every message three times and shuffled leaves the same state as once and in order.

A command counts at its first delivery: Alice's commands come once, Bob's the same ones three times, the repeats at
random later moments, among other commands and at other prices. What is compared is everything that is theirs.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from django.db.models import Sum

from accounts.models import Customer, Transfer
from tests.faults.engine_alone import an_engine, is_empty, send, turns
from tests.given import a_customer, balance, btc_at, what_the_audit_finds
from tests.sizes import size
from tests.trades.engine_steps import (
    applied,
    cancelling,
    changing,
    closing,
    closing_all,
    judging,
    opening,
    opens,
    placing,
)
from trades.margin.commands import Answer, Command
from trades.models import Deal, Order, OrderEvent

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]

Step = Callable[[Customer, dict[str, str]], Command]  # from a customer and their orderIds by clientOrderId


def a_day(chance: random.Random) -> list[Step]:
    """Creates, some beyond the margin there is, then a shuffle of everything that can be asked about them."""
    names = [f"o{n}" for n in range(14)]
    waits = [f"w{n}" for n in range(4)]
    steps: list[Step] = [_opens(name) for name in names] + [_places(name) for name in waits]
    later: list[Step] = []
    for name in names:
        kinds = chance.sample([_closes, _closes_a_part, _changes(chance), _changes(chance)], 3)
        later += [kind(name) for kind in kinds]
    for name in waits:
        later += [_changes(chance)(name), _cancels(name)]
    chance.shuffle(later)
    middle = len(later) * 2 // 3
    return [*steps, *later[:middle], _closes_all, _opens("late"), *later[middle:]]


def _opens(name: str) -> Step:
    return lambda by, _: opening(by, clientOrderId=name, quantity="0.2")


def _places(name: str) -> Step:
    return lambda by, _: placing(by, "buy limit", "30000", clientOrderId=name)


def _closes(name: str) -> Step:
    return lambda by, codes: closing(by, codes.get(name, f"ord_{0:016x}"))


def _closes_a_part(name: str) -> Step:
    return lambda by, codes: closing(by, codes.get(name, f"ord_{0:016x}"), quantity="0.05")


def _cancels(name: str) -> Step:
    return lambda by, codes: cancelling(by, codes[name])


def _closes_all(by: Customer, _: dict[str, str]) -> Command:
    return closing_all(by, "BTC-USD")


def _changes(chance: random.Random) -> Callable[[str], Step]:
    to = {"stopLoss": chance.choice([None, chance.randint(20_000, 29_000)])}
    return lambda name: lambda by, codes: changing(by, codes.get(name, f"ord_{0:016x}"), **to)


@pytest.mark.parametrize("seed", range(size(2, 100)))
def test_three_times_and_shuffled_is_once_and_in_order(seed: int, settings: Any) -> None:
    """Guards: the order's row (create, close), the part's (partial close), `commands.remembered_by` (changes, cancels
    and close-alls), `Redeliveries` (whatever was refused), each seen to fail."""
    chance = random.Random(seed)
    settings.ENGINE_TICK_COMMANDS = chance.choice([3, 16, 256])
    with an_engine() as engine:
        btc_at("42_000.00")
        alice, bob = a_customer("alice", with_usd="10_000.00"), a_customer("bob", with_usd="10_000.00")
        codes: dict[Customer, dict[str, str]] = {alice: {}, bob: {}}
        told: dict[object, list[Answer]] = defaultdict(list)
        repeats: list[Command] = []

        def hear() -> None:
            for answer in turns(engine):
                told[answer.command_id].append(answer)
                said = orjson.loads(answer.body)
                order = Order.objects.filter(code=said.get("orderId", "")).select_related("customer").first()
                if order is not None and order.client_order_id:
                    codes[order.customer][order.client_order_id] = order.code

        for number, step in enumerate(steps := a_day(chance)):
            if number == len(steps) // 2:
                btc_at("42_100.00")
            send(step(alice, codes[alice]), ttl_ms=60_000)
            first = step(bob, codes[bob])
            send(first, ttl_ms=60_000)
            repeats += [first, first]
            for _ in range(chance.randrange(4)):
                send(repeats.pop(chance.randrange(len(repeats))), ttl_ms=60_000) if repeats else None
            if number < 19 or chance.random() < 0.5:
                hear()
        chance.shuffle(repeats)
        for command in repeats:
            send(command, ttl_ms=60_000)
        hear()

        assert all_of(bob) == all_of(alice)
        of_bob = [[_said(a.body) for a in answers] for answers in told.values() if len(answers) > 1]
        assert len(of_bob) == len(steps)
        assert all(len(bodies) == 3 and len(set(bodies)) == 1 for bodies in of_bob)
        assert is_empty()
        assert what_the_audit_finds() == []


def _said(body: str) -> str:
    """The body to the byte; without a key, a create that comes again shows the order as it is by then."""
    said = orjson.loads(body)
    return said["orderId"] if said.get("message") == "Order created successfully" else body


def all_of(customer: Customer) -> dict[str, Any]:
    """Everything that is a customer's, without ids and times."""
    orders = Order.objects.filter(customer=customer).order_by("id")
    name = {order.pk: order.client_order_id for order in orders}
    name |= {order.pk: f"a part of {name[order.parent_id]}" for order in orders if order.parent_id}
    kept = ("status", "quantity", "margin", "price", "open_price", "stop_loss", "close_price", "profit", "close_reason")
    return {
        "orders": [(name[order.pk], *(getattr(order, field) for field in kept)) for order in orders],
        "deals": sorted(
            (name[d.order_id], d.kind, d.price, d.quantity) for d in Deal.objects.filter(customer=customer)
        ),
        "events": [(e.kind, name[e.order_id]) for e in OrderEvent.objects.filter(customer=customer).order_by("id")],
        "moved": sorted(Transfer.objects.filter(customer=customer).values_list("kind").annotate(Sum("amount"))),
        "balances": (balance(customer), balance(customer, "margin")),
    }


def test_nobody_is_judged_twice_for_a_message_that_came_twice() -> None:
    """What the engine asks of itself may come twice, too: a second look finds nothing left to do."""
    btc_at("42_000.00")
    alice = a_customer(with_usd="1_000.00")
    order = opens(alice, quantity="0.2", leverage=10)
    btc_at("39_000.00")
    for _ in range(3):
        applied(judging(alice), judging(alice))

    assert Order.objects.get(pk=order.pk).close_reason == "stop_out"
    assert Deal.objects.filter(order=order, kind="close").count() == 1
    assert what_the_audit_finds() == []
