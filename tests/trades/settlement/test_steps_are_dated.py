"""A batch's `updated_at` follows each of its steps, so whoever polls by it misses none."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from accounts.identity import SYSTEM
from tests.given import a_customer, a_settling_buy, a_trade, btc, btc_at, price_at, usd
from tests.trades.corrections.staff import applies, somebody, why
from trades.corrections import decide
from trades.corrections.propose import propose_batch_reversal
from trades.models import Correction, SettlementBatch, SettlementLeg, SettlementWindow
from trades.settlement.approval import cancel, confirm
from trades.settlement.cut import cut_due, cut_now
from trades.settlement.legs import settle_leg
from trades.settlement.settle import begin, settle, settle_chunk

pytestmark = pytest.mark.django_db


@pytest.fixture
def customers():
    """Three who bought bitcoins and one of them gold."""
    btc_at("40_000.00")
    price_at("XAU-USD", "2_000.00")
    customers = [a_customer(name, with_usd="10_000.00") for name in ("alice", "bob", "carol")]
    for customer in customers:
        a_settling_buy(customer, btc("0.01"))
    a_trade(customers[0], symbol="XAU-USD", deliver=usd("100.00"))
    return customers


def is_dated(batch: SettlementBatch, step: Callable[[], object]) -> None:
    """The step changes the batch, and its `updated_at` is later than before, and not before the step began."""
    before, began = SettlementBatch.objects.filter(pk=batch.pk).values().get(), timezone.now()
    step()
    after = SettlementBatch.objects.filter(pk=batch.pk).values().get()
    assert before != after
    assert after["updated_at"] > before["updated_at"]
    assert after["updated_at"] >= began


def reported(batch: SettlementBatch, *assets: str) -> None:
    for leg in SettlementLeg.objects.filter(batch=batch, asset__in=assets):
        settle_leg(leg.pk, actual=int(leg.expected), reference="", by=SYSTEM, at=timezone.now())


def test_from_the_cut_to_the_reversal_every_step_is_dated(customers):
    """Each slice is a step, and so is a batch that waits for legs (`partially_settled`) and one that goes on."""
    batch = cut_now(at=timezone.now(), by=SYSTEM, legs_are_automatic=False)

    def slice_() -> None:
        settle_chunk(batch.pk, at=timezone.now(), chunk=1)

    is_dated(batch, lambda: confirm(batch.pk, by=somebody(), at=timezone.now()))
    is_dated(batch, lambda: begin(batch.pk, timezone.now()))
    reported(batch, "BTC", "USD")
    for _ in range(3):
        is_dated(batch, slice_)
    is_dated(batch, slice_)
    batch.refresh_from_db()
    assert batch.state == "partially_settled"
    reported(batch, "XAU")
    is_dated(batch, slice_)
    batch.refresh_from_db()
    assert batch.state == "completed"
    is_dated(batch, lambda: applies(propose_batch_reversal(batch.pk, **why())))


def test_a_batch_that_is_cancelled_and_one_that_the_clock_confirms_are_dated(customers):
    batch = cut_now(at=timezone.now(), by=SYSTEM)
    is_dated(batch, lambda: cancel(batch.pk, by=somebody(), at=timezone.now()))
    SettlementWindow.objects.all().delete()
    SettlementWindow.objects.create(name="w", asset_kind="crypto", cron="* * * * *", time_zone="UTC")
    cut_due(timezone.now() + timedelta(minutes=2))

    clocks = SettlementBatch.objects.exclude(pk=batch.pk).get()
    assert clocks.state == "confirmed"
    assert clocks.updated_at >= clocks.confirmed_at
    is_dated(clocks, lambda: list(settle(clocks.pk, clock=timezone.now)))


def test_a_step_that_says_no_time_or_an_earlier_one_is_dated_all_the_same(customers):
    """Guard: the trigger `dated`. Two settlers that read the clock in one order and commit in the other would leave
    the batch as old as the first of them; who has seen that time would never look again."""
    batch = cut_now(at=timezone.now(), by=SYSTEM)
    earlier = batch.updated_at - timedelta(minutes=1)

    is_dated(batch, lambda: SettlementBatch.objects.filter(pk=batch.pk).update(left_out_count=1))
    is_dated(batch, lambda: SettlementBatch.objects.filter(pk=batch.pk).update(left_out_count=2, updated_at=earlier))
    ahead = timezone.now() + timedelta(hours=1)
    SettlementBatch.objects.filter(pk=batch.pk).update(updated_at=ahead)
    SettlementBatch.objects.filter(pk=batch.pk).update(left_out_count=3)
    batch.refresh_from_db()
    assert batch.updated_at > ahead


def test_a_correction_s_step_that_says_no_time_or_an_earlier_one_is_dated_all_the_same(customers):
    """Guard: the trigger `dated` of corrections; two who carry one on may commit in another order than they read."""
    batch = cut_now(at=timezone.now(), by=SYSTEM)
    confirm(batch.pk, by=SYSTEM, at=timezone.now())
    list(settle(batch.pk, clock=timezone.now))
    proposed = propose_batch_reversal(batch.pk, **why())
    before = Correction.objects.get(pk=proposed.pk).updated_at
    decide.apply(proposed.pk, by=somebody(), at=before - timedelta(minutes=1))
    applied = Correction.objects.get(pk=proposed.pk).updated_at

    rest = Correction.objects.filter(pk=proposed.pk)
    rest.update(updated_at=before - timedelta(minutes=1), trades_done=1)

    assert before < applied < rest.get().updated_at


def test_what_changes_nothing_is_no_step(customers):
    batch = cut_now(at=timezone.now(), by=SYSTEM)

    with connection.cursor() as cursor:
        cursor.execute("UPDATE trades_settlementbatch SET state = state WHERE id = %s", [batch.pk])

    assert SettlementBatch.objects.get(pk=batch.pk).updated_at == batch.updated_at
