"""Closing every order at once, or those of one symbol."""

from __future__ import annotations

from decimal import Decimal

import pytest

from accounts.ledger import MARGIN, PROTECTION
from accounts.models import Transfer
from quotes import prices
from tests.given import a_customer, balance, btc_at, price_at, usd
from tests.trades.engine_steps import (
    became,
    cash,
    closing_all,
    happened,
    house,
    moved,
    now,
    opening,
    opens,
    places,
    refused,
    says,
    tick,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("books_balance")]


def test_every_open_order_is_closed_at_its_own_price_oldest_first() -> None:
    alice, bob = a_customer(with_usd="10_000.00"), a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    price_at("ETH-USD", "2_000.00")
    bitcoin, ether = opens(alice), opens(alice, symbol="eth", type="sell", quantity="1")
    waiting, bobs = places(alice, "buy limit", "41000"), opens(bob)

    btc_at("42_500.00")
    price_at("ETH-USD", "2_010.00")
    told = says(closing_all(alice))

    assert told == {
        "message": "Orders closed successfully",
        "results": [
            {"orderId": bitcoin.code, "status": "CLOSED", "closePrice": 42500, "profit": Decimal("50.00")},
            {"orderId": ether.code, "status": "CLOSED", "closePrice": 2010, "profit": Decimal("-10.00")},
        ],
    }
    assert (became(bitcoin), became(ether)) == (("CLOSED", "close_all"), ("CLOSED", "close_all"))
    assert (became(waiting), became(bobs)) == (("PENDING", ""), ("OPEN", ""))
    assert (balance(alice), balance(alice, MARGIN)) == (usd("10_040.00"), 0)


def test_only_those_of_one_symbol() -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    price_at("ETH-USD", "2_000.00")
    bitcoin, ether = opens(alice), opens(alice, symbol="eth", quantity="1")

    told = says(closing_all(alice, "ethusdt"))

    assert [one["orderId"] for one in told["results"]] == [ether.code]
    assert (now(bitcoin).status, now(ether).status) == ("OPEN", "CLOSED")


def test_one_without_a_price_stays_open_and_says_so() -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    price_at("ETH-USD", "2_000.00")
    bitcoin, ether = opens(alice), opens(alice, symbol="eth", quantity="1")
    prices.forget("ETH-USD")

    told = says(closing_all(alice))

    assert told["results"] == [
        {"orderId": bitcoin.code, "status": "CLOSED", "closePrice": 42000, "profit": 0},
        {"orderId": ether.code, "status": "OPEN", "error": "Price data not found for symbol: ETH-USD"},
    ]
    assert balance(alice, MARGIN) == now(ether).margin == usd("200.00")


def test_with_nothing_open_nothing_happens() -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    places(alice, "buy limit", "41000")

    assert says(closing_all(alice)) == {"message": "Orders closed successfully", "results": []}

    assert (happened(alice), moved(alice)) == (["placed"], [])


def test_losses_are_covered_by_the_profits_of_the_same_command() -> None:
    """Each alone, the first would draw on margins, or end at the house; together they are 100.00 of profit."""
    alice = a_customer(with_usd="900.00")
    btc_at("40_000.00")
    losing, winning = opens(alice, quantity="1", leverage=100), opens(alice, type="sell", quantity="1.1", leverage=100)

    btc_at("39_000.00")
    told = says(closing_all(alice))

    assert [one["profit"] for one in told["results"]] == [Decimal("-1000.00"), Decimal("1100.00")]
    assert cash(alice) == usd("1_000.00")
    assert {kind for kind, _ in moved(alice)} == {"order_margin", "order_margin_release", "order_loss", "order_profit"}
    assert house(PROTECTION) == 0
    assert (became(losing), became(winning)) == (("CLOSED", "close_all"), ("CLOSED", "close_all"))


def test_a_loss_beyond_everything_is_the_houses_once() -> None:
    alice = a_customer(with_usd="900.00")
    btc_at("40_000.00")
    for _ in range(2):
        opens(alice, quantity="1", leverage=100)

    btc_at("39_000.00")
    says(closing_all(alice))

    assert moved(alice, "order_loss", "order_protection") == [
        ("order_loss", usd("1_000.00")),
        ("order_loss", usd("1_000.00")),
        ("order_protection", usd("1_100.00")),
    ]
    assert cash(alice) == 0


def test_a_net_loss_beyond_everything_needs_a_price_of_what_would_stay() -> None:
    """Guard: `refuse_if_uncovered`."""
    alice = a_customer(with_usd="900.00")
    btc_at("40_000.00")
    price_at("ETH-USD", "2_000.00")
    losing, other = opens(alice, quantity="1", leverage=100), opens(alice, symbol="eth", quantity="1")
    prices.forget("ETH-USD")

    btc_at("39_000.00")
    assert refused(closing_all(alice)) == "Price data not found for symbol: ETH-USD"

    assert (now(losing).status, now(other).status) == ("OPEN", "OPEN")
    assert cash(alice) == usd("900.00")


def test_the_command_that_comes_again_answers_the_same_and_closes_nothing_new() -> None:
    """Guard: `remembered_by` - the order that was opened in between would be closed."""
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    opens(alice)
    close_all = closing_all(alice)
    (first,) = tick(close_all)
    later = opens(alice)
    before = Transfer.objects.filter(customer=alice).count()

    again, once_more = tick(close_all, close_all)

    assert first.text == again.text == once_more.text
    assert now(later).status == "OPEN"
    assert Transfer.objects.filter(customer=alice).count() == before


def test_under_a_key_it_is_one_command_and_another_symbol_is_another_request() -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    opens(alice)

    first, again, other = tick(
        closing_all(alice, key="k"), closing_all(alice, key="k"), closing_all(alice, "btc", key="k")
    )

    assert (first.status, again.text, again.replayed, other.status) == (200, first.text, True, 422)


def test_it_sees_what_opened_before_it_in_the_tick_and_nothing_that_opens_after() -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    before, after = opening(alice, clientOrderId="before"), opening(alice, clientOrderId="after")

    first, closed, second = tick(before, closing_all(alice), after)

    assert [one["orderId"] for one in closed.body["results"]] == [first.body["orderId"]]
    assert second.status == 200
    assert balance(alice, MARGIN) == usd("420.00")


def test_a_disabled_user_closes_nothing() -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = opens(alice)
    assert alice.user
    alice.user.is_active = False
    alice.user.save()

    (told,) = tick(closing_all(alice))

    assert (told.status, now(order).status) == (401, "OPEN")
