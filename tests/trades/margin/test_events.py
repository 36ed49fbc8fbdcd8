"""What happened to an order is written down once, in the order in which it happened, and never changed."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction

from tests.given import a_customer, btc_at, price_at
from tests.trades.engine_steps import (
    applied,
    cancelling,
    changing,
    closing,
    closing_all,
    firing,
    happened,
    judging,
    now,
    opening,
    opens,
    places,
    placing,
    tick,
)
from trades.models import Order, OrderEvent

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("books_balance")]


def test_the_life_of_an_order_event_by_event() -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    place = placing(alice, "buy limit", "41000", quantity="0.3")
    tick(place)
    order = Order.objects.get(customer=alice)
    change = changing(alice, order.code, price="41500")
    tick(change)
    btc_at("41_500.00")
    applied(firing(order))
    part = closing(alice, order.code, quantity="0.1")
    tick(part)
    close = closing(alice, order.code)
    tick(close)

    told = OrderEvent.objects.filter(customer=alice).order_by("id")

    closed_part = Order.objects.get(parent_id=order.pk)
    assert list(told.values_list("kind", "order_id", "command_id")) == [
        ("placed", order.pk, place.id),
        ("changed", order.pk, change.id),
        ("opened", order.pk, None),  # a price did it
        ("reduced", order.pk, part.id),
        ("closed", closed_part.pk, part.id),
        ("closed", order.pk, close.id),
    ]
    assert [event.at for event in told] == sorted(event.at for event in told)
    assert told[5].at == now(order).closed_at


def test_events_of_one_tick_are_in_the_order_of_its_commands() -> None:
    alice, bob = a_customer(with_usd="10_000.00"), a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    names = [f"order {number}" for number in range(40)]

    tick(*(opening([alice, bob][number % 2], quantity="0.001", clientOrderId=names[number]) for number in range(40)))

    order_of = dict(Order.objects.values_list("pk", "client_order_id"))
    opened = OrderEvent.objects.filter(kind="opened").order_by("id").values_list("order_id", flat=True)
    assert [order_of[pk] for pk in opened if pk] == names


def test_commands_that_come_again_write_nothing_down_again() -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    open_ = opening(alice, quantity="0.3")
    tick(open_)
    order = Order.objects.get(customer=alice)
    waiting, other = places(alice, "buy limit", "41000"), opens(alice)
    commands = [
        open_,
        changing(alice, order.code, stopLoss="41000"),
        closing(alice, order.code, quantity="0.1"),
        closing(alice, order.code),
        cancelling(alice, waiting.code),
        closing_all(alice),
        opening(alice, key="k"),
    ]
    tick(*commands)
    before = happened(alice)

    tick(*commands)
    tick(*reversed(commands))

    assert happened(alice) == before
    assert sorted(before) == sorted(
        ["opened"] * 3 + ["placed", "changed", "reduced", "closed", "closed", "cancelled", "closed"]
    )
    assert now(other).status == "CLOSED"


def test_a_refusal_is_no_event() -> None:
    alice = a_customer(with_usd="100.00")
    btc_at("42_000.00")
    waiting = places(alice, "buy limit", "41000")

    tick(
        opening(alice),
        placing(alice, "buy limit", "43000"),
        closing(alice, waiting.code),
        changing(alice, waiting.code, price="43000"),
        cancelling(alice, "ord_0000000000000000"),
    )
    applied(firing(waiting), judging(alice))

    assert happened(alice) == ["placed"]


def test_each_step_of_a_stop_out_is_an_event_of_its_own() -> None:
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00")
    price_at("ETH-USD", "2_000.00")
    waiting, order = places(alice, "sell limit", "43000"), opens(alice, quantity="1", leverage=100)
    opens(alice, symbol="eth", quantity="0.1", leverage=10)

    btc_at("41_100.00")
    applied(judging(alice), judging(alice))

    told = OrderEvent.objects.filter(customer=alice).order_by("id").values_list("kind", "order_id")
    assert list(told)[3:] == [
        ("margin_call", None),
        ("stop_out", None),
        ("cancelled", waiting.pk),
        ("closed", order.pk),
        ("margin_call_over", None),
    ]


def test_an_event_is_never_changed_or_removed() -> None:
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00")
    opens(alice)

    with pytest.raises(IntegrityError), transaction.atomic():
        OrderEvent.objects.update(kind="closed")
    with pytest.raises(IntegrityError), transaction.atomic():
        OrderEvent.objects.all().delete()

    assert happened(alice) == ["opened"]
