"""Races of corrections. Each names its guard and was seen to fail without it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest
from django.utils import timezone

from accounts import services
from accounts.errors import BreakResolved, InsufficientFunds
from tests.given import a_customer, a_settling_buy, balance, btc, deposit, usd, what_the_audit_finds
from tests.races.together import raised, together
from tests.trades.corrections.staff import (
    a_break,
    a_completed_batch,
    all_balances,
    applies,
    carried_on,
    somebody,
    the_leg,
    why,
)
from trades.corrections.decide import apply
from trades.corrections.errors import AlreadyDecided, AlreadyProposed, AlreadyReversed, CannotPayBack
from trades.corrections.propose import (
    propose_adjustment,
    propose_batch_reversal,
    propose_break_resolution,
    propose_leg_reversal,
    propose_trade_reversal,
)
from trades.errors import LegStateForbids
from trades.models import Correction, SettlementLeg, TradeEvent
from trades.settlement.legs import settle_leg

pytestmark = pytest.mark.django_db(transaction=True)


def decided(proposed: Correction) -> Callable[[], Correction]:
    """Somebody else applies it, to its end or as far as it goes."""
    by = somebody()

    def applies_it() -> Correction:
        apply(proposed.pk, by=by, at=timezone.now())
        return carried_on(proposed)

    return applies_it


def test_ten_checkers_at_once_apply_an_adjustment_once():
    """Guard: the correction's row is locked before its state is looked at. Without it several carry it out, and the
    triggers break their transactions instead of refusing them."""
    alice = a_customer()
    proposed = propose_adjustment(alice.pk, "USD", usd("5_000.00"), "credit", **why())

    results = together([decided(proposed) for _ in range(10)])

    assert Counter(type(result) for result in results) == {Correction: 1, AlreadyDecided: 9}
    assert balance(alice) == usd("5_000.00")
    assert what_the_audit_finds() == []


def test_a_trade_s_reversal_and_its_batch_s_at_once_take_it_back_once():
    """Guard: whatever reverses trades locks their batch's row. Without it both find the trade unreversed, and the
    unique event breaks one of the transactions instead of refusing it or leaving the trade out."""
    for _ in range(5):
        alice = a_customer(with_usd="10_000.00")
        deposit(alice, "BTC", "1")  # she could give it back twice
        trades = [a_settling_buy(alice, btc("0.01"), at_price="40_000.00") for _ in range(4)]
        batch = a_completed_batch()
        proposals = [propose_trade_reversal(trade.pk, **why()) for trade in trades]
        proposals.append(propose_batch_reversal(batch.pk, **why()))

        results = together([decided(proposed) for proposed in proposals])

        assert raised(results, AlreadyReversed) == [result for result in results if isinstance(result, Correction)]
        assert TradeEvent.objects.filter(trade__in=trades, became="reversed").count() == len(trades)
        assert (balance(alice), balance(alice, asset="BTC")) == (usd("10_000.00"), btc("1"))
    assert what_the_audit_finds() == []


@pytest.mark.parametrize("of", ["trade", "batch"])
def test_a_reversal_and_withdrawals_at_once_never_take_more_than_there_is(of):
    """Guard: the account is locked before its balance is read, and the table's floor, which the batch's reversal
    turns into its refusal, or into passing her over. Without that translation it breaks with an IntegrityError."""
    for turn in range(6):
        alice = a_customer(with_usd="10_000.00")
        bought = a_settling_buy(alice, btc("0.1"), at_price="40_000.00")
        batch = a_completed_batch()
        if of == "trade":
            proposed = propose_trade_reversal(bought.pk, **why())
        else:
            proposed = propose_batch_reversal(batch.pk, **why())
        pay_out = [
            partial(services.withdraw, alice, "BTC", btc("0.1"), f"out-{turn}-{number}", timezone.now(), "test")
            for number in range(4)
        ]

        results = together([*pay_out[: turn % 5], decided(proposed), *pay_out[turn % 5 :]])

        assert raised(results, InsufficientFunds) != []
        done = [result for result in results if not isinstance(result, Exception)]
        winners = [one for one in done if not (isinstance(one, Correction) and one.state == "applying")]
        assert len(winners) == 1, results
        assert all(one.waits_for == [alice.pk] for one in done if one not in winners)
        assert {type(result) for result in results if isinstance(result, Exception)} <= {
            InsufficientFunds,
            CannotPayBack,
        }
        assert balance(alice, asset="BTC") == 0
    assert what_the_audit_finds() == []


def test_four_who_carry_a_batch_s_reversal_on_at_once_take_turns():
    """Guard: the correction's row is locked before its progress is read. Without it two of them do one slice, and the
    unique event breaks the second one's transaction."""
    customers = [a_customer(f"customer{number}", with_usd="10_000.00") for number in range(12)]
    before = all_balances()
    for customer in customers:
        a_settling_buy(customer, btc("0.01"), at_price="40_000.00")
    begun = apply(propose_batch_reversal(a_completed_batch().pk, **why()).pk, by=somebody(), at=timezone.now(), chunk=1)

    results = together([partial(carried_on, begun)] * 4)

    assert [getattr(result, "state", result) for result in results] == ["applied"] * 4
    assert (results[0].trades_done, all_balances()) == (12, before)
    assert TradeEvent.objects.filter(became="reversed").count() == 12
    assert what_the_audit_finds() == []


def test_ten_parts_of_an_adjustment_at_once_stay_within_the_limit_together():
    """Guard: the asset's row is locked before the maker's sum is read. Without it all ten find room."""
    alice, maker = a_customer(), somebody()

    results = together(
        [partial(propose_adjustment, alice.pk, "USD", usd("400.00"), "credit", **why(by=maker)) for _ in range(10)]
    )

    assert Counter(result.state for result in results) == {"applied": 2, "proposed": 8}
    assert balance(alice) == usd("800.00")


def test_ten_proposals_at_once_are_one():
    """Guard: one_open_proposal_per_subject; without the constraint several wait."""
    alice = a_customer(with_usd="10_000.00")
    bought = a_settling_buy(alice, btc("0.1"), at_price="40_000.00")
    a_completed_batch()

    results = together([partial(propose_trade_reversal, bought.pk, **why()) for _ in range(10)])

    assert Counter(type(result) for result in results) == {Correction: 1, AlreadyProposed: 9}


def test_a_difference_paid_and_its_leg_reversed_at_once_leave_nothing_in_between():
    """Guard: paying a break locks its leg first, as reversing the leg does. Without it the two wait for each other's
    rows, or the leg goes back and its difference is paid all the same."""
    for _ in range(6):
        a_settling_buy(a_customer(with_usd="10_000.00"), btc("0.1"), at_price="40_000.00")
        batch = a_completed_batch()
        leg = the_leg(batch, "BTC")
        applies(propose_leg_reversal(leg.pk, **why()))
        found = a_break(batch, "BTC", missing=btc("0.01"))
        paid = propose_break_resolution(found.pk, Correction.Kind.BREAK_PAID, **why())
        back = propose_leg_reversal(leg.pk, **why())

        results = together([decided(paid), decided(back)])

        done = raised(results, BreakResolved, LegStateForbids)
        assert len(done) == 1, results
        assert isinstance(done[0], Correction), results
        assert what_the_audit_finds() == []


def test_a_leg_reported_while_its_batch_is_reversed_goes_back_with_it_or_is_refused():
    """Guard: the batch's reversal locks all its legs first, those that wait, too. Without it a leg is settled that
    nobody takes back."""
    for turn in range(12):
        a_settling_buy(a_customer(with_usd="10_000.00"), btc("0.1"), at_price="40_000.00")
        batch = a_completed_batch()
        leg = the_leg(batch, "BTC")
        applies(propose_leg_reversal(leg.pk, **why()))
        report = partial(settle_leg, leg.pk, actual=btc("0.1"), reference="", by=somebody(), at=timezone.now())
        back = decided(propose_batch_reversal(batch.pk, **why()))

        results = together([report, back] if turn % 2 else [back, report])

        assert any(isinstance(result, Correction) for result in results), results
        assert all(isinstance(result, (Correction, SettlementLeg, LegStateForbids)) for result in results), results
        leg.refresh_from_db()
        assert leg.status == "pending"
    assert what_the_audit_finds() == []
