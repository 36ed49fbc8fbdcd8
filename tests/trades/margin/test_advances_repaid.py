"""How an advance comes back: from the profits of positions that were open by then; the rest is waived."""

from __future__ import annotations

import pytest

from accounts.ledger import MARGIN
from accounts.models import Customer
from tests.given import a_customer, balance, btc_at, deposit, market_closed_at, price_at, usd
from tests.trades.engine_steps import (
    became,
    cash,
    closes,
    closing,
    closing_all,
    drawn,
    fires,
    judges,
    moved,
    now,
    opens,
    owed,
    says,
    tick,
)
from tests.trades.margin.debts import a_debt, a_hedge, ends_with
from trades.models import MarginAccount, Order

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("books_balance")]


@pytest.fixture
def alice() -> Customer:
    return a_customer(with_usd="1_000.00")


@pytest.fixture
def ether(alice: Customer) -> Order:
    return a_debt(alice)


# --- repaid ----------------------------------------------------------------------------------------


def test_the_winner_repays_when_it_closes_and_the_rest_is_the_customers(alice: Customer, ether: Order) -> None:
    """Guard: `earn`. Without it the customer keeps all 1,500.00."""
    price_at("ETH-USD", "1_850.00")
    closes(alice, ether)

    assert moved(alice)[-2:] == [("order_profit", usd("1_500.00")), ("order_advance_repaid", usd("1_000.00"))]
    ends_with(alice, "500.00")  # as if both had closed together: 1,000.00 - 2,000.00 + 1,500.00


def test_a_profit_of_just_what_is_owed_leaves_nothing_to_waive(alice: Customer, ether: Order) -> None:
    price_at("ETH-USD", "1_900.00")
    closes(alice, ether)

    assert moved(alice)[-1] == ("order_advance_repaid", usd("1_000.00"))
    ends_with(alice, "0")


def test_what_a_smaller_profit_does_not_repay_is_waived(alice: Customer, ether: Order) -> None:
    """Guard: `waive_what_nothing_repays`. Without it 400.00 are owed for ever."""
    price_at("ETH-USD", "1_940.00")
    closes(alice, ether)

    assert moved(alice)[-2:] == [
        ("order_advance_repaid", usd("600.00")),
        ("order_advance_waived", usd("400.00")),
    ]
    ends_with(alice, "0", borne="400.00")


def test_a_loss_repays_nothing_and_all_is_waived(alice: Customer, ether: Order) -> None:
    price_at("ETH-USD", "2_010.00")
    judges(alice)

    assert became(ether) == ("CLOSED", "stop_out")
    assert moved(alice, "order_advance_repaid", "order_protection", "order_advance_waived") == [
        ("order_protection", usd("100.00")),
        ("order_advance_waived", usd("1_000.00")),
    ]
    ends_with(alice, "0", borne="1_100.00")


def test_parts_repay_with_their_own_profits_before_the_drawn_margin_is_put_back(alice: Customer, ether: Order) -> None:
    """Guard: `repay` comes before the margin is put back. After it, 100.00 of the first part's profit stay."""
    assert drawn(alice) == usd("200.00")
    price_at("ETH-USD", "1_880.00")
    part = closes(alice, ether, "5")  # +600.00

    assert part.opened_at == ether.opened_at
    assert moved(alice)[-2:] == [("order_profit", usd("600.00")), ("order_advance_repaid", usd("600.00"))]
    assert (cash(alice), owed(alice), drawn(alice)) == (0, usd("400.00"), usd("100.00"))

    closes(alice, ether, "4")  # +480.00
    assert (cash(alice), owed(alice), drawn(alice)) == (usd("80.00"), 0, 0)
    assert balance(alice, MARGIN) == usd("20.00")

    closes(alice, ether)
    ends_with(alice, "200.00")


def test_each_profit_of_a_tick_repays_once(alice: Customer, ether: Order) -> None:
    """Guard: `repay` forgets what was earned. Else the first profit would be taken again, out of the deposit."""
    deposit(alice, "USD", "700.00")
    price_at("ETH-USD", "1_950.00")
    tick(closing(alice, ether.code, quantity="2"), closing(alice, ether.code, quantity="4"))  # +100.00, +200.00

    assert moved(alice, "order_advance_repaid") == [
        ("order_advance_repaid", usd("100.00")),
        ("order_advance_repaid", usd("200.00")),
    ]
    assert (cash(alice), owed(alice)) == (usd("700.00"), usd("700.00"))


def test_a_take_profit_repays_like_any_close(alice: Customer) -> None:
    bitcoin, ether = a_hedge(alice, takeProfit="1900")
    market_closed_at("ETH-USD", "2_000.00")
    btc_at("38_000.00")
    fires(bitcoin)

    price_at("ETH-USD", "1_900.00")
    fires(ether)

    assert moved(alice, "order_advance_repaid") == [("order_advance_repaid", usd("1_000.00"))]
    assert owed(alice) == 0


def test_a_profit_repays_before_a_loss_of_the_same_command_can_take_it(alice: Customer, ether: Order) -> None:
    """What the loss then leaves uncovered is borne: 800.00, the same as would be waived if the loss went first."""
    deposit(alice, "USD", "1_600.00")
    btc_at("40_000.00")
    bitcoin = opens(alice, quantity="1", leverage=100)
    btc_at("37_600.00")  # -2,400.00
    price_at("ETH-USD", "1_900.00")  # +1,000.00
    says(closing_all(alice))

    assert (became(ether), became(bitcoin)) == (("CLOSED", "close_all"), ("CLOSED", "close_all"))
    assert moved(alice, "order_advance_repaid", "order_protection", "order_advance_waived") == [
        ("order_advance_repaid", usd("1_000.00")),
        ("order_protection", usd("800.00")),
    ]
    ends_with(alice, "0", borne="800.00")


def a_debt_with_three_positions(by: Customer) -> tuple[Order, Order]:
    """5,000.00 are owed, 3,500.00 were paid in since. A winner and a loser in ether, and gold that reserves most."""
    btc_at("40_000.00")
    price_at("ETH-USD", "2_000.00")
    price_at("XAU-USD", "2_000.00")
    bitcoin = opens(by, quantity="5", leverage=100, stopLoss="39000")
    winning = opens(by, symbol="eth", type="sell", quantity="10", leverage=100)
    losing = opens(by, symbol="eth", quantity="30", leverage=100)
    gold = opens(by, symbol="xau", quantity="100", leverage=100)
    market_closed_at("ETH-USD", "2_000.00")
    market_closed_at("XAU-USD", "2_000.00")
    btc_at("38_000.00")
    fires(bitcoin)
    deposit(by, "USD", "3_500.00")
    price_at("XAU-USD", "2_000.00")
    closes(by, gold, "1")  # puts back what was drawn
    assert (cash(by), owed(by), drawn(by)) == (usd("3_500.00"), usd("5_000.00"), 0)
    price_at("ETH-USD", "1_900.00")  # +1,000.00 and -3,000.00
    return winning, losing


def test_a_profit_repays_though_a_loss_of_the_same_command_took_what_was_free() -> None:
    """Guard: `repay` doesn't look at what is free. If it did, whoever closes both at once would keep 1,000.00 more."""
    one_by_one, at_once = (a_customer(with_usd="5_000.00") for _ in range(2))

    winning, losing = a_debt_with_three_positions(one_by_one)
    closes(one_by_one, losing)
    closes(one_by_one, winning)
    a_debt_with_three_positions(at_once)
    says(closing_all(at_once, "eth"))

    for somebody in (one_by_one, at_once):
        assert (cash(somebody), owed(somebody)) == (usd("500.00"), usd("4_000.00"))


def test_the_winner_that_an_advance_waits_for_covers_no_later_loss_while_there_are_other_winners(
    alice: Customer, ether: Order
) -> None:
    """Guard: `_realize_profits` goes on until what is due is there. Without it 1,000.00 are won out of nothing.

    A later hedge: one bitcoin position has lost 4,000.00, five others have won 800.00 each, which is less than ether.
    """
    deposit(alice, "USD", "3_000.00")
    losing = opens(alice, quantity="2", leverage=100)
    others = [opens(alice, type="sell", quantity="0.4", leverage=100) for _ in range(5)]
    price_at("ETH-USD", "1_900.00")
    btc_at("36_000.00")
    closes(alice, losing)

    assert became(ether) == ("CLOSED", "stop_out")
    assert [now(other).status for other in others] == ["CLOSED"] * 2 + ["OPEN"] * 3
    says(closing_all(alice))
    ends_with(alice, "3_000.00")


def test_where_a_loss_leaves_too_little_to_repay_with_other_winners_close_too(alice: Customer, ether: Order) -> None:
    """Guard: `make_good` looks for what is due, not only for cash below zero. Without that the house pays 100.00."""
    deposit(alice, "USD", "3_000.00")
    price_at("ETH-USD", "2_000.00")
    opens(alice, symbol="eth", quantity="20", leverage=100)
    bitcoin = opens(alice, type="sell", quantity="2", leverage=100)
    price_at("ETH-USD", "1_790.00")  # +2,100.00 and -4,200.00: 900.00 of cash are left, and 1,000.00 are due
    btc_at("37_000.00")  # +2,000.00
    says(closing_all(alice, "eth"))

    assert became(bitcoin) == ("CLOSED", "stop_out")
    ends_with(alice, "1_900.00")


def test_the_winner_that_an_advance_waits_for_covers_no_later_loss_while_another_market_rests(
    alice: Customer, ether: Order
) -> None:
    """Guard: `repay` doesn't look at cash. If it did, 1,000.00 would be waived, and gold's profit be kept."""
    deposit(alice, "USD", "3_000.00")
    price_at("XAU-USD", "2_000.00")
    losing = opens(alice, quantity="2", leverage=100, stopLoss="37000")
    gold = opens(alice, symbol="xau", type="sell", quantity="100", leverage=200)
    market_closed_at("XAU-USD", "2_000.00")
    price_at("ETH-USD", "1_900.00")
    btc_at("36_000.00")
    fires(losing)

    assert moved(alice, "order_advance_repaid", "order_advance")[1:] == [
        ("order_advance_repaid", usd("1_000.00")),
        ("order_advance", usd("1_000.00")),
    ]
    assert (became(ether), owed(alice)) == (("CLOSED", "stop_out"), usd("1_000.00"))
    price_at("XAU-USD", "1_960.00")
    closes(alice, gold)
    ends_with(alice, "3_000.00")


# --- what doesn't repay ----------------------------------------------------------------------------


def test_a_deposit_repays_nothing(alice: Customer, ether: Order) -> None:
    """Guard: `repay` is limited by what closings earned. Without that the deposit repays the advance."""
    deposit(alice, "USD", "700.00")
    price_at("ETH-USD", "1_950.00")
    closes(alice, ether, "2")  # +100.00

    assert moved(alice)[-2:] == [("order_advance_repaid", usd("100.00")), ("order_margin_restored", usd("160.00"))]
    assert (cash(alice), owed(alice)) == (usd("700.00"), usd("900.00"))
    closes(alice, ether)
    ends_with(alice, "700.00", borne="500.00")


def test_a_position_opened_after_the_advance_repays_nothing(alice: Customer, ether: Order) -> None:
    """Guard: `_is_awaited` compares the opening with the advance. Without it the 200.00 go to the house."""
    deposit(alice, "USD", "1_500.00")
    later = opens(alice, quantity="0.1", leverage=100)
    btc_at("40_000.00")
    closes(alice, later)

    assert ("order_profit", usd("200.00")) in moved(alice)
    assert (cash(alice), owed(alice)) == (usd("1_700.00"), usd("1_000.00"))

    price_at("ETH-USD", "2_000.00")
    closes(alice, ether)
    ends_with(alice, "1_700.00", borne="1_000.00")


def test_what_is_left_is_waived_though_a_later_position_is_still_open(alice: Customer, ether: Order) -> None:
    deposit(alice, "USD", "1_500.00")
    later = opens(alice, quantity="0.1", leverage=100)
    price_at("ETH-USD", "1_990.00")
    closes(alice, ether)

    assert (owed(alice), now(later).status) == (0, "OPEN")
    closes(alice, later)
    ends_with(alice, "1_500.00", borne="900.00")


def test_where_the_house_bears_a_loss_for_good_it_waives_what_it_advanced_before(alice: Customer, ether: Order) -> None:
    """Ether has a price again, and has not won: nothing is left to wait for."""
    deposit(alice, "USD", "1_600.00")
    later = opens(alice, quantity="1", leverage=100, stopLoss="37000")
    price_at("ETH-USD", "2_000.00")
    btc_at("36_000.00")
    fires(later)  # -2,000.00

    assert moved(alice)[-2:] == [
        ("order_protection", usd("400.00")),
        ("order_advance_waived", usd("1_000.00")),
    ]
    assert became(ether) == ("OPEN", "")
    ends_with(alice, "0", borne="1_400.00")


# --- two advances ----------------------------------------------------------------------------------


def test_two_advances_are_one_debt(alice: Customer, ether: Order) -> None:
    deposit(alice, "USD", "1_600.00")
    btc_at("40_000.00")
    later = opens(alice, quantity="1", leverage=100, stopLoss="39000")
    first = MarginAccount.objects.get(customer=alice).owed_at
    btc_at("38_000.00")
    fires(later)

    account = MarginAccount.objects.get(customer=alice)
    assert (owed(alice), cash(alice)) == (usd("1_400.00"), 0)
    assert first is not None
    assert account.owed_at is not None
    assert account.owed_at > first

    price_at("ETH-USD", "1_800.00")
    closes(alice, ether)
    ends_with(alice, "600.00")  # 1,000.00 and 1,600.00 paid in, two losses of 2,000.00, one profit of 2,000.00


def test_two_stop_losses_in_one_tick_advance_one_after_the_other(alice: Customer) -> None:
    bitcoin, ether = a_hedge(alice)
    second = opens(alice, quantity="0.1", leverage=100, stopLoss="39000")
    market_closed_at("ETH-USD", "2_000.00")
    btc_at("38_000.00")
    fires(bitcoin, second)

    assert moved(alice, "order_advance") == [("order_advance", usd("1_000.00")), ("order_advance", usd("200.00"))]
    price_at("ETH-USD", "1_880.00")
    closes(alice, ether)
    ends_with(alice, "0")
