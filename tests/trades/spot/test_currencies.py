"""Spot trades against an asset that has no smaller unit than one: yen."""

from __future__ import annotations

import pytest

from accounts.ledger import AVAILABLE
from tests.given import a_customer, a_cut, a_trade, balance, deposit, price_at, settles, usd, what_the_audit_finds
from trades.states import TradeState

pytestmark = pytest.mark.django_db


def test_dollars_are_bought_for_whole_yen_and_sold_for_whole_yen() -> None:
    alice = a_customer()
    deposit(alice, "JPY", "100000")
    price_at("USD-JPY", "148.245", "148.255")

    bought = a_trade(alice, symbol="USD-JPY", receive=usd("100.00"))
    assert (bought.state, bought.receive_amount) == (TradeState.SETTLING, usd("100.00"))
    assert (bought.deliver_amount, bought.fee) == (14_841, 15)  # 14,825.5 up, and 0.1 % of it

    settles(a_cut())
    assert (balance(alice, AVAILABLE, "JPY"), balance(alice)) == (100_000 - 14_841, usd("100.00"))

    sold = a_trade(alice, "sell", symbol="USD-JPY", deliver=usd("50.00"))
    settles(a_cut())
    assert (sold.deliver_amount, sold.receive_amount) == (usd("50.00"), 7_404)  # 7,412.25 less 0.1 % of it, down
    assert what_the_audit_finds() == []
