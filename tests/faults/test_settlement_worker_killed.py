"""kill -9 of a real settling process, again and again: each trade settles once and the books are right."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.utils import timezone

from accounts.identity import SYSTEM
from accounts.models import Transfer
from tests.given import a_customer, a_cut, balance, btc, states, what_the_audit_finds
from tests.live import CHECKOUT, environment
from tests.many import many_exits, many_settling_buys
from tests.sizes import size
from trades.models import SettlementBatch, TradeEvent
from trades.settlement.approval import confirm

pytestmark = pytest.mark.django_db(transaction=True)

TRADES, CUSTOMERS = size(3_000, 100_000), size(60, 2_000)
KILLS, CHUNK = size(5, 50), size(10, 100)
PATIENCE_SECONDS = size(60, 600)


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


def kill_after(settler: subprocess.Popen[bytes], batch: SettlementBatch, count: int) -> None:
    """Wait until so many trades are completed, a moment more, then kill -9."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while completed(batch) < count and settler.poll() is None:
        assert time.monotonic() < give_up
        time.sleep(0.001)
    time.sleep(random.random() * 0.01)
    os.killpg(settler.pid, signal.SIGKILL)
    settler.wait(10)


@pytest.mark.faults
def test_a_settler_killed_again_and_again_leaves_every_trade_settled_once():
    """Guards: one transaction a chunk, and the progress written in it. See `settle.py`."""
    crowd = [a_customer(f"customer{number}", with_usd="100_000.00") for number in range(CUSTOMERS)]
    bought = many_settling_buys(crowd, TRADES)
    sold = many_exits(bought[::10])
    batch = confirm(a_cut().pk, by=SYSTEM, at=timezone.now())
    assert batch.trades_count == TRADES + len(sold)

    for kill in range(KILLS):
        kill_after(a_settler(batch), batch, (kill + 1) * TRADES // (KILLS + 2))
        assert 0 < completed(batch) < batch.trades_count, "the kill must come in the middle"
        assert what_the_audit_finds() == []
    assert a_settler(batch).wait(PATIENCE_SECONDS) == 0

    assert completed(batch) == batch.trades_count
    assert batch.state == "completed"
    assert set(states(*bought, *sold)) == {"completed"}
    assert TradeEvent.objects.filter(became="completed").count() == batch.trades_count
    paid = sum(t.amount for t in Transfer.objects.filter(kind="trade_settled", asset_id="BTC"))
    assert paid == sum(balance(customer, asset="BTC") for customer in crowd) == btc("0.0001") * (TRADES - len(sold))
    assert what_the_audit_finds() == []
