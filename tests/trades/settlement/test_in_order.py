"""Property: which trades complete when parts of legs have come, beside a plain model of the rule."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.identity import SYSTEM
from tests.given import a_customer, a_trade, btc_at, deposit, exits, price_at, what_the_audit_finds
from tests.sizes import size
from tests.trades.settlement.test_leg_parts import a_batch
from trades.models import SettlementBatch, SettlementLeg, Trade
from trades.settlement.legs import settle_leg
from trades.settlement.settle import settle_chunk

pytestmark = pytest.mark.django_db

SYMBOLS = {"BTC-USD": 10_000_000, "XAU-USD": 1_000_000}
TRADES = st.lists(
    st.tuples(st.sampled_from(sorted(SYMBOLS)), st.sampled_from(["buy", "sell"]), st.integers(1, 3), st.booleans()),
    min_size=1,
    max_size=5,
)
PARTS = st.lists(st.tuples(st.sampled_from(["BTC", "XAU", "USD"]), st.floats(0.05, 1.0)), max_size=6)
_references = count()


class _Undone(Exception):
    """Takes an example's rows back."""


@settings(
    max_examples=size(8, 300),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(wanted=TRADES, parts=PARTS, chunk=st.sampled_from([1, 1_000]))
def test_trades_complete_as_the_plain_model_says(db, wanted, parts, chunk):
    try:
        with transaction.atomic():
            _plays(wanted, parts, chunk)
            raise _Undone
    except _Undone:
        pass


def _plays(wanted: list[tuple[str, str, int, bool]], parts: list[tuple[str, float]], chunk: int) -> None:
    btc_at("40_000.00")
    price_at("XAU-USD", "2_000.00")
    people = [a_customer(with_usd="1_000_000.00") for _ in range(2)]
    for person in people:
        deposit(person, "BTC", "10")
        deposit(person, "XAU", "100")
    for place, (symbol, side, times, is_exited) in enumerate(wanted):
        amount = {"receive" if side == "buy" else "deliver": SYMBOLS[symbol] * times}
        trade = a_trade(people[place % 2], side, symbol=symbol, **amount)
        if is_exited:
            exits(trade)
    batch = a_batch()
    completed: set[Trade] = set()
    for asset, share in parts:
        _comes(batch, asset, share)
        while not settle_chunk(batch.pk, at=timezone.now(), chunk=chunk).is_done:
            pass
        completed |= _may_complete(batch)
        now = set(Trade.objects.filter(batch=batch, state="completed"))
        assert now == completed
    assert what_the_audit_finds() == []


def _comes(batch: SettlementBatch, asset: str, share: float) -> None:
    """A share of what is still expected, which is all of it where the share is one."""
    leg = SettlementLeg.objects.filter(batch=batch, asset=asset).exclude(status="settled").first()
    left = int(leg.expected - (leg.actual or 0)) if leg else 0
    if leg and left:
        amount = max(1, int(left * share))
        settle_leg(leg.pk, actual=amount, reference=f"r{next(_references)}", by=SYSTEM, at=timezone.now())


def _may_complete(batch: SettlementBatch) -> set[Trade]:
    """The rule in plain Python (trades/settlement/in_order.py)."""
    members = list(Trade.objects.filter(batch=batch))
    units = [
        [one for one in members if (one.exiting_trade_id or one.pk) == original.pk]
        for original in sorted(members, key=lambda one: one.pk)
        if original.exiting_trade_id is None
    ]
    free = {leg.asset_id: _up_to(leg, units) for leg in SettlementLeg.objects.filter(batch=batch)}
    return {
        trade
        for place, unit in enumerate(units)
        for trade in unit
        if all(place < free[asset] for asset in (trade.receive_asset_id, trade.deliver_asset_id))
    }


def _up_to(leg: SettlementLeg, units: list[list[Trade]]) -> int:
    """How many units, from the first on, this leg lets complete."""
    if leg.status == "settled":
        return len(units)
    if not leg.actual:
        return 0
    through = 0
    for place, unit in enumerate(units):
        through += _need(unit, leg)
        if through > leg.actual:
            return place
    return len(units)


def _need(unit: Iterable[Trade], leg: SettlementLeg) -> int:
    need = 0
    for trade in unit:
        if trade.receive_asset_id == leg.asset_id:
            need += int(trade.receive_amount) + (int(trade.fee) if trade.side == "sell" else 0)
        if trade.deliver_asset_id == leg.asset_id:
            need -= int(trade.deliver_amount) - (int(trade.fee) if trade.side == "buy" else 0)
    return need if leg.direction == "incoming" else -need
