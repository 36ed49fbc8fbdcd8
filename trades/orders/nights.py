"""Overnight swap: what a position earns or costs for being held through the night.

Once a night and partition: a row says at which prices and how far it came, and every order's movement has the night
in its key, so a killed engine's successor goes on and nobody is charged twice. A run takes some hundred orders between
two ticks, so that trading goes on meanwhile.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F

from accounts.ids import PARTITIONS
from accounts.ledger import SWAP
from quotes.models import Instrument
from quotes.prices import Prices
from quotes.swap_calendar import nights, times_counted
from trades.models import SwapRun
from trades.orders import money
from trades.orders.lease import Lease
from trades.orders.positions import make_good
from trades.orders.rows import OrderRow
from trades.orders.tick import Applied, Kind, Tick
from trades.states import OrderStatus

log = logging.getLogger("engine")

SLICE = 500
LOOK_SECONDS = 1.0


@dataclass(slots=True)
class _Run:
    id: UUID
    partition: int
    night: date
    cutoff: datetime
    prices: dict[str, Decimal]
    through_id: UUID | None


class Nights:
    """The swaps of an engine's customers."""

    def __init__(self, partition: int, partitions: int, lease: Lease) -> None:
        self.mine = [number for number in range(PARTITIONS) if number % partitions == partition]
        self.lease = lease
        self._due: list[_Run] = []
        self._looked = 0.0

    def begin(self) -> None:
        """After a start: look at what is due at the next turn."""
        self._due, self._looked = [], 0.0

    def turn(self, prices: Prices) -> Applied | None:
        """Do the next slice of a night that is due, if any."""
        if not self._due and time.monotonic() - self._looked > LOOK_SECONDS:
            self._looked = time.monotonic()
            self._due = self._find(prices)
        if not self._due:
            return None
        applied, is_done = self._slice(self._due[0], prices)
        if is_done:
            self._due.pop(0)
        return applied

    @transaction.atomic
    def _find(self, prices: Prices) -> list[_Run]:
        """Runs that were begun and not finished, and those of nights that have ended since the last one.

        An installation's first look only notes the last night: nobody is charged for one before that.
        """
        self.lease.check()
        latest: dict[int, date] = {}
        open_runs = []
        for row in SwapRun.objects.filter(partition__in=self.mine).order_by("night", "partition"):
            latest[row.partition] = max(row.night, latest.get(row.partition, row.night))
            if row.done_at is None:
                open_runs.append(row)
        for partition in self.mine:
            due = nights(latest.get(partition), prices.now, settings.SWAP_TIME, settings.SWAP_ZONE)
            if partition not in latest:
                due = due[-1:]
            for night, cutoff in due:
                open_runs.append(self._begin(partition, night, cutoff, prices, is_first=partition not in latest))
        return [_run(row) for row in open_runs if row.done_at is None]

    def _begin(self, partition: int, night: date, cutoff: datetime, prices: Prices, *, is_first: bool) -> SwapRun:
        return SwapRun.objects.create(
            partition=partition,
            night=night,
            cutoff=cutoff,
            prices={symbol: str(price.mid) for symbol, price in prices.by_symbol.items()},
            started_at=prices.now,
            done_at=prices.now if is_first else None,
        )

    @transaction.atomic
    def _slice(self, run: _Run, prices: Prices) -> tuple[Applied, bool]:
        self.lease.check()
        tick = Tick(prices)
        held = tick.read_held(run.partition, run.cutoff, run.through_id, SLICE)
        for order in held:
            if order.status == OrderStatus.OPEN:  # another one's charge may have closed it
                _charge(tick, order, run)
        tick.write()
        is_done = len(held) < SLICE
        if held:
            run.through_id = held[-1].id
        _note(run, held, prices.now if is_done else None)
        if is_done:
            log.info("swap of %s is done for partition %s", run.night, run.partition)
        return tick.done, is_done


def _charge(tick: Tick, order: OrderRow, run: _Run) -> None:
    """Pay or charge one order's swap for this night."""
    instrument = tick.instruments[order.instrument_id]
    amount = amount_of(order, instrument, run.prices.get(order.instrument_id), run.night)
    if amount == 0:
        return
    account, house = tick.accounts[order.customer_id], tick.house(order.customer_id, SWAP)
    step = f"swap:{run.night.isoformat()}"
    if amount > 0:
        tick.move(order, house, account.available_row, amount, "order_swap", step)
    else:
        tick.move(order, account.available_row, house, -amount, "order_swap", step)
    account.free += amount
    order.swap += amount
    tick.touch(order)
    tick.event(Kind.SWAPPED, order.customer_id, order.id, None, night=run.night.isoformat(), amount=amount)
    make_good(tick, account, order, step)


def amount_of(order: OrderRow, instrument: Instrument, price: Decimal | None, night: date) -> int:
    """Base units that a night brings (or, negative, costs): value x rate x how often the night counts.

    Nothing where the instrument had no price at all when the night's run began.
    """
    rate = instrument.swap_long_bps if order.side == "buy" else instrument.swap_short_bps
    times = times_counted(night, instrument.swap_triple_weekday)
    if price is None or not rate or not times:
        return 0
    return money.swap(order.quantity, price, rate, times, instrument.counter_asset.decimals)


def _note(run: _Run, held: Sequence[OrderRow], done_at: datetime | None) -> None:
    SwapRun.objects.filter(pk=run.id).update(
        through_id=run.through_id, orders_count=F("orders_count") + len(held), done_at=done_at
    )


def _run(row: SwapRun) -> _Run:
    prices = {symbol: Decimal(text) for symbol, text in row.prices.items()}
    return _Run(row.pk, row.partition, row.night, row.cutoff, prices, row.through_id)
