"""A loss beyond what a customer has: drawn from margins first, then from winning positions, and from the house last.

Otherwise a hedge would be free money: close the losing half on the house's account, and keep the winning half.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.ledger import AVAILABLE, MARGIN, PROFIT, PROTECTION
from accounts.models import Customer
from quotes import prices
from tests.given import a_customer, balance, btc_at, deposit, price_at, usd
from tests.trades.engine_steps import (
    became,
    cash,
    closes,
    closing,
    closing_all,
    drawn,
    fires,
    happened,
    house,
    judges,
    moved,
    now,
    opens,
    refused,
    says,
    tick,
)
from trades.models import Order

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("books_balance")]


def a_hedge(by: Customer, bought: str = "1", sold: str = "1") -> tuple[Order, Order]:
    """Bought and sold at 40,000.00 with leverage 100: 400.00 of margin for each whole one."""
    return (
        opens(by, quantity=bought, leverage=100),
        opens(by, type="sell", quantity=sold, leverage=100),
    )


def test_closing_the_losing_half_of_a_hedge_closes_the_winning_half_with_it() -> None:
    """Guard: `_realize_profits`. Without it the house pays 100.00, and the sell is worth 1,000.00 more."""
    alice = a_customer(with_usd="900.00")
    btc_at("40_000.00")
    bought, sold = a_hedge(alice)

    btc_at("39_000.00")
    told = says(closing(alice, bought.code))

    assert told["order"]["orderId"] == bought.code
    assert (became(bought), became(sold)) == (("CLOSED", "manual"), ("CLOSED", "stop_out"))
    assert (balance(alice), balance(alice, MARGIN)) == (usd("900.00"), 0)
    assert house(PROTECTION) == 0
    assert happened(alice) == ["opened", "opened", "closed", "closed"]


def test_either_half_first_and_both_at_once_end_with_the_same_money() -> None:
    people = [a_customer(with_usd="900.00") for _ in range(3)]
    btc_at("40_000.00")
    hedges = [a_hedge(somebody, "1", "0.95") for somebody in people]
    losing_first, winning_first, at_once = zip(people, hedges, strict=True)

    btc_at("39_000.00")
    closes(losing_first[0], losing_first[1][0])
    closes(winning_first[0], winning_first[1][1])
    closes(winning_first[0], winning_first[1][0])
    says(closing_all(at_once[0]))

    assert [cash(somebody) for somebody in people] == [usd("850.00")] * 3
    assert house(PROFIT) == usd("150.00")
    assert house(PROTECTION) == 0


def test_what_is_beyond_the_winning_half_too_is_the_houses() -> None:
    people = [a_customer(with_usd="900.00") for _ in range(2)]
    btc_at("40_000.00")
    (alice, (bought, sold)), (bob, (bobs_bought, bobs_sold)) = [(one, a_hedge(one, "1", "0.1")) for one in people]

    btc_at("38_000.00")  # -2,000.00 and +200.00
    closes(alice, bought)
    closes(bob, bobs_sold)
    closes(bob, bobs_bought)

    assert became(sold) == ("CLOSED", "stop_out")
    assert (cash(alice), cash(bob)) == (0, 0)
    assert house(PROTECTION) == -usd("1_800.00")  # 900.00 each
    assert now(bobs_sold).close_reason == "manual"


def test_the_best_of_the_winners_go_and_only_as_many_as_it_takes() -> None:
    alice = a_customer(with_usd="1_000.00")
    btc_at("40_000.00")
    losing = opens(alice, quantity="1", leverage=100)
    small, large, middle = (
        opens(alice, type="sell", quantity=quantity, leverage=100) for quantity in ("0.1", "0.5", "0.2")
    )

    btc_at("38_500.00")  # -1,500.00; +150.00, +750.00, +300.00
    closes(alice, losing)

    assert [became(order) for order in (small, large, middle)] == [("OPEN", ""), ("CLOSED", "stop_out"), ("OPEN", "")]
    assert cash(alice) == usd("250.00")
    assert (drawn(alice), balance(alice, MARGIN)) == (0, usd("120.00"))


def test_a_part_of_the_losing_half_counts_with_its_own_loss() -> None:
    alice = a_customer(with_usd="900.00")
    btc_at("40_000.00")
    bought, sold = a_hedge(alice)

    btc_at("38_000.00")
    closes(alice, bought, "0.45")  # exactly 900.00: nobody else has to help
    assert (cash(alice), became(sold)) == (0, ("OPEN", ""))
    closes(alice, bought, "0.00001")  # a cent and a bit more

    assert became(sold) == ("CLOSED", "stop_out")
    assert cash(alice) == usd("1_999.98")
    assert now(bought).status == "OPEN"


def test_a_stop_loss_beyond_the_cash_takes_the_winning_half_with_it() -> None:
    alice = a_customer(with_usd="900.00")
    btc_at("40_000.00")
    bought = opens(alice, quantity="1", leverage=100, stopLoss="39000")
    sold = opens(alice, type="sell", quantity="1", leverage=100)

    btc_at("38_500.00")
    fires(bought)

    assert (became(bought), became(sold)) == (("CLOSED", "stop_loss"), ("CLOSED", "stop_out"))
    assert cash(alice) == usd("900.00")


def test_a_stop_out_beyond_the_cash_takes_the_winners_that_it_had_spared() -> None:
    """-1,600.00 and +300.00 of 900.00: equity is -400.00, so everything goes."""
    alice = a_customer(with_usd="900.00")
    btc_at("40_000.00")
    bought, sold = a_hedge(alice, "1", "0.1875")

    btc_at("38_400.00")
    judges(alice)

    assert (became(bought)[0], became(sold)[0], cash(alice)) == ("CLOSED", "CLOSED", 0)
    assert house(PROTECTION) == -usd("400.00")


# --- without a price -------------------------------------------------------------------------------


def test_without_a_price_for_the_others_a_loss_beyond_the_cash_is_refused_and_nothing_changes() -> None:
    """Guard: `refuse_if_uncovered`. Without it the house pays, and ether is won when its price is back."""
    alice = a_customer(with_usd="1_000.00")
    btc_at("40_000.00")
    price_at("ETH-USD", "2_000.00")
    losing = opens(alice, quantity="1", leverage=100)
    hedge = opens(alice, symbol="eth", type="sell", quantity="10", leverage=100)
    price_at("ETH-USD", "1_900.00", at=timezone.now() - timedelta(minutes=1))

    btc_at("38_000.00")
    before = (cash(alice), moved(alice), happened(alice))
    told = [refused(closing(alice, losing.code)), refused(closing(alice, losing.code, quantity="0.6"))]

    assert told == ["Price data not found for symbol: ETH-USD"] * 2
    assert (cash(alice), moved(alice), happened(alice)) == before
    assert (became(losing), became(hedge)) == (("OPEN", ""), ("OPEN", ""))

    closes(alice, losing, "0.5")  # 1,000.00, which is there
    price_at("ETH-USD", "1_900.00")
    closes(alice, losing)
    assert became(hedge) == ("CLOSED", "stop_out")


def test_a_winning_close_asks_for_nobody_elses_price() -> None:
    alice = a_customer(with_usd="1_000.00")
    btc_at("40_000.00")
    price_at("ETH-USD", "2_000.00")
    winning = opens(alice, quantity="1", leverage=100)
    opens(alice, symbol="eth", quantity="1")
    prices.forget("ETH-USD")

    btc_at("41_000.00")

    assert closes(alice, winning).profit == usd("1_000.00")


# --- drawn on margins ------------------------------------------------------------------------------


def test_a_loss_beyond_the_free_cash_is_drawn_from_the_other_orders_margin_and_put_back_later() -> None:
    """1,000.00; A and B reserve 420.00 each. A loses 700.00: B's margin is short of 120.00 until A' wins 50.00."""
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00")
    a, b = opens(alice), opens(alice)
    btc_at("35_000.00")
    closes(alice, a)

    assert (balance(alice), balance(alice, MARGIN), drawn(alice)) == (0, usd("300.00"), usd("120.00"))
    assert now(b).margin == usd("420.00")

    deposit(alice, "USD", "70.00")
    btc_at("37_000.00")
    told = says(closing(alice, b.code, quantity="0.05"))  # -250.00

    assert told["order"]["profit"] == -250
    assert moved(alice)[-3:] == [
        ("order_margin_release", usd("210.00")),
        ("order_loss", usd("250.00")),
        ("order_margin_restored", usd("30.00")),
    ]
    assert (balance(alice, AVAILABLE), balance(alice, MARGIN), drawn(alice)) == (0, usd("120.00"), usd("90.00"))


def test_a_profit_restores_all_that_was_drawn_and_the_rest_is_free() -> None:
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00")
    price_at("ETH-USD", "2_000.00")
    a, b = opens(alice), opens(alice)
    ether = opens(alice, symbol="eth", quantity="1", leverage=100)
    btc_at("35_000.00")
    closes(alice, a)
    assert (balance(alice), drawn(alice)) == (0, usd("140.00"))

    price_at("ETH-USD", "2_200.00")
    closes(alice, ether)

    assert moved(alice)[-1] == ("order_margin_restored", usd("140.00"))
    assert (balance(alice), balance(alice, MARGIN), drawn(alice)) == (usd("80.00"), now(b).margin, 0)


def test_the_last_order_releases_what_is_left_of_its_margin() -> None:
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00")
    a, b = opens(alice), opens(alice)
    btc_at("35_000.00")
    closes(alice, a)

    btc_at("42_000.00")
    closes(alice, b)

    assert moved(alice)[-1] == ("order_margin_release", usd("300.00"))
    assert (balance(alice), balance(alice, MARGIN), drawn(alice)) == (usd("300.00"), 0, 0)


def test_two_losses_in_one_tick_draw_one_after_the_other() -> None:
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00")
    a, b, c = opens(alice, leverage=20), opens(alice, leverage=20), opens(alice, leverage=20)

    btc_at("38_000.00")  # -400.00 each; 370.00 are free
    first, second = tick(closing(alice, a.code), closing(alice, b.code))

    assert (first.status, second.status) == (200, 200)
    assert (balance(alice), balance(alice, MARGIN), drawn(alice)) == (0, usd("200.00"), usd("10.00"))
    assert now(c).status == "OPEN"
