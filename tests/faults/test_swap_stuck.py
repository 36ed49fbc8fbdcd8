"""Something is wrong with a night's swap, or it comes late: people trade on, and the books agree afterwards."""

from __future__ import annotations

import logging
import time
from datetime import UTC, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from accounts.clock import now as clock_now
from tests.faults.engine_alone import an_engine, send, turns
from tests.given import a_customer, btc_at, every_price_at_its_start, what_the_audit_finds
from tests.trades.engine_steps import closing, opens
from tests.without_guards import without_guards
from trades.models import SwapRun

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_swap_that_breaks_stops_no_trading_and_is_done_once_it_is_mended(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guard: `Rollover.turn` rests after a failure. Without it the engine dies of it, again at every start, and with it
    all trading of its partition."""
    monkeypatch.setattr("trades.engine.rollover.REST_SECONDS", 0.2)
    every_price_at_its_start()  # no night begins before
    with an_engine() as engine, caplog.at_level(logging.ERROR, "engine"):
        btc_at("42_000.00")
        alice = a_customer(with_usd="10_000.00")
        order = opens(alice)
        assert SwapRun.objects.exists()
        without_guards(
            "trades_swaprun", """UPDATE trades_swaprun SET done_at = NULL, prices = '{"BTC-USD": "rubbish"}'"""
        )
        engine.rollover.begin()
        send(closing(alice, order.code))

        assert [answer.status for answer in turns(engine)] == [200]
        assert "swap can't go on" in caplog.text
        assert SwapRun.objects.filter(done_at=None).exists()

        without_guards("trades_swaprun", """UPDATE trades_swaprun SET prices = '{"BTC-USD": "42000"}'""")
        give_up = time.monotonic() + 10
        while SwapRun.objects.filter(done_at=None).exists() and time.monotonic() < give_up:
            engine.turn()
        assert not SwapRun.objects.filter(done_at=None).exists()
    assert what_the_audit_finds() == []


def test_what_closes_just_after_the_cut_off_is_dated_before_the_night_that_begins_after_it(settings: Any) -> None:
    """Guard: a night and a slice are dated by the lease's answer, as ticks are. By the moment that decides what is due,
    which lies a second back, the close would come after a night that didn't find the position any more."""
    zone, comes = ZoneInfo("Etc/UTC"), clock_now().astimezone(UTC) + timedelta(seconds=4)
    settings.SWAP_ZONE, settings.SWAP_TIME = zone, comes.time()
    every_price_at_its_start()  # no night begins before
    with an_engine() as engine:
        btc_at("42_000.00")
        alice = a_customer(with_usd="10_000.00")
        order = opens(alice)
        engine.turn()
        known = SwapRun.objects.count()
        assert known == 16
        assert clock_now() < comes
        while clock_now() < comes + timedelta(seconds=0.5):
            time.sleep(0.05)
        btc_at("42_000.00")
        send(closing(alice, order.code))
        assert [answer.status for answer in turns(engine)] == [200]
        assert SwapRun.objects.count() == known

        give_up = time.monotonic() + 10
        while SwapRun.objects.filter(done_at__isnull=False).count() == known and time.monotonic() < give_up:
            engine.turn()
        assert SwapRun.objects.filter(done_at__isnull=False).count() == 2 * known
    assert what_the_audit_finds() == []
