"""The exit page's story, told in the ledger's words: every rule of an exit trade, with its money."""

from __future__ import annotations

from decimal import Decimal

import pytest

from accounts.ledger import FEES, SETTLING
from accounts.models import LedgerAccount
from quotes.quoting import FeeTerms
from tests.given import (
    a_customer,
    a_cut,
    a_quote,
    a_settling_buy,
    a_trade,
    an_exit_quote,
    balance,
    btc,
    btc_at,
    deposit,
    executes,
    exits,
    price_at,
    settle_everything,
    settles,
    states,
    stores,
    usd,
    what_the_audit_finds,
)
from trades.errors import ReferenceNotExitable

pytestmark = pytest.mark.django_db


def test_an_exit_settles_with_its_original_and_the_gain_is_the_customers():
    alice = a_customer(with_usd="10_000.00")
    bought = a_settling_buy(alice, btc("0.1"), at_price="42_350.75")
    assert balance(alice) == usd("10_000.00") - bought.deliver_amount
    assert balance(alice, SETTLING, "BTC") == btc("0.1")

    btc_at("43_000.00")
    sold = exits(bought)
    assert sold.state == "settling"
    assert (sold.side, sold.deliver_amount) == ("sell", bought.receive_amount)
    assert balance(alice, SETTLING, "BTC") == 0

    batch = settle_everything()
    assert states(bought, sold) == ["completed", "completed"]
    assert batch.state == "completed"
    assert batch.trades_count == batch.completed_count == 2
    assert balance(alice) == usd("10_000.00") - bought.deliver_amount + sold.receive_amount
    assert balance(alice, asset="BTC") == balance(alice, SETTLING) == 0
    assert what_the_audit_finds() == []


def test_after_a_fall_the_exit_costs_the_customer_the_difference_and_both_fees():
    alice = a_customer(with_usd="5_000.00")
    bought = a_settling_buy(alice, btc("0.1"), at_price="40_000.00")

    btc_at("39_000.00")
    sold = exits(bought)
    settle_everything()

    assert bought.fee == usd("10.00")  # 25 hundredths of a percent of 4,000.00
    assert sold.fee == usd("9.75")
    assert balance(alice) == usd("5_000.00") - usd("100.00") - usd("10.00") - usd("9.75")
    fees = sum(row.balance for row in LedgerAccount.objects.filter(type=FEES, asset_id="USD"))
    assert fees == usd("19.75")
    assert what_the_audit_finds() == []


def test_an_exit_needs_no_free_balance_because_it_delivers_what_the_original_left():
    alice = a_customer(with_usd="4_010.00")
    bought = a_settling_buy(alice, btc("0.1"), at_price="40_000.00")
    assert balance(alice) == 0

    sold = exits(bought)

    assert sold.state == "settling"
    assert sold.taken_from_settling == btc("0.1")


def test_buying_back_dearer_than_sold_takes_the_difference_from_what_is_free():
    alice = a_customer(with_usd="200.00")
    deposit(alice, "BTC", "0.1")
    btc_at("40_000.00")
    sold = a_trade(alice, "sell", deliver=btc("0.1"))
    assert sold.receive_amount == balance(alice, SETTLING) == usd("3_990.00")

    btc_at("41_000.00")
    back = exits(sold)
    cost = usd("4_100.00") + usd("10.25")
    assert (back.state, back.side, back.receive_amount, back.deliver_amount) == ("settling", "buy", btc("0.1"), cost)
    assert back.taken_from_settling == usd("3_990.00")
    assert balance(alice, SETTLING) == 0
    assert balance(alice) == usd("200.00") - (cost - usd("3_990.00"))

    settle_everything()
    assert balance(alice, asset="BTC") == btc("0.1")
    assert what_the_audit_finds() == []


def test_buying_back_cheaper_leaves_the_rest_in_settling_until_the_batch_completes():
    alice = a_customer()
    deposit(alice, "BTC", "0.1")
    btc_at("40_000.00")
    sold = a_trade(alice, "sell", deliver=btc("0.1"))

    btc_at("38_000.00")
    back = exits(sold)
    rest = sold.receive_amount - back.deliver_amount
    assert balance(alice, SETTLING) == rest > 0
    assert balance(alice) == 0

    settle_everything()
    assert balance(alice) == rest
    assert balance(alice, SETTLING) == 0


def test_an_exit_that_nobody_can_pay_fails_and_moves_nothing_and_the_original_can_be_tried_again():
    alice = a_customer()
    deposit(alice, "BTC", "0.1")
    btc_at("40_000.00")
    sold = a_trade(alice, "sell", deliver=btc("0.1"))

    btc_at("41_000.00")
    refused = exits(sold)
    assert (refused.state, refused.failure_code) == ("failed", "non_sufficient_funds")
    assert balance(alice, SETTLING) == sold.receive_amount

    deposit(alice, "USD", "500.00")
    assert exits(sold).state == "settling"
    assert what_the_audit_finds() == []


def test_a_batched_trade_still_gets_an_exit_quote_but_its_exit_fails():
    alice = a_customer(with_usd="5_000.00")
    bought = a_settling_buy(alice, btc("0.1"), at_price="40_000.00")
    batch = a_cut()

    late = exits(bought)
    assert (late.state, late.failure_code) == ("failed", "invalid_reference_trade")
    assert balance(alice, SETTLING, "BTC") == btc("0.1")

    settles(batch)
    assert states(bought, late) == ["completed", "failed"]
    assert what_the_audit_finds() == []


def test_a_trade_has_one_live_exit():
    alice = a_customer(with_usd="5_000.00")
    bought = a_settling_buy(alice, btc("0.1"), at_price="40_000.00")
    first, second = executes(an_exit_quote(bought)), executes(an_exit_quote(bought))

    stores(first, second)

    assert [first.state, second.state] == ["settling", "failed"]
    assert second.failure_code == "invalid_reference_trade"
    third = exits(bought)
    assert third.failure_code == "invalid_reference_trade"


def test_an_exit_can_not_be_exited():
    alice = a_customer(with_usd="5_000.00")
    bought = a_settling_buy(alice, btc("0.1"), at_price="40_000.00")
    sold = exits(bought)

    with pytest.raises(ReferenceNotExitable):
        an_exit_quote(sold)


def test_only_a_settling_trade_gets_an_exit_quote():
    alice = a_customer(with_usd="5_000.00")
    btc_at("40_000.00")
    stored = executes(a_quote(alice, receive=btc("0.01")))
    failed = a_trade(alice, receive=btc("10"))
    completed = a_settling_buy(alice, btc("0.01"))
    settle_everything()

    for trade in (stored, failed, completed):
        with pytest.raises(ReferenceNotExitable):
            an_exit_quote(trade)


def test_an_exit_of_wei_is_exact_to_the_last_unit():
    alice = a_customer(with_usd="50_000.00")
    price_at("ETH-USD", "2_250.37", "2_251.11")
    ten = 10 * 10**18 + 1
    bought = a_trade(alice, receive=ten, symbol="ETH-USD", fees=FeeTerms(Decimal(0)))
    sold = exits(bought)
    settle_everything()

    assert bought.deliver_amount == 2_251_111  # 10.000000000000000001 ETH at the ask, rounded up to a cent
    assert sold.deliver_amount == ten
    assert balance(alice, asset="ETH") == 0
    assert what_the_audit_finds() == []
