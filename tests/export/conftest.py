"""A ledger to export."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.utils import timezone

from accounts import services
from accounts.models import Customer
from quotes.candles import make_months
from quotes.models import Candle
from tests.given import a_customer, a_cut, a_settling_buy, btc, btc_at, deposit, exits, settles, usd


@pytest.fixture
def alice() -> Customer:
    """Deposits, trades, an exit, a batch and a price."""
    btc_at("40_000.00")
    alice = a_customer("alice", with_usd="50_000.00")
    deposit(alice, "ETH", "1.000000000000000001")
    bought = a_settling_buy(alice, btc("0.1"))
    a_settling_buy(alice, btc("0.00000001"))
    exits(bought)
    settles(a_cut())
    services.withdraw(alice, "USD", usd("12.34"), "wire-out", timezone.now(), "test")
    make_months([timezone.now()])
    Candle.objects.create(
        instrument_id="BTC-USD",
        minute=timezone.now(),
        open=1,
        high=Decimal("42350.755"),
        low=1,
        close=Decimal("42350.755"),
    )
    return alice
