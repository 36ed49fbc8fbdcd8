"""Overnight swap: what a position earns or costs for being held through the night.

Once a night and partition: a row says at which prices and how far it came, and every order's movement has the night
in its key, so a killed engine's successor goes on and nobody is charged twice. A run takes some hundred orders between
two ticks, so that trading goes on meanwhile.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import InterfaceError, InternalError, OperationalError, transaction
from django.db.models import F, Max

from accounts.clock import is_too_late, must_commit_by, uptime
from accounts.conflicts import was_ended
from accounts.db.pipeline import pipeline
from accounts.ids import PARTITIONS, partition_of
from accounts.money import exact
from quotes import conversion as conversions
from quotes.conversion import ONE
from quotes.models import Instrument
from quotes.prices import Prices
from quotes.swap_calendar import cutoff, nights, times_counted
from quotes.symbols import hours_of, instruments
from trades.engine.apply import Applied, done, market_at
from trades.engine.bounds import FIRST_SECONDS, LONGEST_SECONDS, Bound, Reading
from trades.engine.lease import Lease, LeaseLost
from trades.engine.load import load_held
from trades.engine.store import store
from trades.margin import pricing
from trades.margin.positions import make_good, move_swap
from trades.margin.rows import OrderRow
from trades.margin.session import Kind, Session
from trades.models import SwapRun
from trades.states import OrderStatus

log = logging.getLogger("engine")

SLICE = 500
MOST_NIGHTS = 7  # that one look begins: it has a second to be committed in
PATIENCE_SECONDS = 600
REST_SECONDS = 60  # after something went wrong that trying again at once would not mend


class Rate(NamedTuple):
    """What an instrument's night costs a buy and a sell, hundredths of a percent, and how often it counts."""

    long: Decimal
    short: Decimal
    times: int


@dataclass(slots=True)
class _Run:
    """Runs of one night that stand at the same place are one: their orders are found in one go."""

    night: date
    cutoff: datetime
    prices: dict[str, Decimal]
    rates: dict[str, Rate]
    conversions: dict[str, conversions.Rate]  # by what instruments are counted in, to the account currency
    through: tuple[UUID, UUID] | None
    rows: dict[int, UUID]  # of the partitions' runs


class Rollover:
    """The swaps of an engine's customers."""

    def __init__(self, partition: int, partitions: int, lease: Lease) -> None:
        self.mine = [number for number in range(PARTITIONS) if number % partitions == partition]
        self.lease = lease
        self._due: list[_Run] = []
        self._next: datetime | None = None  # when the coming night begins; before it nothing can be due
        self._rests_until = 0.0  # by `uptime`
        self._patient_until: float | None = None  # the same

    def begin(self) -> None:
        """After a start, or what was undone: look at what is due at the next turn."""
        self._due, self._next = [], None

    def turn(self, reading: Reading, at: datetime) -> Applied | None:
        """Do the next slice of a night that is due at `at` (the firm's time), if any.

        What it writes is dated as ticks are, by the lease's answer: `at` may be somewhat behind that.
        What is wrong with one must not stop trading.
        """
        if uptime() < self._rests_until:
            return None
        try:
            return self._go_on(reading, at)
        except OperationalError as failure:
            if is_too_late(failure):  # this process stood still: the next turn tries again, and remembers nothing of it
                self.begin()
                return None
            raise
        except (InterfaceError, LeaseLost):
            raise
        except Exception as failure:
            if isinstance(failure, InternalError) and was_ended(failure):
                raise
            log.exception("swap can't go on and is tried again in %s seconds", REST_SECONDS)
            self._rests_until = uptime() + REST_SECONDS
            self.begin()
            return None

    def _go_on(self, reading: Reading, at: datetime) -> Applied | None:
        if not self._due and (self._next is None or at >= self._next) and self._knows_the_market(reading.prices):
            self._due = self._find(reading, at)
        if not self._due:
            return None
        applied, is_done = self._slice(self._due[0], reading)
        if is_done:
            self._due.pop(0)
        return applied

    def _knows_the_market(self, prices: Prices) -> bool:
        """Whether a night may begin: right after a start of everything the feed may not have spoken yet.

        A position without any price is charged nothing, so every active instrument's first one is waited for; not for
        ever, because one that nobody feeds must not keep the others' nights back.
        """
        silent = [row.symbol for row in instruments().values() if row.is_active and row.symbol not in prices.by_symbol]
        if not silent:
            self._patient_until = None
            return True
        if self._patient_until is None:
            self._patient_until = uptime() + PATIENCE_SECONDS
            log.info("swap waits for the first price of %s", ", ".join(sorted(silent)))
        return uptime() >= self._patient_until

    @transaction.atomic
    def _find(self, reading: Reading, at: datetime) -> list[_Run]:
        """Runs that were begun and not finished, and those of nights that have ended since the last one.

        Of many nights it begins the oldest few, and the rest is due once those are done. An installation's first look
        only notes the last night: nobody is charged for one before that.
        """
        bound = Bound(self.lease, reading, None, FIRST_SECONDS)
        with pipeline() as p:
            bound.begin(p)
            dated = bound.began()
        runs = SwapRun.objects.filter(partition__in=self.mine)
        latest = dict(runs.values_list("partition").annotate(Max("night")))
        prices = {symbol: f"{price.mid:f}" for symbol, price in reading.prices.by_symbol.items()}
        rates = cache(_rates_as_text)  # worked out once for each night
        rates_to_currency = _conversions_as_text(reading.prices)
        begun = [
            SwapRun(
                partition=partition,
                night=night,
                cutoff=beginning,
                prices=prices,
                rates=rates(night),
                conversions=rates_to_currency,
                started_at=dated,
                done_at=None if partition in latest else dated,
            )
            for partition in self.mine
            for night, beginning in _oldest_after(latest.get(partition), at)
        ]
        SwapRun.objects.bulk_create(begun)
        latest |= {run.partition: run.night for run in begun}
        coming = min(latest.values()) + timedelta(days=1)
        self._next = cutoff(coming, settings.SWAP_TIME, settings.SWAP_ZONE)
        found = _grouped(runs.filter(done_at=None).order_by("night", "partition"))
        must_commit_by(bound.commit_by(None))
        return found

    @transaction.atomic
    def _slice(self, run: _Run, reading: Reading) -> tuple[Applied, bool]:
        bound = Bound(self.lease, reading, None, LONGEST_SECONDS)
        market = market_at(reading.prices)
        with pipeline() as p:
            bound.begin(p)
            dated = bound.began()
            session, held = load_held(p, market, run.rows.keys(), run.cutoff, run.through, SLICE, dated, bound.redis_at)
            for order in held:
                if order.status == OrderStatus.OPEN:  # another one's charge may have closed it
                    _charge(session, order, run)
            changes = store(p, session, (), bound=bound)
        is_done = len(held) < SLICE
        if held:
            run.through = held[-1].customer_id, held[-1].id
        _note(run, held, dated if is_done else None)
        if is_done:
            log.info("swap of %s is done", run.night)
        return done(session, changes, []), is_done


@exact
def _charge(session: Session, order: OrderRow, run: _Run) -> None:
    """Pay or charge one order's swap for this night: what all its nights come to, less what was booked before.

    What is below a cent waits on the order for its next night, or its close.
    """
    symbol = order.instrument_id
    counted_in = session.market.instrument_of(order).counter_asset_id
    conversion = ONE if counted_in == session.market.currency else run.conversions.get(counted_in)
    accrued = swap_of(order, run.rates.get(symbol), run.prices.get(symbol), session.market.decimals, conversion)
    if not accrued:
        return
    amount = pricing.booked(accrued, order.swap_accrued)
    order.swap_accrued += accrued
    if amount == 0:
        return
    account, step = session.accounts[order.customer_id], f"swap:{run.night.isoformat()}"
    move_swap(session, account, order, amount, step)
    session.event(Kind.SWAPPED, order.customer_id, order.id, None, night=run.night.isoformat(), amount=amount)
    make_good(session, account, order, step)


def swap_of(
    order: OrderRow, rate: Rate | None, price: Decimal | None, decimals: int, conversion: conversions.Rate | None = ONE
) -> Decimal:
    """What a night brings (or, negative, costs), exact base units: value x rate x how often the night counts.

    `conversion` is the rate to the account currency. Nothing where the instrument, or that rate, had no price at all
    when the night's run began.
    """
    if price is None or rate is None or conversion is None:
        return pricing.NOTHING
    bps = rate.long if order.side == "buy" else rate.short
    if not bps or not rate.times:
        return pricing.NOTHING
    return pricing.swap(order.quantity, price, bps, rate.times, decimals, conversion)


def _oldest_after(latest: date | None, at: datetime) -> list[tuple[date, datetime]]:
    """The first few nights that are due at `at`, each with its cut-off."""
    return nights(latest, at, settings.SWAP_TIME, settings.SWAP_ZONE)[:MOST_NIGHTS]


def _rates_as_text(night: date) -> dict[str, list[Any]]:
    """As a run notes them."""
    return {symbol: [f"{rate.long:f}", f"{rate.short:f}", rate.times] for symbol, rate in _rates(night).items()}


def _conversions_as_text(prices: Prices) -> dict[str, list[str]]:
    """As a run notes them: multiplier, divisor and path of each currency that an instrument is counted in."""
    known = instruments()
    counted_in = {row.counter_asset_id for row in known.values()}
    found = conversions.mids(known, settings.ACCOUNT_CURRENCY, prices.by_symbol, counted_in)
    return {currency: [f"{rate.multiplier:f}", f"{rate.divisor:f}", rate.path] for currency, rate in found.items()}


def _conversions_of(row: SwapRun) -> dict[str, conversions.Rate]:
    return {
        currency: conversions.Rate(Decimal(multiplier), Decimal(divisor), path)
        for currency, (multiplier, divisor, path) in row.conversions.items()
    }


def _rates(night: date) -> dict[str, Rate]:
    """The rates of all instruments as they stand."""
    rows = instruments().values()
    return {row.symbol: Rate(row.swap_long_bps, row.swap_short_bps, _times(night, row)) for row in rows}


def _times(night: date, row: Instrument) -> int:
    """How often a night counts, by the days on which the market trades."""
    hours = hours_of(row.symbol).hours
    return times_counted(night, row.swap_triple_weekday, None if hours.never_closes else hours.trades_on)


def _rates_of(row: SwapRun) -> dict[str, Rate]:
    """A run's rates; one that the version before began, which noted none, goes on at those of now."""
    if not row.rates:
        return _rates(row.night)
    return {symbol: Rate(Decimal(long), Decimal(short), times) for symbol, (long, short, times) in row.rates.items()}


def _grouped(rows: Iterable[SwapRun]) -> list[_Run]:
    """Unfinished runs, those together that stand at the same place at the same prices."""
    groups: dict[tuple[Any, ...], _Run] = {}
    for row in rows:
        through = (row.through_customer_id, row.through_id) if row.through_customer_id and row.through_id else None
        rates = _rates_of(row)
        converted = tuple(sorted((currency, *rate) for currency, rate in row.conversions.items()))
        alike = (
            (row.night, row.cutoff, through),
            (tuple(sorted(row.prices.items())), tuple(sorted(rates.items())), converted),
        )
        prices = {symbol: Decimal(text) for symbol, text in row.prices.items()}
        run = _Run(row.night, row.cutoff, prices, rates, _conversions_of(row), through, {})
        groups.setdefault(alike, run).rows[row.partition] = row.pk
    return list(groups.values())


def _note(run: _Run, held: Sequence[OrderRow], done_at: datetime | None) -> None:
    customer, order = run.through or (None, None)
    runs = SwapRun.objects.filter(pk__in=run.rows.values())
    runs.update(through_customer_id=customer, through_id=order, done_at=done_at)
    for partition, count in Counter(partition_of(one.customer_id) for one in held).items():
        runs.filter(partition=partition).update(orders_count=F("orders_count") + count)
