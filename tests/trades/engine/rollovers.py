"""An engine's rollovers without its loop, at prices of any time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.db import connection, transaction

from accounts.clock import committed_together, keep_ahead, must_commit_by, uptime
from accounts.clock import now as clock_now
from accounts.db.pipeline import Known, Pending, Pipeline
from accounts.models import Transfer
from quotes import symbols
from quotes.models import Instrument
from quotes.prices import Price, Prices
from quotes.swap_calendar import cutoff
from trades.engine.apply import Applied
from trades.engine.bounds import Reading
from trades.engine.lease import Lease
from trades.engine.rollover import Rollover
from trades.models import EngineLease, Order, SwapRun

STANDS = {
    **{"BTC-USD": "42000", "XAU-USD": "2040", "ETH-USD": "2250", "SOL-USD": "98", "EUR-USD": "1.0875"},
    **{"USD-JPY": "150", "EUR-GBP": "0.85", "GBP-USD": "1.25", "ETH-BTC": "0.05"},
}


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


class LeaseOfAnyTime(Lease):
    """A lease whose answer is that the firm's time is `at`, as if the firm's clock had been moved to it."""

    at: datetime

    def ask(self, p: Pipeline) -> Pending[datetime]:
        clocks = super().ask(p).result()
        keep_ahead(self.at - clocks)
        return Known(clocks)


class RolloverEngine:
    """An engine that only does rollovers. Its first look notes the last night and charges nothing."""

    def __init__(self, since: str = "") -> None:
        EngineLease.objects.update(renewed_at=None)  # the engine before is dead
        self.lease = LeaseOfAnyTime(0)
        assert self.lease.take()
        self.nights = Rollover(0, 1, self.lease)
        if since:
            self.runs(at(since))

    def runs(self, market: Prices) -> None:
        """Do every rollover that is due at this time."""
        self.nights.begin()
        while self.turn(market) is not None:
            pass
        _allow_more_time()

    def turn(self, market: Prices) -> Applied | None:
        """One turn at this time."""
        with self._stands_at(market.now):
            return self.nights.turn(Reading(market, uptime()), market.now)

    @contextlib.contextmanager
    def _stands_at(self, at: datetime) -> Iterator[None]:
        self.lease.at = at
        try:
            yield
        finally:
            keep_ahead(timedelta(0))

    def runs_and_raises(self, market: Prices) -> None:
        """The same; a failure is raised, which an engine only logs."""
        self.nights.begin()
        with self._stands_at(market.now):
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
            assert self.turn(market) is not None

    def is_killed_in_a_slice(self, market: Prices) -> None:
        with contextlib.suppress(KeyboardInterrupt), transaction.atomic():
            self.runs_a_slice(market)
            raise KeyboardInterrupt


def _allow_more_time() -> None:
    """A test is one transaction, and goes on for longer than a slice of a night may take: the engine's bound of ten
    seconds (`lease._said`) would end its session. Also where the test is a transaction inside that one."""
    if connection.in_atomic_block:
        with committed_together():
            must_commit_by(clock_now() + timedelta(hours=1))


def swaps(order: Order) -> list[tuple[str, int]]:
    """The order's swap movements: (night, signed base units as the customer sees them)."""
    found = Transfer.objects.filter(subject=order.pk, kind="order_swap").order_by("id").select_related("credit_account")
    return [
        (t.key.rpartition(":")[2], int(t.amount) if t.credit_account.customer_id else -int(t.amount)) for t in found
    ]
