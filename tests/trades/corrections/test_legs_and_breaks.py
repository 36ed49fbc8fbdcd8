"""A leg fails, is retried, comes with a difference and is taken back; a difference is paid or written off."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.errors import BreakNeedsExplanation, BreakNotFound, BreakResolved, Malformed
from accounts.identity import SYSTEM
from accounts.models import Break, LedgerAccount, Transfer
from tests.given import a_customer, a_settling_buy, btc, settles, states, usd, what_the_audit_finds
from tests.trades.corrections.staff import (
    a_break,
    a_completed_batch,
    all_balances,
    applies,
    movements_of,
    somebody,
    the_leg,
    why,
)
from trades.corrections.errors import AlreadyProposed, NothingToReverse
from trades.corrections.propose import propose_break_resolution, propose_leg_reversal
from trades.errors import LegNotFound
from trades.models import Correction
from trades.settlement.approval import confirm
from trades.settlement.cut import cut_now
from trades.settlement.legs import fail_leg, retry_due, settle_leg
from trades.settlement.settle import begin

pytestmark = pytest.mark.django_db

PAID, WRITTEN_OFF = Correction.Kind.BREAK_PAID, Correction.Kind.BREAK_WRITTEN_OFF


@pytest.fixture
def batch():
    """A completed batch of one buy of 0.1 BTC, whose legs were taken back to be reported by hand."""
    a_settling_buy(a_customer(with_usd="10_000.00"), btc("0.1"), at_price="40_000.00")
    done = a_completed_batch()
    for asset in ("BTC", "USD"):
        applies(propose_leg_reversal(the_leg(done, asset).pk, **why()))
    return done


def firms(type_: str, asset: str) -> int:
    rows = LedgerAccount.objects.filter(customer=None, asset=asset, type=type_)
    return sum(row.balance for row in rows)


@pytest.mark.faults
def test_a_leg_that_failed_is_retried_settles_with_a_difference_and_is_reversed_all_linked_and_balanced(batch):
    """Fault 35. Guards: a failed leg waits until its time; a leg's reversal takes back its difference, resolves its
    break, and belongs to the correction."""
    leg, untouched = the_leg(batch, "BTC"), all_balances()
    now = timezone.now()

    fail_leg(leg.pk, failure="no answer", by=somebody(), at=now)
    assert retry_due(now) == 0
    assert retry_due(now + timedelta(hours=1)) == 1
    settle_leg(leg.pk, actual=btc("0.09"), reference="wire-1", by=somebody(), at=now, final=True)
    found = Break.objects.get(subject=leg.pk, state="open")
    assert (found.amount, firms("differences", "BTC")) == (-btc("0.01"), -btc("0.01"))
    assert what_the_audit_finds() == []
    reversal = applies(propose_leg_reversal(leg.pk, **why()))

    assert all_balances() == untouched
    leg.refresh_from_db()
    assert (leg.status, leg.actual) == ("pending", None)
    assert Break.objects.get(pk=found.pk).resolution == f"The leg was reversed by correction {reversal.pk.hex}."
    took_back = Transfer.objects.filter(subject=reversal.pk)
    assert took_back.count() == reversal.movements_count == 2
    for movement in took_back:
        taken_back = Transfer.objects.get(customer=None, key=movement.key.removesuffix(":reopened"))
        assert (taken_back.debit_account_id, taken_back.amount) == (movement.credit_account_id, movement.amount)
    assert what_the_audit_finds() == []

    settle_leg(leg.pk, actual=btc("0.1"), reference="wire-2", by=somebody(), at=now)
    assert what_the_audit_finds() == []


@pytest.mark.faults
def test_a_leg_that_fails_between_its_parts_is_retried_and_reversed_all_linked_and_balanced():
    """Fault 35 with a cut-off and with parts: what completed by the first part stays completed. Guards: a leg that is
    due again is as it was; its reversal takes back every report."""
    alice = a_customer(with_usd="10_000.00")
    trades = [a_settling_buy(alice, btc("0.1"), at_price="20_000.00") for _ in range(2)]
    cut_at = timezone.now()
    later = a_settling_buy(alice, btc("0.1"), at_price="20_000.00")
    batch = cut_now(at=cut_at, by=SYSTEM, legs_are_automatic=False, completes_in_order=True)
    confirm(batch.pk, by=SYSTEM, at=cut_at)
    begin(batch.pk, cut_at)
    batch.refresh_from_db()
    leg, by, now = the_leg(batch, "BTC"), somebody(), timezone.now()
    settle_leg(the_leg(batch, "USD").pk, actual=usd("4000.00"), reference="BANK-1", by=by, at=now)
    untouched = [firms(type_, "BTC") for type_ in ("external", "liquidity", "differences")]

    settle_leg(leg.pk, actual=btc("0.1"), reference="tx-1", by=by, at=now)
    settles(batch)
    assert states(*trades, later) == ["completed", "settling", "settling"]
    fail_leg(leg.pk, failure="no answer", by=by, at=now)
    assert retry_due(now + timedelta(hours=1)) == 1
    leg.refresh_from_db()
    assert (leg.status, leg.actual) == ("partially_settled", btc("0.1"))
    settle_leg(leg.pk, actual=btc("0.05"), reference="tx-2", by=by, at=now)
    settle_leg(leg.pk, actual=btc("0.03"), reference="tx-3", by=by, at=now, final=True)
    settles(batch)
    found = Break.objects.get(subject=leg.pk)
    assert (found.amount, states(*trades, later)) == (-btc("0.02"), ["completed", "completed", "settling"])
    assert what_the_audit_finds() == []
    reversal = applies(propose_leg_reversal(leg.pk, **why()))

    assert [firms(type_, "BTC") for type_ in ("external", "liquidity", "differences")] == untouched
    assert Break.objects.get(pk=found.pk).resolution == f"The leg was reversed by correction {reversal.pk.hex}."
    took_back = Transfer.objects.filter(subject=reversal.pk)
    assert took_back.count() == reversal.movements_count == 4  # of three reports, and the difference
    for movement in took_back:
        taken_back = Transfer.objects.get(customer=None, key=movement.key.removesuffix(":reopened"))
        assert (taken_back.debit_account_id, taken_back.amount) == (movement.credit_account_id, movement.amount)
    assert states(*trades, later) == ["completed", "completed", "settling"]
    for part in ("0.12", "0.08"):
        settle_leg(leg.pk, actual=btc(part), reference=f"tx {part}", by=by, at=now)
    assert the_leg(batch, "BTC").status == "settled"
    assert what_the_audit_finds() == []


def test_only_a_settled_leg_is_reversed_and_only_once_at_a_time(batch):
    leg = the_leg(batch, "BTC")
    with pytest.raises(NothingToReverse, match="pending"):
        propose_leg_reversal(leg.pk, **why())
    with pytest.raises(LegNotFound):
        propose_leg_reversal(uuid.uuid4(), **why())
    settle_leg(leg.pk, actual=btc("0.1"), reference="", by=somebody(), at=timezone.now())
    propose_leg_reversal(leg.pk, **why())

    with pytest.raises(AlreadyProposed):
        propose_leg_reversal(leg.pk, **why())


@pytest.mark.parametrize(
    ("asset", "missing", "kind", "moved"),
    [
        ("BTC", 1_000_000, PAID, ("break_paid", "external", "differences")),
        ("BTC", -1_000_000, PAID, ("break_paid", "differences", "external")),
        ("BTC", 1_000_000, WRITTEN_OFF, ("break_written_off", "adjustments", "differences")),
        ("BTC", -1_000_000, WRITTEN_OFF, ("break_written_off", "differences", "adjustments")),
        # The dollars go out: what is missing there stayed with the provider's customer, the firm.
        ("USD", 1_000, PAID, ("break_paid", "differences", "external")),
        ("USD", -1_000, WRITTEN_OFF, ("break_written_off", "adjustments", "differences")),
    ],
)
def test_a_difference_is_paid_after_all_or_written_off(batch, asset, missing, kind, moved):
    found = a_break(batch, asset, missing=missing)
    assert firms("differences", asset) == found.amount != 0

    done = applies(propose_break_resolution(found.pk, kind, **why(reference="wire-10")))

    assert movements_of(done) == [(*moved, abs(missing), asset)]
    assert Transfer.objects.get(subject=done.pk).key == f"correction:{done.pk.hex}"
    assert firms("differences", asset) == 0
    found.refresh_from_db()
    how = "Paid" if kind == PAID else "Written off"
    assert (found.state, found.resolution) == ("resolved", f"{how}: the price was wrong")
    assert what_the_audit_finds() == []


def test_a_break_is_resolved_once_whichever_way_was_proposed(batch):
    found = a_break(batch, "BTC", missing=btc("0.01"))
    paid = propose_break_resolution(found.pk, PAID, **why())
    with pytest.raises(AlreadyProposed):
        propose_break_resolution(found.pk, WRITTEN_OFF, **why())
    Correction.objects.filter(pk=paid.pk).update(state="rejected", decided_at=timezone.now())
    proposed = propose_break_resolution(found.pk, WRITTEN_OFF, **why())
    applies(propose_leg_reversal(found.subject, **why()))

    with pytest.raises(BreakResolved):
        applies(proposed)
    with pytest.raises(BreakResolved):
        propose_break_resolution(found.pk, PAID, **why())
    assert what_the_audit_finds() == []


def test_only_what_is_booked_as_a_difference_is_paid_or_written_off(batch):
    drift = Break.objects.create(kind="reconciliation", asset_id="USD", amount=5, opened_at=timezone.now())

    with pytest.raises(BreakNeedsExplanation):
        propose_break_resolution(drift.pk, PAID, **why())
    with pytest.raises(BreakNotFound):
        propose_break_resolution(uuid.uuid4(), PAID, **why())
    with pytest.raises(Malformed):
        propose_break_resolution(drift.pk, Correction.Kind.ADJUSTMENT, **why())


def test_a_long_reason_is_cut_in_the_break_and_whole_in_the_correction(batch):
    found = a_break(batch, "BTC", missing=btc("0.01"))

    done = applies(propose_break_resolution(found.pk, PAID, **why(reason="y" * 500)))

    found.refresh_from_db()
    assert (len(done.reason), len(found.resolution), found.resolution[-1]) == (500, 200, "…")
