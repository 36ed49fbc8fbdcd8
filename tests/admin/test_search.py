"""Ctrl-K: what a guid, a code, a name or a reference names is found, by an index each, by whom may see it."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts import services
from accounts.ids import uuid7
from accounts.models import Customer, Funding, Transfer
from tests.admin.actions import logged_in, page, shown
from tests.given import a_customer, a_settling_buy, btc, btc_at, usd
from tests.trades.engine_steps import opens
from trades.admin import search
from trades.models import Order, Trade

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice() -> Customer:
    btc_at("40_000.00")
    customer = a_customer("alice", with_usd="10_000.00")
    Customer.objects.filter(pk=customer.pk).update(name="Alice Ångström")
    return customer


def links(client: Client, term: str, **more: str) -> list[str]:
    answer = client.get("/admin/search/", {"s": term, "extended": "1"} | more)
    assert answer.status_code == 200
    return [one.link for one in answer.context["results"]] if answer.context else []


def test_everything_that_names_something_finds_it(browser: Client, alice: Customer) -> None:
    order: Order = opens(alice, clientOrderId="Mine-7")
    trade: Trade = a_settling_buy(alice, btc("0.01"))
    services.deposit(alice, "USD", usd("5.00"), key="Wire/4711", at=timezone.now(), by="test")
    moved = Transfer.objects.get(pk=Funding.objects.get(reference="Wire/4711").transfer_id)
    assert alice.user is not None
    of_alice, of_order = page("accounts_customer", alice.pk), page("trades_order", order.pk)

    for term, link in (
        (alice.pk.hex, of_alice),
        (str(alice.pk).upper(), of_alice),
        (order.code, of_order),
        (order.code.capitalize(), of_order),
        (f"  {order.code.upper()} ", of_order),
        ("Mine-7", of_order),
        (order.pk.hex, of_order),
        (trade.pk.hex, page("trades_trade", trade.pk)),
        (alice.user.email, of_alice),
        (alice.user.email[:4].upper(), of_alice),
        ("ALICE å", of_alice),
        ("alice ", of_alice),
        ("Wire/4711", page("accounts_transfer", moved.pk)),
        ("Exposure", "/admin/trades/position/exposure/"),
    ):
        assert link in links(browser, term), term
    assert links(browser, "mine-7") == []  # it is the client's own, letter by letter
    assert f"{order.code} • Order · buy BTC-USD · open" in shown(
        browser.get("/admin/search/?extended=1&s=" + order.code)
    )


def test_ten_rows_at_the_most_and_none_for_what_is_nothing(browser: Client) -> None:
    for n in range(12):
        customer = a_customer(f"many-{n}")
        Customer.objects.filter(pk=customer.pk).update(name=f"Zoë {n}")

    assert len(links(browser, "zoë")) == 10
    for odd in ("", " ", "\x00", "%", "_", "\\", "💥", "x" * 500, uuid7().hex, "ord_0123456789abcdef"):
        assert links(browser, odd) == []
    assert links(browser, "zoë", page="99", **{"extended": ""}) != []


def test_nobody_finds_what_they_may_not_see(alice: Customer) -> None:
    order = opens(alice, clientOrderId="mine")
    support = logged_in("support@firm.example", "accounts.view_customer")

    assert alice.user is not None
    assert links(support, alice.user.email) == [page("accounts_customer", alice.pk)]
    for term in (order.code, order.pk.hex, "mine", "orders", "exposure"):
        assert links(support, term) == []
    assert Client().get("/admin/search/", {"s": alice.pk.hex}).status_code == 302


def test_each_way_to_find_something_goes_by_an_index(alice: Customer) -> None:
    """Guards: the indexes order_by_code, order_by_client_order_id and customer_by_name, and those that were there."""
    plans = ""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        for term in ("ord_0123456789abcdef", "al"):
            for rows, place in search._sources(term):
                plan: Any = rows[:10].explain()
                # With a full scan forbidden, an index without a condition is the whole index read through.
                assert "Seq Scan" not in plan, (place.called, plan)
                assert "Index Cond" in plan, (place.called, plan)
                plans += plan
    for name in ("order_by_code", "order_by_client_order_id", "customer_by_name"):
        assert name in plans, name
