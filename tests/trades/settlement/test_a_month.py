"""A month of scheduled jobs in accelerated time, against a plain model: each trade in the batch that its time says.

Windows of three kinds of asset in three zones, across the end of summer time on both sides of the Atlantic and
Thanksgiving; jobs that didn't run for days; schedules that were edited, and one switched off and on; slow workers;
batches that were confirmed a day late; legs that failed, were due again and came in parts over days; exits at any
time.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

import pytest
from django.conf import settings

from accounts.identity import SYSTEM
from quotes import prices
from tests.given import a_customer, a_quote, deposit, every_price_at_its_start, executes, what_the_audit_finds
from tests.sizes import size
from tests.trades.settlement.plain_cuts import Key, Known, Month, Plan
from tests.windows import scheduled, windows_kept
from trades.models import SettlementBatch, SettlementWindow, Trade
from trades.settlement.approval import confirm
from trades.settlement.cut import cut_due
from trades.settlement.legs import fail_leg, retry_due, settle_leg
from trades.settlement.settle import begin, settle
from trades.spot.advance import advance
from trades.spot.exit_quotes import quote_exit
from trades.states import BatchState

pytestmark = pytest.mark.django_db(transaction=True)

BEGAN, ENDED = datetime(2025, 10, 20, tzinfo=UTC), datetime(2025, 11, 29, tzinfo=UTC)
STEPS = size(900, 9_000)
EVERY_DAY, BUSINESS_DAYS = frozenset(range(7)), frozenset(range(5))
OUTAGES = (
    (datetime(2025, 10, 25, 19, tzinfo=UTC), datetime(2025, 10, 27, 4, tzinfo=UTC)),  # the clocks of Europe change
    (datetime(2025, 11, 2, 3, tzinfo=UTC), datetime(2025, 11, 2, 23, tzinfo=UTC)),  # those of New York
    (datetime(2025, 11, 14, tzinfo=UTC), datetime(2025, 11, 17, 9, tzinfo=UTC)),
)
SYMBOLS = {"crypto": "BTC-USD", "fiat": "EUR-USD", "metal": "XAU-USD"}


def plans() -> dict[str, Plan]:
    return {
        plan.name: plan
        for plan in (
            Plan("crypto", "crypto", "0 20 * * *", "America/New_York", [time(20)], EVERY_DAY),
            Plan(
                *("fiat", "fiat", "0 9,17 * * 1-5", "Europe/Berlin", [time(9), time(17)], BUSINESS_DAYS),
                is_automatic=False,
                legs_are_automatic=False,
            ),
            Plan(
                *("metal", "metal", "30 16 * * *", "America/New_York", [time(16, 30)], BUSINESS_DAYS, "NYSE"),
                holidays=frozenset({date(2025, 11, 27)}),
            ),
        )
    }


class Firm:
    """The system, driven beside the model."""

    def __init__(self) -> None:
        self.plans = plans()
        self.month = Month(timedelta(seconds=settings.CUT_WAIT_SECONDS))
        self.customers = [a_customer() for _ in range(4)]
        for customer in self.customers:
            deposit(customer, "USD", "50_000_000.00")
        self.windows = {name: SettlementWindow.objects.get(asset_kind=plan.kind) for name, plan in self.plans.items()}
        for name in self.plans:
            self.edited(name, BEGAN)

    def edited(self, name: str, at: datetime) -> None:
        """The window as the plan says from now on."""
        plan = self.plans[name]
        plan.since = at
        scheduled(
            SettlementWindow.objects.filter(pk=self.windows[name].pk),
            since=at,
            cron=plan.cron,
            time_zone=plan.zone,
            calendar=plan.calendar,
            is_automatic=plan.is_automatic,
            legs_are_automatic=plan.legs_are_automatic,
            is_active=plan.is_active,
        )

    def buys(self, kind: str, dice: random.Random, at: datetime) -> Known:
        asset_quantity = {"crypto": 100_000, "fiat": 5_000, "metal": 1_000_000}[kind]
        quote = a_quote(dice.choice(self.customers), receive=asset_quantity, symbol=SYMBOLS[kind], at=at)
        known = Known(executes(quote, at=at).pk, kind, at)
        self.month.trades.append(known)
        return known

    def exits(self, original: Known, at: datetime) -> Known | None:
        """An exit of it; None where it isn't settling any more, as its quote is refused then."""
        if original.state != "settling":
            return None
        trade = Trade.objects.get(pk=original.id)
        quote = quote_exit(
            customer_id=trade.customer_id, reference_trade_id=trade.pk, fees=None, prices=prices.latest(), at=at
        )
        known = Known(executes(quote, at=at).pk, original.kind, at, original)
        original.exits.append(known)
        self.month.trades.append(known)
        return known

    def stores(self, known: Known, at: datetime) -> None:
        advance([known.id], at=at, prices=prices.latest)
        self.month.stored(known)
        assert Trade.objects.get(pk=known.id).state == known.state

    def runs_the_job(self, at: datetime) -> None:
        """The scheduled job, and what the model says that it must have cut."""
        made = {batch.window_id: batch for batch in cut_due(at)}
        for name, plan in self.plans.items():
            wanted, batch = self.month.cut(plan, at), made.get(self.windows[name].pk)
            if wanted is None or not wanted[1]:
                assert batch is None, (name, at, wanted)
                continue
            assert batch is not None, (name, at, wanted)
            assert batch.cut_at == wanted[0], (name, at)
            found = set(Trade.objects.filter(batch=batch).values_list("pk", flat=True))
            assert found == {one.id for one in wanted[1]}, (name, at)

    def settles(self, at: datetime, dice: random.Random) -> None:
        """Confirmed batches settle; those that a person confirms are confirmed some day, and their legs come."""
        for batch in SettlementBatch.objects.filter(state=BatchState.CUT):
            if dice.random() < 0.1 or at - batch.cut_at > timedelta(hours=30):
                confirm(batch.pk, by=SYSTEM, at=at)
        retry_due(at)
        names = {window.pk: name for name, window in self.windows.items()}
        for batch in SettlementBatch.objects.filter(state__in=[BatchState.CONFIRMED, BatchState.SETTLING]):
            key = names[batch.window_id], batch.cut_at
            begin(batch.pk, at)
            if not batch.legs_are_automatic:
                self.moves_money(batch, key, at, dice)
            list(settle(batch.pk, clock=lambda: at))
            completed = Trade.objects.filter(batch=batch, state="completed").values_list("pk", flat=True)
            assert set(completed) == self.month.settled(key), (key, at)

    def moves_money(self, batch: SettlementBatch, key: Key, at: datetime, dice: random.Random) -> None:
        """Some day each leg has come whole; by then some of it has, or an attempt has failed."""
        missing = self.month.missing.setdefault(key, {leg.asset_id: int(leg.expected) for leg in batch.legs.all()})
        for leg in batch.legs.filter(status__in=["pending", "partially_settled"]):
            act = 1.0 if at - batch.cut_at > timedelta(hours=40) else dice.random()
            if act < 0.2:
                fail_leg(leg.pk, failure="no answer", by=SYSTEM, at=at)
            elif act > 0.6:
                part = missing[leg.asset_id] if act == 1 else dice.randint(1, missing[leg.asset_id])
                settle_leg(leg.pk, actual=part, reference=f"{leg.pk.hex} {leg.attempts}", by=SYSTEM, at=at)
                missing[leg.asset_id] -= part


@pytest.fixture
def firm() -> Iterator[Firm]:
    """Of the windows that every installation has; they come back as they were."""
    with windows_kept():
        yield Firm()


def moments(dice: random.Random) -> Iterator[datetime]:
    """Times of the month, also right at the cuts' own and a millisecond before."""
    cuts = [BEGAN + timedelta(hours=hour) for hour in range(0, int((ENDED - BEGAN).total_seconds() // 3600))]
    times = [BEGAN + (ENDED - BEGAN) * dice.random() for _ in range(STEPS)]
    times += [cut - timedelta(milliseconds=dice.choice([0, 1])) for cut in dice.sample(cuts, STEPS // 10)]
    return iter(sorted(at.replace(microsecond=at.microsecond // 1000 * 1000) for at in times))


def test_every_trade_of_a_month_is_in_the_batch_that_its_time_says(firm: Firm) -> None:
    """Faults 8, 17, 32 and 35 with cut-offs and parts. Guards: `created_at < cut_at` of the cut, and that it waits for
    what is storing; that by itself no trade of a window completes until its legs have come whole."""
    dice = random.Random(20)
    late: list[Known] = []
    edits = iter(
        [
            (datetime(2025, 11, 5, 12, tzinfo=UTC), "fiat", {"cron": "0 12 * * 1-5", "hours": [time(12)]}),
            (datetime(2025, 11, 9, 12, tzinfo=UTC), "crypto", {"is_active": False}),
            (datetime(2025, 11, 12, 12, tzinfo=UTC), "crypto", {"is_active": True}),
            (ENDED, "", {}),
        ]
    )
    edit_at, name, changes = next(edits)
    for number, at in enumerate(moments(dice)):
        if number % 20 == 0:
            every_price_at_its_start()
        while at >= edit_at:
            for field, value in changes.items():
                setattr(firm.plans[name], field, value)
            firm.edited(name, edit_at)
            edit_at, name, changes = next(edits)
        act = dice.random()
        if act < 0.45:
            known = firm.buys(dice.choice(list(SYMBOLS)), dice, at)
        elif act < 0.65 and firm.month.trades:
            known = firm.exits(dice.choice([one for one in firm.month.trades[-40:] if not one.original]), at)
        else:
            known = None
            if not any(begin <= at < end for begin, end in OUTAGES):
                firm.runs_the_job(at)
            firm.settles(at, dice)
        if known is not None:
            late.append(known)
        while late and dice.random() < 0.7:
            firm.stores(late.pop(0), at)

    for known in late:
        firm.stores(known, ENDED)
    for day in range(1, 5):
        firm.runs_the_job(ENDED + timedelta(days=day))
        firm.settles(ENDED + timedelta(days=day + 2), dice)
    found = dict(Trade.objects.values_list("pk", "state"))
    assert found == {one.id: one.state for one in firm.month.trades}
    assert {one.state for one in firm.month.trades} == {"completed", "failed"}
    assert SettlementBatch.objects.exclude(state=BatchState.COMPLETED).count() == 0
    assert what_the_audit_finds() == []
