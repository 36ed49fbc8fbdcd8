"""How much leverage a customer gets: by the instrument, by their class, and by their exposure in the symbol."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.models import Customer
from quotes import leverage, symbols
from quotes.models import Instrument
from tests.given import a_customer, btc_at, price_at, usd
from tests.trades.corrections.staff import a_member_of_staff
from tests.trades.engine_steps import (
    became,
    changing,
    closes,
    closing,
    fires,
    opening,
    opens,
    places,
    placing,
    refused,
    says,
    tick,
)
from trades import client_classes

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("books_balance")]

RETAIL = "Leverage must be at most 2 for BTC-USD for retail customers"


def with_terms(symbol: str = "BTC-USD", **terms: Any) -> None:
    Instrument.objects.filter(pk=symbol).update(**terms)
    symbols.forget()


def a_professional() -> Customer:
    customer = a_customer(with_usd="100_000.00")
    maker, checker, at = a_member_of_staff("maker").pk, a_member_of_staff("checker").pk, timezone.now()
    one = client_classes.propose(customer.pk, "professional", reason="means", by=maker, at=at)
    client_classes.apply(one.pk, by=checker, at=at)
    return customer


# --- by class ----------------------------------------------------------------------------------------


def test_a_retail_cap_is_of_retail_customers_alone() -> None:
    """Guard: `leverage.check_caps` in `create`, and the class that `queries.customer_rows` reads."""
    btc_at("40_000.00")
    alice, bob = a_customer(with_usd="100_000.00"), a_professional()
    opens(alice, quantity="0.1", leverage=100)
    with_terms(retail_leverage_cap=2)

    assert refused(opening(alice, quantity="0.1", leverage=3)) == RETAIL
    assert refused(placing(alice, "buy limit", "39000", quantity="0.1", leverage=3)) == RETAIL
    opens(alice, quantity="0.1", leverage=2)
    opens(bob, quantity="0.1", leverage=100)
    assert refused(opening(bob, leverage=101)) == "Leverage must be at most 100 for BTC-USD"


def test_an_order_that_waited_opens_by_the_caps_of_then() -> None:
    """Guard: `leverage.check_caps` in `open_pending`."""
    btc_at("40_000.00")
    alice, bob = a_customer(with_usd="100_000.00"), a_professional()
    orders = [places(who, "buy limit", "39000", quantity="0.1", leverage=50) for who in (alice, bob)]
    with_terms(retail_leverage_cap=2)

    says(changing(alice, orders[0].code, price="38500"))
    says(changing(alice, orders[0].code, price="39000"))
    btc_at("38_000.00")
    fires(*orders)

    assert [became(order) for order in orders] == [("CANCELLED", "leverage"), ("OPEN", "")]


# --- by exposure -------------------------------------------------------------------------------------


def tiered() -> Customer:
    """At 40,000.00: from 10,000 of exposure a leverage of 50, from 20,000 of 20."""
    btc_at("40_000.00")
    price_at("ETH-USD", "2_000.00")
    with_terms(leverage_tiers="10000:50, 20000:20")
    return a_customer(with_usd="100_000.00")


def too_much(cap: int, of: str, exposure: str) -> str:
    return f"Leverage must be at most {cap} for BTC-USD from an exposure of ${of}; with this order it is ${exposure}"


def test_what_is_open_counts_with_the_new_order_long_and_short_alike() -> None:
    """Guard: `session.exposure` in `check_exposure`; other symbols and other customers count for nothing."""
    alice, bob = tiered(), a_customer(with_usd="100_000.00")
    opens(bob, quantity="0.2", leverage=100)
    opens(alice, symbol="eth", quantity="10", leverage=100)
    opens(alice, quantity="0.2", leverage=100)  # 8,000.00

    assert refused(opening(alice, quantity="0.05", leverage=51)) == too_much(50, "10000.00", "10000.22")
    opens(alice, type="sell", quantity="0.05", leverage=50)
    assert refused(opening(alice, type="sell", quantity="0.25", leverage=50)) == too_much(20, "20000.00", "20000.00")
    opens(alice, quantity="0.24", leverage=50)
    opens(alice, quantity="1", leverage=20)


def test_orders_of_one_tick_and_what_was_closed_in_it_count_as_they_stand() -> None:
    """Guard: `session.expose` keeps up what was read, for whole orders and for parts."""
    alice = tiered()
    first = opens(alice, quantity="0.2", leverage=100)
    wanted = {"quantity": "0.1", "leverage": 100}  # 4,000.00

    told = tick(
        opening(alice, **wanted),
        closing(alice, first.code, quantity="0.1"),
        opening(alice, **wanted),
        opening(alice, **wanted),
        closing(alice, first.code),
        opening(alice, **wanted),
    )

    assert [one.status for one in told] == [400, 200, 200, 400, 200, 200]


def test_orders_that_wait_count_when_they_open() -> None:
    """Guard: `check_exposure` in `_open`, where a pending order opens. Each fits alone, both don't."""
    alice = tiered()
    wanted = {"quantity": "0.2", "leverage": 100}
    assert refused(placing(alice, "buy limit", "39000", quantity="0.3", leverage=100)) == (
        too_much(50, "10000.00", "11700.00")
    )
    first, second = (places(alice, "buy limit", "39000", **wanted) for _ in range(2))

    btc_at("39_000.00")
    fires(first, second)

    assert (became(first), became(second)) == (("OPEN", ""), ("CANCELLED", "leverage"))


def test_tiers_that_come_later_leave_what_is_open_as_it_is() -> None:
    btc_at("40_000.00")
    alice = a_customer(with_usd="100_000.00")
    order = opens(alice, quantity="1", leverage=100)
    with_terms(leverage_tiers="10000:50")

    assert closes(alice, order, quantity="0.5").margin == usd("200.00")
    assert refused(opening(alice, quantity="0.001", leverage=51)) == too_much(50, "10000.00", "20040.29")


def test_of_a_converted_instrument_exposure_is_in_the_account_currency() -> None:
    price_at("USD-JPY", "150.00")
    alice = a_customer(with_usd="100_000.00")
    with_terms("USD-JPY", leverage_tiers="10000:5")

    opens(alice, symbol="USD-JPY", quantity="9999", leverage=9)
    assert refused(opening(alice, symbol="USD-JPY", quantity="1", leverage=10)).endswith("it is $10000.00")


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("", ""),
        (" ", ""),
        ("100000:50", "100000:50"),
        ("100000:50,500000:20", "100000:50, 500000:20"),
        (" 100000:50 ,  500000:20 ", "100000:50, 500000:20"),
    ],
)
def test_tiers_are_said_with_blanks_as_one_likes(said: str, kept: str) -> None:
    tiers = leverage.parsed(said)
    assert tiers is not None
    assert leverage.written(tiers) == kept
    assert leverage.tiers_of(kept) == tiers


@pytest.mark.parametrize(
    "said",
    [
        "0:50",
        "100:0",
        "100",
        "100:50:20",
        "200:50, 100:20",
        "100:20, 200:50",
        "100:50, 100:20",
        "\u0661:5",
        "1:5,",
        None,
        7,
    ],
)
def test_tiers_that_make_no_sense_are_none(said: object) -> None:
    assert leverage.parsed(said) is None


def test_the_database_keeps_no_tiers_that_cannot_be_read() -> None:
    """Guards: instrument_leverage_tiers_can_be_read, instrument_retail_leverage_cap_positive."""
    for terms in ({"leverage_tiers": "100:"}, {"leverage_tiers": "x"}, {"retail_leverage_cap": 0}):
        with pytest.raises(IntegrityError, match="instrument_"), transaction.atomic():
            with_terms(**terms)
