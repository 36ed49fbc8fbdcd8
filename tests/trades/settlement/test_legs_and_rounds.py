"""Legs that are reported: settled, failed and tried again, with a difference; and what waits for them."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts import ledger
from accounts.errors import Malformed
from accounts.identity import SYSTEM, Actor
from accounts.ids import uuid7
from accounts.models import Break, Customer, LedgerAccount, Transfer, User
from tests.given import (
    a_customer,
    a_settling_buy,
    a_trade,
    balance,
    btc,
    btc_at,
    exits,
    price_at,
    settles,
    states,
    usd,
    what_the_audit_finds,
)
from trades.errors import LegNotFound, LegStateForbids
from trades.models import SettlementBatch, SettlementLeg
from trades.settlement.approval import confirm
from trades.settlement.cut import cut_now
from trades.settlement.legs import fail_leg, pause_after, reopen_leg, retry_due, settle_leg
from trades.settlement.settle import begin, settle_chunk

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice() -> Customer:
    btc_at("40_000.00")
    price_at("XAU-USD", "2_000.00")
    price_at("EUR-USD", "1.10")
    return a_customer(with_usd="100_000.00")


@pytest.fixture
def operator(db) -> Actor:
    return Actor(User.objects.create_user("operator@firm.example").pk)


def a_reporting_batch() -> SettlementBatch:
    """Everything that is settling, cut and begun, with legs that wait for their reports."""
    batch = cut_now(at=timezone.now(), by=SYSTEM, legs_are_automatic=False)
    confirm(batch.pk, by=SYSTEM, at=timezone.now())
    begin(batch.pk, timezone.now())
    batch.refresh_from_db()
    return batch


def leg_of(batch: SettlementBatch, asset: str) -> SettlementLeg:
    return SettlementLeg.objects.get(batch=batch, asset_id=asset)


def comes_in(batch: SettlementBatch, *assets: str) -> None:
    for asset in assets:
        leg = leg_of(batch, asset)
        settle_leg(leg.pk, actual=int(leg.expected), reference=f"bank-{leg.pk.hex}", by=SYSTEM, at=timezone.now())


def firm_balance(asset: str, type_: str) -> int:
    """The sum over all buckets."""
    return sum(row.balance for row in LedgerAccount.objects.filter(customer=None, asset_id=asset, type=type_))


def goes_on(batch: SettlementBatch) -> SettlementBatch:
    """The workers look again, as often as there is something to do."""
    while not settle_chunk(batch.pk, at=timezone.now()).is_done:
        pass
    batch.refresh_from_db()
    return batch


def test_a_batch_with_reported_legs_waits_until_both_legs_of_its_trades_have_come(alice, operator):
    bought = a_settling_buy(alice, btc("0.1"))
    batch = a_reporting_batch()

    assert settle_chunk(batch.pk, at=timezone.now()).waits_for == ("BTC", "USD")
    comes_in(batch, "BTC")
    assert settle_chunk(batch.pk, at=timezone.now()).waits_for == ("USD",)
    assert (goes_on(batch).state, states(bought)) == ("settling", ["settling"])

    comes_in(batch, "USD")
    assert (goes_on(batch).state, states(bought)) == ("completed", ["completed"])
    assert balance(alice, asset="BTC") == btc("0.1")
    assert what_the_audit_finds() == []


def test_a_failed_leg_holds_back_the_trades_of_its_asset_alone(alice, operator):
    bitcoin, gold = a_settling_buy(alice, btc("0.1")), a_trade(alice, symbol="XAU-USD", receive=1_000_000)
    sold = exits(a_settling_buy(alice, btc("0.05")))
    batch = a_reporting_batch()
    comes_in(batch, "USD", "XAU")
    fail_leg(leg_of(batch, "BTC").pk, failure="The provider's node is down.", by=operator, at=timezone.now())

    goes_on(batch)

    assert (batch.state, batch.completed_count) == ("partially_settled", 1)
    assert states(bitcoin, gold, sold) == ["settling", "completed", "settling"]
    assert what_the_audit_finds() == []

    comes_in(batch, "BTC")
    goes_on(batch)
    assert (batch.state, batch.completed_count) == ("completed", 4)
    assert states(bitcoin, gold, sold) == ["completed"] * 3
    assert what_the_audit_finds() == []


def test_a_failed_leg_is_due_again_after_a_pause_that_doubles(alice, operator):
    a_settling_buy(alice, btc("0.1"))
    leg, at = leg_of(a_reporting_batch(), "BTC"), timezone.now()

    pauses = []
    for _ in range(9):
        failed = fail_leg(leg.pk, failure="no answer", by=operator, at=at)
        pauses.append((failed.next_attempt_at - at).total_seconds() / 60)
        assert retry_due(failed.next_attempt_at - timedelta(microseconds=1)) == 0
        assert retry_due(failed.next_attempt_at) == 1
        at = failed.next_attempt_at

    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert pause_after(10_000) == timedelta(hours=1)
    leg.refresh_from_db()
    assert (leg.status, leg.attempts, leg.reported_by_id) == ("pending", 9, operator.user_id)


@pytest.mark.parametrize(("actual", "amount"), [("0.09", "-0.01"), ("0.12", "0.02"), ("0", "-0.1")])
def test_what_comes_in_different_is_booked_to_its_own_account_and_is_a_break(alice, operator, actual, amount):
    a_settling_buy(alice, btc("0.1"))
    batch = a_reporting_batch()

    settle_leg(
        leg_of(batch, "BTC").pk, actual=_sats(actual), reference="tx 1", by=operator, at=timezone.now(), final=True
    )

    leg = leg_of(batch, "BTC")
    assert int(leg.difference) == firm_balance("BTC", ledger.DIFFERENCES) == _sats(amount)
    assert firm_balance("BTC", ledger.LIQUIDITY) == 0  # the providers' side is done either way
    assert firm_balance("BTC", ledger.EXTERNAL) == -_sats(actual)
    found = Break.objects.get()
    assert (found.kind, found.asset_id, int(found.amount)) == ("leg_difference", "BTC", _sats(amount))
    assert (found.subject, found.state) == (leg.pk, "open")
    assert what_the_audit_finds() == []


def test_paying_out_less_than_expected_leaves_more_outside(alice, operator):
    a_settling_buy(alice, btc("0.1"))
    batch = a_reporting_batch()
    leg = leg_of(batch, "USD")
    assert (leg.direction, leg.expected) == ("outgoing", usd("4_000.00"))

    settle_leg(leg.pk, actual=usd("3_999.00"), reference="wire 7", by=operator, at=timezone.now(), final=True)

    assert int(Break.objects.get().amount) == usd("1.00") == firm_balance("USD", ledger.DIFFERENCES)
    assert what_the_audit_finds() == []


def test_a_report_that_comes_twice_counts_once_and_another_amount_is_refused(alice, operator):
    a_settling_buy(alice, btc("0.1"))
    leg = leg_of(a_reporting_batch(), "BTC")
    settle_leg(leg.pk, actual=btc("0.1"), reference="tx 1", by=operator, at=timezone.now())
    before = Transfer.objects.count()

    again = settle_leg(leg.pk, actual=btc("0.1"), reference="tx 1", by=operator, at=timezone.now())
    assert again.attempts == 1
    for actual, reference in ((btc("0.2"), "tx 1"), (btc("0.1"), "tx 2")):
        with pytest.raises(LegStateForbids):
            settle_leg(leg.pk, actual=actual, reference=reference, by=operator, at=timezone.now())
    with pytest.raises(LegStateForbids):
        fail_leg(leg.pk, failure="too late", by=operator, at=timezone.now())
    assert Transfer.objects.count() == before


def test_no_leg_is_reported_before_its_batch_has_begun_to_settle(alice, operator):
    """Guard: until then members may still be taken out, and what is expected may change."""
    a_settling_buy(alice, btc("0.1"))
    batch = cut_now(at=timezone.now(), by=SYSTEM, legs_are_automatic=False)

    for step in (lambda: None, lambda: confirm(batch.pk, by=SYSTEM, at=timezone.now())):
        step()
        with pytest.raises(LegStateForbids):
            settle_leg(leg_of(batch, "BTC").pk, actual=btc("0.1"), reference="", by=operator, at=timezone.now())


@pytest.mark.parametrize(("actual", "reference"), [(-1, ""), (10**33, ""), (1, "x" * 129), (1, "two\nlines")])
def test_a_report_that_can_not_be_is_refused(alice, operator, actual, reference):
    a_settling_buy(alice, btc("0.1"))
    leg = leg_of(a_reporting_batch(), "BTC")

    with pytest.raises(Malformed):
        settle_leg(leg.pk, actual=actual, reference=reference, by=operator, at=timezone.now())
    with pytest.raises(LegNotFound):
        settle_leg(uuid7(), actual=1, reference="", by=operator, at=timezone.now())
    with pytest.raises(Malformed):
        fail_leg(leg.pk, failure="", by=operator, at=timezone.now())


def test_a_reversed_leg_is_pending_again_its_money_is_back_and_its_break_is_resolved(alice, operator):
    a_settling_buy(alice, btc("0.1"))
    batch = a_reporting_batch()
    comes_in(batch, "USD")
    settle_leg(
        leg_of(batch, "BTC").pk, actual=btc("0.09"), reference="tx 1", by=operator, at=timezone.now(), final=True
    )
    goes_on(batch)
    correction = uuid7()

    assert reopen_leg(leg_of(batch, "BTC").pk, subject=correction, at=timezone.now()) == 2

    leg = leg_of(batch, "BTC")
    assert (leg.status, leg.actual, leg.difference) == ("pending", None, None)
    assert [firm_balance("BTC", name) for name in (ledger.DIFFERENCES, ledger.EXTERNAL)] == [0, 0]
    assert firm_balance("BTC", ledger.LIQUIDITY) == -btc("0.1")
    assert Break.objects.get().state == "resolved"

    settle_leg(leg.pk, actual=btc("0.1"), reference="tx 2", by=operator, at=timezone.now())
    assert firm_balance("BTC", ledger.LIQUIDITY) == 0
    assert Transfer.objects.filter(subject__in=[leg.pk, correction]).count() == 5


def test_a_leg_can_not_jump_or_lose_its_amount_behind_the_services_back(alice):
    a_settling_buy(alice, btc("0.1"))
    batch = settles(cut_now(at=timezone.now(), by=SYSTEM))

    for change in ({"status": "failed"}, {"actual": None}, {"actual": -1}):
        with pytest.raises(IntegrityError), transaction.atomic():
            SettlementLeg.objects.filter(batch=batch).update(**change)


def _sats(text: str) -> int:
    return int(Decimal(text).scaleb(8))
