"""Two people who change instruments, and a book that a wide spread would close."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.utils import timezone

from accounts.models import Customer
from quotes import references
from quotes.models import Instrument, InstrumentChange
from tests.given import a_customer, btc_at
from tests.trades.corrections.staff import a_member_of_staff
from tests.trades.engine_steps import opens
from trades.instruments import change
from trades.models import Order

BTC = "BTC-USD"


def any_spread_counts(symbol: str = BTC) -> None:
    """An instrument whose prices count however wide: two persons have agreed to that before."""
    Instrument.objects.filter(pk=symbol).update(max_spread_percent=200)
    references.forget()


def somebody() -> UUID:
    """Somebody else of the staff, each time."""
    return a_member_of_staff().pk


def proposes(symbol: str = BTC, *, by: UUID | None = None, once: UUID | None = None, **wanted: Any) -> InstrumentChange:
    who = by or somebody()
    return change.propose(symbol, wanted, reason="the venue asks for it", by=who, at=timezone.now(), once=once)


def applies(proposed: InstrumentChange, *, by: UUID | None = None) -> InstrumentChange:
    """Another one applies it."""
    return change.apply(proposed.pk, by=by or somebody(), at=timezone.now())


def now(symbol: str = BTC) -> Instrument:
    return Instrument.objects.get(pk=symbol)


def a_hedger() -> tuple[Customer, Order, Order]:
    """A customer with a long and a short of 0.1 BTC, each with a stop loss 1,000 away, at 40,000.00 / 40,020.00."""
    btc_at("40_000.00", "40_020.00")
    alice = a_customer(with_usd="10_000.00")
    long = opens(alice, quantity="0.1", leverage=10, stopLoss="39000")
    short = opens(alice, type="sell", quantity="0.1", leverage=10, stopLoss="41020")
    return alice, long, short
