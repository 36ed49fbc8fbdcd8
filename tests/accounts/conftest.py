"""History to seal."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.utils import timezone

from accounts import audit
from accounts.ids import uuid7
from accounts.models import Customer
from tests.given import a_customer, a_settling_buy, btc, btc_at
from trades.models import Deal


@pytest.fixture
def alice() -> Customer:
    """A customer with deposits and trades, an order's deals, and an audit that found nothing wrong."""
    btc_at("40_000.00")
    alice = a_customer(with_usd="50_000.00")
    for amount in ("0.1", "0.2", "0.3"):
        a_settling_buy(alice, btc(amount))
    audit.run(timezone.now())
    return alice


@pytest.fixture
def deal(alice: Customer) -> Deal:
    """A deal as such. It belongs to no order, which the recount of the orders says, but verifying doesn't mind."""
    return Deal.objects.create(
        customer=alice, order_id=uuid7(), kind="open", price=Decimal(40_000), quantity=Decimal("0.5"), at=timezone.now()
    )
