"""Two schedulers at once, as real processes with a real worker: one cut per window, and each trade settles once."""

from __future__ import annotations

import time
from collections import Counter
from datetime import timedelta

import pytest
from django.utils import timezone

from tests.given import a_customer, a_settling_buy, balance, btc, btc_at, states, what_the_audit_finds
from tests.live import Live
from tests.sizes import size
from trades.models import SettlementBatch, SettlementWindow, TradeEvent

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]

TRADES, TIMEOUT_SECONDS = size(5, 500), 150


def test_two_beats_make_one_cut_per_window_and_its_trades_settle_once():
    """Guard: one batch per window and cut time is a constraint, and the claim comes first."""
    btc_at("40_000.00")
    alice = a_customer(with_usd="100_000.00")
    bought = [a_settling_buy(alice, btc("0.001")) for _ in range(TRADES)]
    soon = timezone.now() + timedelta(minutes=1)  # in less than a minute, after the trades
    SettlementWindow.objects.update(cron=f"{soon.minute} {soon.hour} * * *", time_zone="UTC", calendar="")
    beats = [Live(names=("worker", "beat")), Live(names=("beat",))]
    try:
        for beat in beats:
            beat.start()
        give_up = time.monotonic() + TIMEOUT_SECONDS
        while set(states(*bought)) != {"completed"}:
            assert time.monotonic() < give_up, [beat.log.read_text()[-2000:] for beat in beats]
            time.sleep(0.2)
        time.sleep(size(0, 30))  # some rounds more of both
    finally:
        for beat in beats:
            beat.stop()
        SettlementWindow.objects.update(cron="0 9-17 * * *", time_zone="America/New_York", calendar="NYSE")

    cuts = Counter(SettlementBatch.objects.values_list("window__asset_kind", "cut_at"))
    assert set(cuts.values()) == {1}
    assert [kind for kind, _ in cuts] == ["crypto"]
    assert SettlementBatch.objects.get().trades_count == TRADES
    assert TradeEvent.objects.filter(became="completed").count() == TRADES
    assert balance(alice, asset="BTC") == btc("0.001") * TRADES
    assert what_the_audit_finds() == []
