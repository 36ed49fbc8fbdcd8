"""The exit page's story, told in the ledger's words."""

from __future__ import annotations

import pytest

from accounts.ledger import SETTLING
from tests.given import (
    a_customer,
    a_settling_buy,
    balance,
    btc,
    btc_at,
    exits,
    settle_everything,
    states,
    usd,
)

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
    assert batch.trades_count == batch.completed_count == 2
    assert balance(alice) == usd("10_000.00") - bought.deliver_amount + sold.receive_amount
    assert balance(alice, asset="BTC") == balance(alice, SETTLING) == 0
