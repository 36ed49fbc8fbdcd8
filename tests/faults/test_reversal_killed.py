"""kill -9 of whoever reverses a batch, again and again: each trade is reversed once and the books are right."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from accounts.models import Transfer
from tests.given import a_customer, a_cut, settles, what_the_audit_finds
from tests.live import CHECKOUT, environment
from tests.many_trades import many_exits, many_settling_buys
from tests.sizes import size
from tests.trades.corrections.staff import a_member_of_staff, all_balances, why
from trades.corrections.propose import propose_batch_reversal
from trades.models import Correction, TradeEvent

pytestmark = pytest.mark.django_db(transaction=True)

TRADES, CUSTOMERS = size(3_000, 100_000), size(60, 2_000)
KILLS, CHUNK = size(5, 50), size(50, 500)
TIMEOUT_SECONDS = size(60, 600)


def an_applier(correction: Correction, email: str) -> subprocess.Popen[bytes]:
    """`manage.py correct apply` in a process of its own, in slices small enough to be met in the middle."""
    command = [sys.executable, "manage.py", "correct", "apply", correction.pk.hex, "--by", email, "--chunk", str(CHUNK)]
    return subprocess.Popen(
        command,
        cwd=Path(CHECKOUT),
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def kill_after(applier: subprocess.Popen[bytes], correction: Correction, count: int) -> None:
    """Wait until so many trades are reversed; then kill -9, a moment later."""
    give_up = time.monotonic() + TIMEOUT_SECONDS
    while reversed_by(correction) < count and applier.poll() is None:
        assert time.monotonic() < give_up
        time.sleep(0.001)
    time.sleep(random.random() * 0.02)
    os.killpg(applier.pid, signal.SIGKILL)
    applier.wait(10)


def reversed_by(correction: Correction) -> int:
    correction.refresh_from_db()
    return correction.trades_done


@pytest.mark.faults
def test_a_reversal_that_is_killed_again_and_again_takes_every_trade_back_once():
    """Guard: a slice is one transaction (`carry_on_once`): trades, events, movements and how far it came. Without it a
    killed one leaves trades that say they are reversed, and whose money never moves."""
    customers = [a_customer(f"customer{number}", with_usd="100_000.00") for number in range(CUSTOMERS)]
    before = all_balances()
    bought = many_settling_buys(customers, TRADES)
    sold = many_exits(bought[::10])
    batch = settles(a_cut())
    history = set(Transfer.objects.values_list("pk", flat=True))
    proposed = propose_batch_reversal(batch.pk, **why())
    checker = a_member_of_staff("checker").email

    for kill in range(KILLS):
        kill_after(an_applier(proposed, checker), proposed, kill * TRADES // (KILLS + 2) + 1)
        assert 0 < reversed_by(proposed) < batch.trades_count, "the kill must come in the middle"
        assert proposed.state == "applying"
        assert what_the_audit_finds() == []
    assert an_applier(proposed, checker).wait(TIMEOUT_SECONDS) == 0

    assert reversed_by(proposed) == batch.trades_count == TRADES + len(sold)
    assert proposed.state == "applied"
    assert all_balances() == before
    assert TradeEvent.objects.filter(became="reversed", detail=proposed.pk.hex).count() == batch.trades_count
    assert history <= set(Transfer.objects.values_list("pk", flat=True))
    assert what_the_audit_finds() == []
