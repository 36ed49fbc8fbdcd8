"""A wrong batch was settled: reversed, every account's balance is as before, and the whole history is still there."""

from __future__ import annotations

import time

import pytest
from django.db import connection
from django.utils import timezone

from accounts.identity import SYSTEM
from accounts.models import Transfer
from tests.given import a_customer, a_cut, settles, what_the_audit_finds
from tests.many_trades import many_exits, many_settling_buys
from tests.sizes import size
from tests.trades.corrections.staff import all_balances, applies, why
from trades.corrections.propose import propose_batch_reversal
from trades.models import SettlementBatch, SettlementLeg, Trade, TradeEvent
from trades.settlement.approval import confirm
from trades.settlement.cut import cut_now
from trades.settlement.legs import settle_leg
from trades.settlement.settle import begin

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(3600)]

TRADES = size(600, 100_000)
CUSTOMERS = size(20, 5_000)


def settles_in_parts() -> SettlementBatch:
    """What was accepted until now, with legs that come in three parts, and trades that complete in order of time."""
    batch = cut_now(at=timezone.now(), by=SYSTEM, legs_are_automatic=False, completes_in_order=True)
    confirm(batch.pk, by=SYSTEM, at=timezone.now())
    begin(batch.pk, timezone.now())
    for number in (3, 2, 1):
        for leg in SettlementLeg.objects.filter(batch=batch):
            left = int(leg.expected) - int(leg.actual or 0)
            settle_leg(leg.pk, actual=left // number, reference=f"{leg.pk} {number}", by=SYSTEM, at=timezone.now())
        settles(SettlementBatch.objects.get(pk=batch.pk))
    return SettlementBatch.objects.get(pk=batch.pk)


@pytest.mark.faults
@pytest.mark.parametrize("how", ["at once", "in parts"])
def test_a_wrong_batch_is_reversed_and_every_balance_is_as_before_with_the_history_whole(how):
    """Fault 37, with a cut-off and with parts, too. Guards: fees come from where each side's were taken; every leg is
    taken back, too; every trade has an event of it."""
    customers = [a_customer(f"customer{number}", with_usd="100_000.00") for number in range(CUSTOMERS)]
    before = all_balances()
    bought = many_settling_buys(customers, TRADES)
    sold = many_exits(bought[::20])
    batch = settles(a_cut()) if how == "at once" else settles_in_parts()
    assert (batch.state, batch.trades_count) == ("completed", TRADES + len(sold))
    history = Transfer.objects.count()
    was = Transfer.objects.order_by("pk").values_list("pk", "key", "amount").last()
    proposed = propose_batch_reversal(batch.pk, **why())
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")  # as the server does by itself, within minutes

    started = time.monotonic()
    done = applies(proposed)
    print(f"{batch.trades_count} trades reversed in {time.monotonic() - started:.1f} s")

    assert all_balances() == before
    assert Transfer.objects.count() == history + done.movements_count
    assert Transfer.objects.values_list("pk", "key", "amount").get(pk=was[0]) == was
    assert TradeEvent.objects.filter(became="reversed", detail=done.pk.hex).count() == batch.trades_count
    assert set(Trade.objects.values_list("state", flat=True)) == {"completed"}
    assert done.decided_at <= timezone.now()
    assert what_the_audit_finds() == []
