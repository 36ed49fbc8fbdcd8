"""The exposure page: sums by symbol and customer, and what other prices would stop out, by the engine's own rules."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import Customer
from quotes import prices
from tests.admin.actions import logged_in, shown
from tests.given import a_customer, btc_at, every_price_at_its_start, price_at
from tests.trades.engine_steps import became, judges, now, opens
from trades.instruments.stress import stress
from trades.models import Position
from trades.reads import exposure
from trades.reads.figures import figures

pytestmark = pytest.mark.django_db

PAGE = "admin:trades_position_exposure"


@pytest.fixture
def alice() -> Customer:
    every_price_at_its_start()
    btc_at("40_000.00")
    return a_customer(with_usd="10_000.00")


def test_sums_are_those_of_the_positions_also_in_another_currency(alice: Customer) -> None:
    """Each customer's floating profit and margin are what the API shows them."""
    bob = a_customer("bob", with_usd="50_000.00")
    opens(alice, quantity="0.5")
    opens(bob, quantity="0.2", type="sell")
    opens(bob, symbol="USD-JPY", quantity="1000", leverage=10)
    btc_at("41_000.00")
    price_at("USD-JPY", "140.000", "140.010")
    latest = prices.latest()

    found = {one.of: one for one in exposure.by_symbol(latest)}
    btc = found["BTC-USD"]
    quantities = (btc.longs, btc.shorts, btc.long_quantity, btc.short_quantity, btc.net_quantity)
    assert quantities == (1, 1, Decimal("0.5"), Decimal("0.2"), Decimal("0.3"))
    price = latest.by_symbol["BTC-USD"]
    assert btc.long_worth == round(price.bid * 50)
    assert btc.short_worth == round(price.ask * 20)
    assert (found["USD-JPY"].long_worth, found["USD-JPY"].floating < 0) == (round(Decimal("140000") / 140 * 100), True)
    by_customer = {one.of: one for one in exposure.by_customer(latest, 10)}
    for customer in (alice, bob):
        shown_to_them = figures(customer.pk, latest)
        assert by_customer[customer.pk].floating == shown_to_them.unrealized
        assert by_customer[customer.pk].margin == shown_to_them.margin
    assert next(iter(by_customer)) == alice.pk
    assert [one.of for one in exposure.by_customer(latest, 10, "USD-JPY")] == [bob.pk]
    (alone,) = exposure.by_symbol(None)[:1]
    assert (alone.unpriced, alone.long_worth, alone.floating) == (2, 0, 0)


def test_what_would_be_stopped_out_is_what_the_engine_then_does(alice: Customer) -> None:
    bob = a_customer("bob", with_usd="10_000.00")
    mine = [opens(alice, quantity="1.5", leverage=10), opens(alice, quantity="0.5", leverage=10)]
    his = opens(bob, quantity="0.1", leverage=10)
    found = {one.percent: one for one in stress("BTC-USD")}

    at_minus_five = found[Decimal(-5)]
    assert (at_minus_five.statement.stop_outs, at_minus_five.positions) == (0, {})
    at_minus_ten = found[Decimal(-10)]
    assert at_minus_ten.statement.stop_outs == 1
    assert all(now(one).status == "OPEN" for one in mine)  # nothing was written

    price_at("BTC-USD", f"{at_minus_ten.statement.bid}", f"{at_minus_ten.statement.ask}")
    judges(alice, bob)

    closed = [one for one in mine if became(one) == ("CLOSED", "stop_out")]
    assert at_minus_ten.positions == {alice.pk: len(closed)}
    assert at_minus_ten.results == {alice.pk: sum(int(now(one).profit or 0) for one in closed)}
    assert now(his).status == "OPEN"


def test_the_page_shows_it_and_costs_the_same_however_many_positions_there_are(
    browser: Client, alice: Customer
) -> None:
    opens(alice, quantity="1", leverage=10)
    url = reverse(PAGE)
    assert "BTC-USD 1 1 0 1" in shown(browser.get(url))

    def queries() -> int:
        with CaptureQueriesContext(connection) as asked:
            assert browser.get(url).status_code == 200
        return len(asked.captured_queries)

    browser.get(url)
    few = queries()
    for n in range(5):
        opens(a_customer(f"one-{n}", with_usd="10_000.00"), quantity="0.1")
    assert Position.objects.count() == 6
    assert queries() <= few <= 8

    text = shown(browser.get(url, {"symbol": "btc-usd"}))
    assert "BTC-USD at other prices" in text
    assert "-10" in text
    for odd in ("nonsense", "\x00", "EUR-USD", ""):
        assert browser.get(url, {"symbol": odd}).status_code == 200


def test_who_may_not_look_at_positions_sees_neither_page_nor_entry() -> None:
    reader = logged_in("reader@firm.example", "trades.view_trade")

    assert reader.get(reverse(PAGE)).status_code == 403
    assert reverse(PAGE) not in reader.get("/admin/").content.decode()
