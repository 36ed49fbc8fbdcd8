"""Something is wrong with a night's swap: people trade on, and the swap goes on when it is mended."""

from __future__ import annotations

import logging
import time

import pytest

from tests.faults.engine_alone import an_engine, send, turns
from tests.given import a_customer, btc_at, every_price_at_its_start, what_the_audit_finds
from tests.trades.orders.engine_steps import closing, opens
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
