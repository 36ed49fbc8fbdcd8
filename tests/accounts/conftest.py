"""History to seal."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from django.utils import timezone

from accounts import audit
from accounts.ids import uuid7
from accounts.models import Customer
from quotes.models import PriceHold
from tests.given import a_customer, a_quote, a_settling_buy, btc, btc_at
from trades.models import Deal, OrderEvent, SwapRun


@pytest.fixture
def alice() -> Customer:
    """A customer with deposits and trades, an order's deals, and an audit that found nothing wrong."""
    btc_at("40_000.00")
    alice = a_customer(with_usd="50_000.00")
    for amount in ("0.1", "0.2", "0.3"):
        a_settling_buy(alice, btc(amount))
    PriceHold.objects.create(instrument_id="ETH-USD", number=1, bid=2200, ask=2201, at=timezone.now())
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
    """A deal as such, with its event. Neither belongs to an order, which the recount says; verifying doesn't mind."""
    order, at = uuid7(), timezone.now()
    OrderEvent.objects.create(customer=alice, order_id=order, kind="opened", at=at)
    return Deal.objects.create(
        customer=alice, order_id=order, kind="open", price=Decimal(40_000), quantity=Decimal("0.5"), at=at
    )
