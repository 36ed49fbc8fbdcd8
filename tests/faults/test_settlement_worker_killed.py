"""kill -9 of real settling processes, two at a time: each trade settles once and the books are right."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from django.utils import timezone

from accounts.identity import SYSTEM
from accounts.models import Transfer
from tests.given import a_customer, a_cut, balance, btc, states, what_the_audit_finds
from tests.live import CHECKOUT, environment
from tests.many_trades import many_exits, many_settling_buys
from tests.sizes import size
from trades.models import SettlementBatch, SettlementLeg, Trade, TradeEvent
from trades.settlement.approval import confirm
from trades.settlement.cut import cut_now
from trades.settlement.legs import settle_leg
from trades.settlement.settle import begin

pytestmark = pytest.mark.django_db(transaction=True)

TRADES, CUSTOMERS = size(3_000, 100_000), size(60, 2_000)
KILLS, CHUNK = size(5, 50), size(10, 100)
PARTS = size(3, 10)
TIMEOUT_SECONDS = size(60, 600)


def a_settler(batch: SettlementBatch) -> subprocess.Popen[bytes]:
    """`manage.py settle_batch` in a process of its own, in chunks small enough to be met in the middle."""
    return subprocess.Popen(
        [sys.executable, "manage.py", "settle_batch", batch.pk.hex, "--chunk", str(CHUNK)],
        cwd=Path(CHECKOUT),
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def completed(batch: SettlementBatch) -> int:
    batch.refresh_from_db()
    return batch.completed_count


def kill_after(settlers: Sequence[subprocess.Popen[bytes]], batch: SettlementBatch, count: int) -> None:
    """Wait until so many trades are completed; then kill -9 one after the other, each a moment later."""
    give_up = time.monotonic() + TIMEOUT_SECONDS
    while completed(batch) < count and settlers[0].poll() is None:
        assert time.monotonic() < give_up
        time.sleep(0.001)
    for settler in settlers:
        time.sleep(random.random() * 0.01)
        with contextlib.suppress(ProcessLookupError):  # it came to its end before
            os.killpg(settler.pid, signal.SIGKILL)
        settler.wait(10)


@pytest.mark.faults
def test_two_settlers_killed_again_and_again_leave_every_trade_settled_once():
    """Fault 11. Guards: one transaction a slice, the progress written in it, and a claim that ends with it. See
    `settle.py`."""
    customers = [a_customer(f"customer{number}", with_usd="100_000.00") for number in range(CUSTOMERS)]
    bought = many_settling_buys(customers, TRADES)
    sold = many_exits(bought[::10])
    batch = confirm(a_cut().pk, by=SYSTEM, at=timezone.now())
    assert batch.trades_count == TRADES + len(sold)

    for kill in range(KILLS):
        kill_after([a_settler(batch), a_settler(batch)], batch, (kill + 1) * TRADES // (KILLS + 2))
        assert 0 < completed(batch) < batch.trades_count, "the kill must come in the middle"
        assert what_the_audit_finds() == []
    assert [settler.wait(TIMEOUT_SECONDS) for settler in (a_settler(batch), a_settler(batch))] == [0, 0]

    assert completed(batch) == batch.trades_count
    assert batch.state == "completed"
    assert set(states(*bought, *sold)) == {"completed"}
    assert TradeEvent.objects.filter(became="completed").count() == batch.trades_count
    paid = sum(t.amount for t in Transfer.objects.filter(kind="trade_settled", asset_id="BTC"))
    assert paid == sum(balance(customer, asset="BTC") for customer in customers) == btc("0.0001") * (TRADES - len(sold))
    assert what_the_audit_finds() == []


@pytest.mark.faults
def test_settlers_killed_between_the_parts_of_a_leg_complete_each_trade_once_and_none_too_early():
    """Fault 11 with parts. Guards: a round's stops are written with the round, and a part that was seen with them. See
    `in_order.py`."""
    customers = [a_customer(f"customer{number}", with_usd="100_000.00") for number in range(CUSTOMERS)]
    bought = many_settling_buys(customers, TRADES // 3)
    exited = {trade.pk for trade in bought[::10]}
    sold = many_exits(bought[::10])
    cut = cut_now(at=timezone.now(), by=SYSTEM, legs_are_automatic=False, completes_in_order=True)
    batch = confirm(cut.pk, by=SYSTEM, at=timezone.now())
    begin(batch.pk, timezone.now())
    usd_leg, btc_leg = (SettlementLeg.objects.get(batch=batch, asset=asset) for asset in ("USD", "BTC"))
    settle_leg(usd_leg.pk, actual=int(usd_leg.expected), reference="usd", by=SYSTEM, at=timezone.now())
    places = sorted((trade.pk, trade.pk not in exited) for trade in bought)

    for number in range(1, PARTS + 1):
        before, come = completed(batch), int(btc_leg.expected) * number // PARTS
        amount = come - int(SettlementLeg.objects.get(pk=btc_leg.pk).actual or 0)
        settle_leg(btc_leg.pk, actual=amount, reference=f"btc {number}", by=SYSTEM, at=timezone.now())
        kill_after([a_settler(batch), a_settler(batch)], batch, before + 1)
        assert what_the_audit_finds() == []
        assert [settler.wait(TIMEOUT_SECONDS) is not None for settler in (a_settler(batch), a_settler(batch))]
        needs = itertools.accumulate(10_000 * needs_some for _, needs_some in places)
        free = {pk for (pk, _), needed in zip(places, needs, strict=True) if needed <= come}
        done = set(Trade.objects.filter(batch=batch, state="completed").values_list("pk", flat=True))
        assert {pk for pk in done if pk in dict(places)} == free
        assert set(states(*sold)) <= {"completed", "settling"}

    assert (completed(batch), batch.state) == (batch.trades_count, "completed")
    assert TradeEvent.objects.filter(became="completed").count() == batch.trades_count
    assert what_the_audit_finds() == []
