"""What may leave an account: the worked case of the contract, to the cent, by every way out there is.

Deposit 10,000.00; buy 10 BTC-USD at leverage 100 with 41090.75 / 41095.75: 4,109.58 are reserved.
"""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.test import Client

from accounts import clock, json_codec
from accounts.errors import InsufficientFunds
from accounts.models import Customer
from quotes import prices
from quotes.quoting import FeeTerms
from tests.given import (
    a_customer,
    a_quote,
    a_trade,
    balance,
    btc,
    btc_at,
    deposit,
    executes,
    price_at,
    stores,
    token_of,
    usd,
)
from tests.trades.corrections.staff import a_completed_batch, applies, why
from tests.trades.engine_steps import opening, opens, refused
from trades.corrections.errors import CannotPayBack
from trades.corrections.propose import propose_adjustment, propose_batch_reversal, propose_trade_reversal
from trades.errors import CustomerIsFrozen
from trades.funding import withdraw
from trades.models import Trade

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice() -> Customer:
    """With the position of the worked case."""
    customer = a_customer(with_usd="10_000.00")
    btc_at("41_090.75", "41_095.75")
    opens(customer, quantity="10", leverage=100)
    return customer


def pays_out(customer: Customer, amount: str, key: str = "wire") -> bool:
    return withdraw(customer, "USD", usd(amount), key, clock.now(), "test")


def withdrawable(customer: Customer) -> Decimal:
    answer = Client(headers={"Authorization": f"Bearer {token_of(customer)}"}).get("/api/v1/account")
    shown: Decimal = json_codec.loads(answer.content)["withdrawable"]
    return shown


@pytest.mark.parametrize(
    ("bid", "ask", "least_refused"), [("40_500", "40_505", "0.01"), ("40_900", "40_905", "3932.93")]
)
def test_a_withdrawal_is_refused_beyond_what_losses_leave(
    alice: Customer, bid: str, ask: str, least_refused: str
) -> None:
    """Guard: `refuse_beyond` in `funding.withdraw`."""
    btc_at(bid, ask)

    with pytest.raises(InsufficientFunds):
        pays_out(alice, least_refused)

    assert balance(alice) == usd("5_890.42")
    assert withdrawable(alice) == Decimal(least_refused) - Decimal("0.01")


def test_what_is_left_can_be_withdrawn_to_the_cent_once(alice: Customer) -> None:
    btc_at("40_900", "40_905")

    assert pays_out(alice, "3_932.92")
    assert not pays_out(alice, "3_932.92")  # the same once more, though nothing can be spent any more

    assert balance(alice) == usd("1_957.50")
    assert withdrawable(alice) == 0


def test_the_refusal_of_an_order_names_the_very_figure(alice: Customer) -> None:
    """Guard: one rule. Two formulas had differed by cents: 200 orders of 0.00001 BTC, 97.00 and 98.00."""
    bob = a_customer(with_usd="1_000.00")
    for _ in range(20):
        opens(bob, quantity="0.0001", leverage=1)
    btc_at("41_040.85", "41_045.85")

    told = refused(opening(bob, quantity="10", leverage=1))

    assert told.endswith(f"Available: ${withdrawable(bob)}")


def test_profits_are_not_money_yet(alice: Customer) -> None:
    btc_at("50_000.00")

    with pytest.raises(InsufficientFunds):
        pays_out(alice, "5_890.43")
    assert pays_out(alice, "5_890.42")


def test_without_any_price_of_a_position_nothing_leaves(alice: Customer) -> None:
    """Guard: `Held.unpriced`."""
    prices.forget("BTC-USD")

    with pytest.raises(InsufficientFunds, match="no price of BTC-USD"):
        pays_out(alice, "0.01")


def test_other_assets_and_customers_without_positions_need_no_price() -> None:
    bob = a_customer(with_usd="100.00")
    deposit(bob, "BTC", "1.0")

    assert pays_out(bob, "100.00")
    assert withdraw(bob, "BTC", btc("1.0"), "coins", clock.now(), "test")


def test_a_frozen_customer_is_not_paid_out() -> None:
    """Guard: the look at the customer's state in `funding.withdraw`."""
    bob = a_customer(with_usd="100.00")
    Customer.objects.filter(pk=bob.pk).update(state="frozen")

    with pytest.raises(CustomerIsFrozen):
        pays_out(bob, "0.01")
    assert balance(bob) == usd("100.00")


# --- spot trades -----------------------------------------------------------------------------------


def buys_eth(customer: Customer, dollars: str) -> Trade:
    price_at("ETH-USD", "2_000.00")
    return a_trade(customer, deliver=usd(dollars), symbol="ETH-USD", fees=FeeTerms(Decimal(0)))


@pytest.mark.parametrize(
    ("bid", "ask", "dollars", "becomes"),
    [
        ("40_500", "40_505", "5800.00", ("failed", "non_sufficient_funds")),
        ("40_900", "40_905", "3932.93", ("failed", "non_sufficient_funds")),
        ("40_900", "40_905", "3932.92", ("settling", None)),
    ],
)
def test_a_spot_trade_delivers_no_more_than_losses_leave(
    alice: Customer, bid: str, ask: str, dollars: str, becomes: tuple[str, str | None]
) -> None:
    """Guard: `held_by_positions`. The first had settled, brought about the stop-out, and the house paid 1,757.50."""
    btc_at(bid, ask)

    trade = buys_eth(alice, dollars)

    assert (trade.state, trade.failure_code) == becomes


def test_of_several_trades_each_takes_from_what_the_others_leave_of_it(alice: Customer) -> None:
    btc_at("40_900", "40_905")
    price_at("ETH-USD", "2_000.00")
    free = FeeTerms(Decimal(0))
    trades = [executes(a_quote(alice, deliver=usd("1_500.00"), symbol="ETH-USD", fees=free)) for _ in range(3)]

    stores(*trades)

    assert [trade.failure_code for trade in trades] == [None, None, "non_sufficient_funds"]


def test_without_a_price_of_a_position_a_trade_waits_in_storing(alice: Customer) -> None:
    """Guard: `TradeOutcome.waits`. It isn't the customer's fault that nobody knows."""
    price_at("ETH-USD", "2_000.00")
    trade = executes(a_quote(alice, deliver=usd("10.00"), symbol="ETH-USD"))
    prices.forget("BTC-USD")
    stores(trade)
    assert trade.state == "storing"

    btc_at("41_090.75", "41_095.75")
    stores(trade)
    assert trade.state == "settling"


def test_a_sale_needs_nothing_of_what_positions_hold(alice: Customer) -> None:
    deposit(alice, "BTC", "0.1")
    btc_at("40_500", "40_505")

    assert a_trade(alice, "sell", deliver=btc("0.1")).state == "settling"


# --- corrections -----------------------------------------------------------------------------------


def test_a_debit_adjustment_leaves_what_positions_need(alice: Customer) -> None:
    """Guard: `refuse_beyond` in `decide._adjust`."""
    btc_at("40_500", "40_505")

    with pytest.raises(InsufficientFunds):
        propose_adjustment(alice.pk, "USD", usd("0.01"), "debit", **why())
    propose_adjustment(alice.pk, "USD", usd("50.00"), "credit", **why())

    assert balance(alice) == usd("5_940.42")


def test_a_reversal_takes_back_no_more_than_can_be_spent() -> None:
    """Guards: `_refuse_unspendable` in `reverse_trade` and in `_take_back`. A sale is reversed: the customer would give
    back dollars that their position needs by now."""
    bob = a_customer(with_usd="6_000.00")
    btc_at("42_000.00")
    deposit(bob, "BTC", "1.0")
    sold = a_trade(bob, "sell", deliver=btc("0.1"))
    batch = a_completed_batch()
    opens(bob, quantity="1", leverage=10)  # 4,200.00, which leaves some 5,980.00
    btc_at("40_000.00")  # 2,000.00 are lost: the 4,200.00 of the sale can't be given back

    proposed = propose_trade_reversal(sold.pk, **why())
    with pytest.raises(InsufficientFunds):
        applies(proposed)
    with pytest.raises(CannotPayBack):
        applies(propose_batch_reversal(batch.pk, **why()))

    btc_at("42_000.00")
    applies(proposed)
    assert balance(bob, asset="BTC") == btc("1.0")


def test_a_reversal_that_brings_dollars_is_never_refused_for_a_position() -> None:
    bob = a_customer(with_usd="6_000.00")
    btc_at("42_000.00")
    bought = a_trade(bob, receive=btc("0.01"))
    a_completed_batch()
    opens(bob, quantity="1", leverage=10)
    btc_at("40_000.00")

    applies(propose_trade_reversal(bought.pk, **why()))

    assert balance(bob) == usd("1_800.00")
