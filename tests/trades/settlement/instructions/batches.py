"""Batches whose legs are reported, in windows of their own, and what is made for them."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone

from accounts.identity import SYSTEM
from accounts.models import Customer
from tests.given import a_quote, executes, stores
from trades.models import SettlementBatch, SettlementInstruction, SettlementLeg, SettlementWindow, Trade
from trades.settlement.approval import confirm
from trades.settlement.cut import cut_now, cut_window
from trades.settlement.settle import begin, settle

_counter = itertools.count(1)

DAY = datetime(2026, 3, 4, tzinfo=UTC)


def a_batch(*, begins: bool = True) -> SettlementBatch:
    """Everything that is settling, cut by hand; its legs are reported."""
    batch = cut_now(at=timezone.now(), by=SYSTEM, legs_are_automatic=False)
    confirm(batch.pk, by=SYSTEM, at=timezone.now())
    if begins:
        begin(batch.pk, timezone.now())
    batch.refresh_from_db()
    return batch


def a_window(**more: Any) -> SettlementWindow:
    """Of crypto, cut when a test says so; its legs are reported."""
    given = {"cron": "0 12 * * *", "is_active": False, "asset_kind": "crypto", "time_zone": "UTC", **more}
    return SettlementWindow.objects.create(name=f"a window {next(_counter)}", legs_are_automatic=False, **given)


def that_morning(customer: Customer, side: str = "buy", **wanted: Any) -> Trade:
    """A settling trade that was accepted when the day began."""
    trade = executes(a_quote(customer, side, at=DAY, **wanted), at=DAY)
    stores(trade)
    assert trade.state == "settling", trade.failure_code
    return trade


def cut_of(window: SettlementWindow, hour: int, *, begins: bool = True) -> SettlementBatch:
    """The window's batch of so many hours after the day began."""
    batch = cut_window(window, DAY + timedelta(hours=hour), timezone.now())
    assert batch is not None
    confirm(batch.pk, by=SYSTEM, at=timezone.now())
    if begins:
        begin(batch.pk, timezone.now())
    batch.refresh_from_db()
    return batch


def goes_on(batch: SettlementBatch) -> str:
    """Settle as far as the legs allow; the batch's state then."""
    for _ in settle(batch.pk, clock=timezone.now):
        pass
    batch.refresh_from_db()
    return batch.state


def of(batch: SettlementBatch | None, asset: str) -> SettlementInstruction:
    return SettlementInstruction.objects.exclude(state__in=["failed", "cancelled"]).get(batch=batch, asset=asset)


def leg(batch: SettlementBatch, asset: str) -> SettlementLeg:
    return SettlementLeg.objects.get(batch=batch, asset=asset)
