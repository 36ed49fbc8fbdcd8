"""A forced loss beyond the cash while a winner's market rests: the house advances it, and that winner repays it.

Otherwise a hedge over a market that rests would be free money: the house bears the loss, and the winner is kept.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.ledger import ADVANCES, PROTECTION
from accounts.models import Customer
from quotes import prices
from tests.given import a_customer, btc_at, deposit, market_closed_at, price_at, usd
from tests.trades.engine.rollovers import RolloverEngine, at, rates
from tests.trades.engine_steps import (
    applied,
    became,
    cash,
    closes,
    closing,
    fires,
    firing,
    house,
    judges,
    moved,
    opening,
    opens,
    owed,
    refused,
    says,
    tick,
)
from tests.trades.margin.debts import a_debt, a_hedge, ends_with
from trades.book.book import Book
from trades.engine import queries
from trades.models import MarginAccount, Order
from trades.reads.figures import figures
from trades.reads.statement import Statement

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("books_balance")]


@pytest.fixture
def alice() -> Customer:
    return a_customer(with_usd="1_000.00")


@pytest.fixture
def ether(alice: Customer) -> Order:
    return a_debt(alice)


# --- the advance -----------------------------------------------------------------------------------


def test_a_stop_loss_beyond_the_cash_while_another_market_rests_is_advanced(alice: Customer, ether: Order) -> None:
    """Guard: `cover` looks for positions without a price. Without it the house bears 1,000.00 for good."""
    assert moved(alice)[2:] == [
        ("order_margin_release", usd("400.00")),
        ("order_loss", usd("2_000.00")),
        ("order_margin_drawn", usd("200.00")),
        ("order_advance", usd("1_000.00")),
    ]
    assert (cash(alice), owed(alice), became(ether)) == (0, usd("1_000.00"), ("OPEN", ""))
    assert (house(ADVANCES), house(PROTECTION)) == (-usd("1_000.00"), 0)


def test_a_position_that_never_had_a_price_may_win_too(alice: Customer) -> None:
    bitcoin, _ = a_hedge(alice)
    prices.forget("ETH-USD")
    btc_at("38_000.00")
    fires(bitcoin)

    assert owed(alice) == usd("1_000.00")


def test_a_stop_out_advances_what_the_winner_at_rest_may_bring(alice: Customer) -> None:
    bitcoin, ether = a_hedge(alice)
    market_closed_at("ETH-USD", "2_000.00")
    btc_at("38_000.00")
    judges(alice)

    assert (became(bitcoin), became(ether)) == (("CLOSED", "stop_out"), ("OPEN", ""))
    assert owed(alice) == usd("1_000.00")

    price_at("ETH-USD", "1_850.00")  # +1,500.00: equity is 500.00, well above the stop-out
    judges(alice)
    assert became(ether) == ("OPEN", "")
    closes(alice, ether)
    ends_with(alice, "500.00")


def test_winners_with_a_price_go_before_anything_is_advanced(alice: Customer) -> None:
    bitcoin, _ = a_hedge(alice, "5")
    price_at("EUR-USD", "1.10")
    euro = opens(alice, symbol="eur", type="sell", quantity="10000", leverage=100)
    market_closed_at("ETH-USD", "2_000.00")
    price_at("EUR-USD", "1.05")  # +500.00
    btc_at("38_000.00")
    fires(bitcoin)

    assert became(euro) == ("CLOSED", "stop_out")
    assert owed(alice) == usd("500.00")


def test_a_swap_that_nothing_pays_is_advanced_while_the_position_rests(alice: Customer) -> None:
    """10 ether at 2,000.00 x 10 %: 2,000.00 a night, of which 800.00 are free and 200.00 reserved."""
    rollover = RolloverEngine(f"{timezone.now():%Y-%m-%d %H:%M}")
    rates("ETH-USD", "0", "-1000")
    price_at("ETH-USD", "2_000.00")
    ether = opens(alice, symbol="eth", type="sell", quantity="10", leverage=100)
    tonight = (timezone.now() + timedelta(days=2)).date()
    market = at(f"{tonight} 00:00:00", eth="2_000")
    resting = replace(market.by_symbol["ETH-USD"], at=market.now - timedelta(minutes=1))
    rollover.runs(replace(market, by_symbol={**market.by_symbol, "ETH-USD": resting}))

    nights = len([kind for kind, _ in moved(alice, "order_swap")])
    assert owed(alice) == nights * usd("2_000.00") - usd("1_000.00")
    assert house(PROTECTION) == 0

    says(closing(alice, ether.code), at(f"{tonight} 00:01:00", eth="1_000"))
    ends_with(alice, str(10_000 + 1_000 - nights * 2_000))


# --- what is owed counts ---------------------------------------------------------------------------


def test_what_is_owed_counts_against_the_account(alice: Customer, ether: Order) -> None:
    deposit(alice, "USD", "1_500.00")
    market_closed_at("ETH-USD", "1_990.00")

    found = figures(alice.pk, prices.latest())
    assert (found.balance, found.equity, found.margin) == (usd("500.00"), usd("600.00"), usd("200.00"))
    assert (found.free_cash, found.free_margin) == (usd("300.00"), usd("400.00"))
    assert queries.cash_of([alice.pk]) == {alice.pk: usd("500.00")}
    assert Book.load(0, 1).state()[1][alice.pk][2] == usd("500.00")
    assert applied(firing(ether)).cash == {alice.pk: usd("500.00")}


def test_only_what_is_free_beyond_what_is_owed_can_be_reserved(alice: Customer, ether: Order) -> None:
    """Guard: `free_margin` takes `owed` off. Without it 1,000.00 more could be staked than there is."""
    deposit(alice, "USD", "1_500.00")

    wanted = opening(alice, quantity="1", leverage=100)
    assert refused(wanted) == "Insufficient balance. Required: $380.00, Available: $300.00"
    assert opens(alice, quantity="0.5", leverage=100).margin == usd("190.00")


def test_a_debt_that_the_winner_does_not_outweigh_is_stopped_out_once_it_has_a_price(
    alice: Customer, ether: Order
) -> None:
    """Guard: the equity is without what is owed. With it, ether stays open at a level of 450 %."""
    price_at("ETH-USD", "1_910.00")
    judges(alice)

    assert became(ether) == ("CLOSED", "stop_out")
    ends_with(alice, "0", borne="100.00")


def test_the_statement_tells_of_the_advance_and_of_the_repayment(alice: Customer, ether: Order) -> None:
    price_at("ETH-USD", "1_940.00")
    closes(alice, ether)

    told = Statement(alice.pk, None, None).page(100, "")["message"]
    assert [(one["kind"], one["text"], one["amount"]) for one in told if "advance" in one["kind"]] == [
        ("order_advance", "Advanced by the firm for a loss", 1000),
        ("order_advance_repaid", "Advance repaid to the firm", -600),
    ]
    assert told[-1]["balance"] == 0


# --- again, and around the code --------------------------------------------------------------------


def test_what_comes_again_changes_nothing(alice: Customer, ether: Order) -> None:
    bitcoin = Order.objects.get(customer=alice, instrument="BTC-USD")
    before = (moved(alice), owed(alice))
    fires(bitcoin, bitcoin)
    judges(alice)
    assert (moved(alice), owed(alice)) == before

    price_at("ETH-USD", "1_850.00")
    close = closing(alice, ether.code)
    (first,) = tick(close)
    before = (moved(alice), owed(alice))
    (again,) = tick(close)

    assert (again.text, moved(alice), owed(alice)) == (first.text, *before)
    ends_with(alice, "500.00")


def test_no_row_can_owe_without_a_time_or_have_a_time_and_owe_nothing(alice: Customer, ether: Order) -> None:
    """Guard: the constraint `owed_since_a_moment`."""
    for change in ({"owed": -1}, {"owed": 0}, {"owed_at": None}):
        with pytest.raises(IntegrityError, match="owed_since_a_moment"), transaction.atomic():
            MarginAccount.objects.filter(customer=alice).update(**change)
