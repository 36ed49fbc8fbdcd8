"""An engine's rollovers without its loop, at prices of any time."""

from __future__ import annotations

import contextlib
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.db import connection, transaction

from accounts.clock import must_commit_by, uptime
from accounts.clock import now as clock_now
from accounts.models import Transfer
from quotes import symbols
from quotes.models import Instrument
from quotes.prices import Price, Prices
from quotes.swap_calendar import cutoff
from trades.engine.bounds import Reading
from trades.engine.lease import Lease
from trades.engine.rollover import Rollover
from trades.models import EngineLease, Order, SwapRun

STANDS = {"BTC-USD": "42000", "XAU-USD": "2040", "ETH-USD": "2250", "SOL-USD": "98", "EUR-USD": "1.0875"}


def rates(symbol: str, long: str, short: str, triple: int | None = None) -> None:
    Instrument.objects.filter(symbol=symbol).update(
        swap_long_bps=Decimal(long), swap_short_bps=Decimal(short), swap_triple_weekday=triple
    )
    symbols.forget()


def at(time: str, **stands: str) -> Prices:
    """The market at a time in UTC: `at("2026-11-18 22:00", btc="42_000")`."""
    when = datetime.fromisoformat(time).replace(tzinfo=UTC)
    named = STANDS | {f"{name.upper()}-USD": price.replace("_", "") for name, price in stands.items()}
    return Prices(when, {s: Price(s, Decimal(p), Decimal(p), when) for s, p in named.items()})


class RolloverEngine:
    """An engine that only does rollovers. Its first look notes the last night and charges nothing."""

    def __init__(self, since: str = "") -> None:
        EngineLease.objects.update(renewed_at=None)  # the engine before is dead
        self.lease = Lease(0)
        assert self.lease.take()
        self.nights = Rollover(0, 1, self.lease)
        if since:
            self.runs(at(since))

    def runs(self, market: Prices) -> None:
        """Do every rollover that is due at this time."""
        self.nights.begin()
        while self.nights.turn(Reading(market, uptime()), market.now) is not None:
            pass
        _allow_more_time()

    def runs_and_raises(self, market: Prices) -> None:
        """The same; a failure is raised, which an engine only logs."""
        self.nights.begin()
        while self.nights._go_on(Reading(market, uptime()), market.now) is not None:
            pass

    def runs_the_next_rollover(self, **stands: str) -> date:
        """Do the first rollover that was not done yet, at these prices; gives its night."""
        night: date = SwapRun.objects.latest("night").night + timedelta(days=1)
        begins = cutoff(night, settings.SWAP_TIME, settings.SWAP_ZONE)
        self.runs(at(f"{begins:%Y-%m-%d %H:%M:%S}", **stands))
        return night

    def runs_a_slice(self, market: Prices) -> None:
        """Do one slice that has orders in it; sixteen partitions have a run of their own."""
        self.nights.begin()
        before = Transfer.objects.filter(kind="order_swap").count()
        while Transfer.objects.filter(kind="order_swap").count() == before:
            assert self.nights.turn(Reading(market, uptime()), market.now) is not None

    def is_killed_in_a_slice(self, market: Prices) -> None:
        with contextlib.suppress(KeyboardInterrupt), transaction.atomic():
            self.runs_a_slice(market)
            raise KeyboardInterrupt


def _allow_more_time() -> None:
    """A test is one transaction, and goes on for longer than a slice of a night may take."""
    if connection.in_atomic_block:
        must_commit_by(clock_now() + timedelta(hours=1))


def swaps(order: Order) -> list[tuple[str, int]]:
    """The order's swap movements: (night, signed base units as the customer sees them)."""
    found = Transfer.objects.filter(subject=order.pk, kind="order_swap").order_by("id").select_related("credit_account")
    return [
        (t.key.rpartition(":")[2], int(t.amount) if t.credit_account.customer_id else -int(t.amount)) for t in found
    ]
