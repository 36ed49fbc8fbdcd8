"""History to seal."""

from __future__ import annotations

from datetime import date

import pytest
from django.utils import timezone

from accounts import audit
from accounts.models import Customer
from quotes.models import MarketSwitch, PriceHold
from tests.given import a_customer, a_cut, a_quote, a_settling_buy, btc, btc_at
from tests.trades.engine_steps import opens
from trades.models import Deal, LegReport, SwapRun
from trades.settlement import leg_history


@pytest.fixture
def alice() -> Customer:
    """A customer with deposits and trades, one of them in a batch, and an audit that found nothing wrong."""
    btc_at("40_000.00")
    alice = a_customer(with_usd="50_000.00")
    for amount in ("0.1", "0.2", "0.3"):
        a_settling_buy(alice, btc(amount))
    leg = a_cut().legs.first()
    assert leg is not None
    leg_history.line(leg, LegReport.Kind.RETRIED, timezone.now()).save()
    PriceHold.objects.create(instrument_id="ETH-USD", number=1, bid=2200, ask=2201, at=timezone.now())
    MarketSwitch.objects.create(instrument_id="ETH-USD", number=1, switch="halted", reason="a test", at=timezone.now())
    SwapRun.objects.create(
        partition=1,
        night=date(2026, 11, 18),
        cutoff=timezone.now(),
        prices={"BTC-USD": 40_000},
        started_at=timezone.now(),
    )
    a_quote(alice, receive=btc("0.1"))
    audit.run(timezone.now())
    return alice


@pytest.fixture
def deal(alice: Customer) -> Deal:
    """The deal that opened an order."""
    return Deal.objects.get(order=opens(alice, quantity="0.5", leverage=50))
