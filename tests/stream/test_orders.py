"""The live orders that come first, and what follows them: nothing is missed, and nothing counts twice."""

from __future__ import annotations

import asyncio
import itertools
import socket
import threading
import time
from contextlib import closing
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from accounts import events, tokens
from accounts.identity import CUSTOMER_SCOPES, READ_ORDERS, Caller
from accounts.models import Customer
from brokerage.stream import orders
from brokerage.stream.asking import Asked, Wanted
from brokerage.stream.connected import Connection
from brokerage.stream.hub import Hub
from brokerage.stream.orders import Orders
from tests.accounts.events.places import here
from tests.given import a_customer, btc_at, token_of
from tests.stream.listening import Stream
from tests.stream.who import a_client, a_customers_token
from tests.trades.engine_steps import closes, opens, places
from tests.trades.reads.test_figures import a_position
from trades.models import Order
from trades.states import LIVE

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("stream")]


def guids(said: dict[str, Any]) -> list[str]:
    return [one["guid"] for one in said["orders"]]


def test_own_live_orders_come_first_as_the_list_has_them(stream: Stream) -> None:
    btc_at("42_000.00")
    alice, bob = a_customer(with_usd="10_000.00"), a_customer("bob", with_usd="10_000.00")
    closed, opened = opens(alice), opens(alice)
    waits = places(alice, "buy limit", "41000.00")
    closes(alice, closed)
    of_bob = opens(bob)
    until = events.guid_of(here()).hex

    said = stream.ws(token_of(alice), "?event_type=orders").first("orders")
    at_a_partner = stream.sse(a_customers_token(bob)).first("orders")

    answer = Client(headers={"Authorization": f"Bearer {token_of(alice)}"}).get("/api/v1/trade/orders").json()
    assert guids(said) == [waits.pk.hex, opened.pk.hex]
    assert {**said["orders"][1], "guid": None} == {**answer["message"][0], "guid": None}
    assert (said["customer_guid"], said["has_more"]) == (alice.pk.hex, False)
    assert said["as_of"] >= until
    assert guids(at_a_partner) == [of_bob.pk.hex]


def test_who_has_none_is_told_so_and_who_may_not_see_them_nothing(stream: Stream) -> None:
    """Guard: READ_ORDERS in `asking.wanted`."""
    alice = a_customer()
    blind = stream.sse(a_customers_token(alice, CUSTOMER_SCOPES - {READ_ORDERS}))
    firm = stream.sse(tokens.client_token(a_client(), CUSTOMER_SCOPES))

    assert stream.sse(token_of(alice)).first("orders")["orders"] == []
    for one in (blind, firm):
        one.first("ready")
        with pytest.raises(TimeoutError):
            one.first("orders", 0.5)


def test_of_many_the_newest_come_and_that_there_are_more(stream: Stream) -> None:
    """Guard: MOST: what one account has must not fill everybody's memory."""
    alice = a_customer(with_usd="10_000.00")
    made = [a_position(alice, "buy", "0.001", "42000", "0.00").pk.hex for _ in range(orders.MOST + 1)]

    said = stream.sse(token_of(alice), "?event_type=orders").first("orders")

    assert (guids(said), said["has_more"]) == (made[:0:-1], True)


def test_they_come_again_after_subscribe(stream: Stream) -> None:
    btc_at("42_000.00")
    alice = a_customer(with_usd="10_000.00")
    reader = stream.ws(token_of(alice), "?event_type=orders")
    assert reader.first("orders")["orders"] == []
    opened = opens(alice)
    here()

    reader.say(type="subscribe", event_type=["orders"])

    assert guids(reader.first("orders")) == [opened.pk.hex]


def test_who_connects_while_orders_open_and_close_ends_with_what_there_is(stream: Stream) -> None:
    """Guard: the horizon is read before the orders in `orders._orders`, so that what they may lack is told after
    `as_of`. Events up to `as_of` are passed by, as docs/events.md says; what is told after it may be in the list, too.
    """
    btc_at("42_000.00")
    alice = a_customer(with_usd="100_000.00")
    done = threading.Event()
    first = opens(alice)

    def trade() -> None:
        with closing(connection):
            mine = [first]
            for turn in itertools.count():
                btc_at("42_000.00")
                if turn % 2:
                    closes(alice, mine.pop(0))
                else:
                    mine.append(opens(alice))
                if done.is_set():
                    return

    trading = threading.Thread(target=trade)
    trading.start()
    query = "?event_type=orders,order.opened,order.closed,customer.frozen"
    readers = [stream.sse(token_of(alice), query) for _ in range(6)]
    told = [[one.first("orders")] for one in readers]
    moves_past(told[0][0]["as_of"])
    readers += [stream.sse(token_of(alice), query) for _ in range(6)]
    told += [[one.first("orders")] for one in readers[6:]]
    done.set()
    trading.join()
    Customer.objects.filter(pk=alice.pk).update(state="frozen")
    for one, its in zip(readers, told, strict=True):
        its += one.until(lambda said: said.get("event_type") == "customer.frozen")

    live = {pk.hex for pk in Order.objects.filter(customer=alice, status__in=LIVE).values_list("pk", flat=True)}
    assert [applied(its) for its in told] == [live] * len(told)
    assert len({its[0]["as_of"] for its in told}) > 1


def moves_past(as_of: str) -> None:
    """A transaction of another database of the server holds the horizon where it is, for as long as it runs."""
    give_up = time.monotonic() + 60
    while events.guid_of(events.horizon()).hex <= as_of:
        assert time.monotonic() < give_up, "a transaction holds the horizon back"
        time.sleep(0.01)


def applied(told: list[dict[str, Any]]) -> set[str]:
    """Which orders a reader believes in who goes by the rule: the list, and then each event after it."""
    snapshot, *rest = told
    live = set(guids(snapshot))
    for one in rest:
        if one.get("event_type", "").startswith("order.") and one["guid"] > snapshot["as_of"]:
            (live.add if one["event_type"] == "order.opened" else live.discard)(one["object_guid"])
    return live


def test_who_comes_while_they_are_read_waits_for_the_next(stream: Stream) -> None:
    """Guard: `since <= place` in `Orders._tell`. What happened between the reading and the place from which somebody is
    told is in neither."""
    alice = a_customer()
    before = here()

    async def play() -> list[int]:
        hub = Hub(10, 10, 10)
        said = []
        for hub.place in (before, (before[0] + 1, 0)):
            one = Connection(hub)
            ours, theirs = socket.socketpair()
            await asyncio.get_running_loop().connect_accepted_socket(lambda one=one: one, ours)  # type: ignore[misc]
            one.asked = Asked()
            caller = Caller(CUSTOMER_SCOPES, customer_id=alice.pk)
            hub.admit(one, caller, Wanted(frozenset(), None, orders=True, figures=False), is_new=True)
            said.append(theirs)
        Orders(hub)._tell(alice.pk, before, [], has_more=False)
        await asyncio.sleep(0.05)
        return [wire.recv(65_536).count(b"event: orders") for wire in said]

    assert asyncio.run(play()) == [1, 0]
