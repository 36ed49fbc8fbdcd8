"""A batch is reversed in slices: what holds between two of them, and who can't pay back in the middle of it."""

from __future__ import annotations

import json

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from accounts import services
from accounts.management.exits import WaitsForPerson
from accounts.models import Transfer
from tests.caller import a_firm
from tests.given import a_customer, a_settling_buy, a_trade, balance, btc, btc_at, deposit, exits, what_the_audit_finds
from tests.trades.corrections.staff import (
    a_completed_batch,
    all_balances,
    applies,
    carried_on,
    somebody,
    the_leg,
    why,
)
from tests.trades.engine_steps import opens
from trades import tasks
from trades.corrections import decide
from trades.corrections.batch_reversal import carry_on_once
from trades.corrections.errors import AlreadyDecided, AlreadyReversed, NothingToReverse
from trades.corrections.propose import propose_batch_reversal, propose_leg_reversal, propose_trade_reversal
from trades.errors import LegStateForbids
from trades.models import Correction, SettlementBatch, SettlementLeg, Trade, TradeEvent
from trades.settlement.legs import settle_leg

pytestmark = pytest.mark.django_db


@pytest.fixture
def customers():
    btc_at("40_000.00")
    return [a_customer(name, with_usd="10_000.00") for name in ("alice", "bob", "carol", "dave")]


def begun(batch: SettlementBatch, chunk: int = 1) -> Correction:
    """A reversal of it that a second person applied, and of which nothing more is done."""
    return decide.apply(propose_batch_reversal(batch.pk, **why()).pk, by=somebody(), at=timezone.now(), chunk=chunk)


def a_slice(correction: Correction) -> Correction:
    carry_on_once(correction.pk, at=timezone.now())
    return Correction.objects.get(pk=correction.pk)


def withdraws_everything(customer, asset: str = "BTC") -> None:
    services.withdraw(customer, asset, balance(customer, asset=asset), f"out-{customer.pk}", timezone.now(), "test")


def test_between_two_slices_the_books_are_right_and_progress_is_told(customers):
    before = all_balances()
    for customer in customers:
        exits(a_settling_buy(customer, btc("0.01")))
        a_settling_buy(customer, btc("0.02"))
    batch = a_completed_batch()
    correction = begun(batch)
    firm, told = a_firm(), []

    while correction.state == "applying":
        assert what_the_audit_finds() == []
        assert TradeEvent.objects.filter(became="reversed").count() == correction.trades_done
        told.append(correction.trades_done)
        shown = firm.get(f"/api/corrections/{correction.pk.hex}")[1]
        assert (shown["state"], shown["trades_done"], shown["trades_count"]) == ("applying", told[-1], 12)
        correction = a_slice(correction)

    assert told == [0, 3, 6, 9]
    assert (correction.state, correction.trades_done, all_balances()) == ("applied", 12, before)
    assert correction.movements_count == Transfer.objects.filter(subject=correction.pk).count()
    assert what_the_audit_finds() == []


def test_nothing_else_touches_the_batch_meanwhile(customers):
    """Guards: `batch_is_reversed` in reversal.py, `batch_reversals` in legs.py, one_open_proposal_per_subject."""
    trades = [a_settling_buy(customer, btc("0.01")) for customer in customers]
    batch = a_completed_batch()
    of_trade = propose_trade_reversal(trades[-1].pk, **why())
    correction = a_slice(begun(batch))
    leg = the_leg(batch, "BTC")
    assert correction.trades_done == 1

    for refused, call in (
        (AlreadyReversed, lambda: applies(of_trade)),
        (AlreadyReversed, lambda: propose_trade_reversal(trades[-1].pk, **why())),
        (AlreadyReversed, lambda: propose_batch_reversal(batch.pk, **why())),
        (NothingToReverse, lambda: propose_leg_reversal(leg.pk, **why())),
        (LegStateForbids, lambda: settle_leg(leg.pk, actual=1, reference="", by=somebody(), at=timezone.now())),
        (AlreadyDecided, lambda: decide.reject(correction.pk, by=somebody(), at=timezone.now())),
        (AlreadyDecided, lambda: decide.apply(correction.pk, by=somebody(), at=timezone.now())),
    ):
        with pytest.raises(refused), transaction.atomic():
            call()

    assert carried_on(correction).state == "applied"
    assert TradeEvent.objects.filter(became="reversed", detail=correction.pk.hex).count() == 4
    assert what_the_audit_finds() == []


@pytest.mark.parametrize(
    ("table", "change", "why_not"),
    [
        ("correction", "state = 'rejected'", "may not move"),
        ("correction", "state = 'proposed'", "may not move"),
        ("correction", "state = 'applied'", "correction_is_applied_when_all_is_done"),
        ("correction", "trades_done = trades_done - 1", "never changed"),
        ("correction", "slices_done = 0", "never changed"),
        ("correction", "slice_ends = '{}'", "never changed"),
        ("correction", "movements_count = movements_count - 1", "never changed"),
        ("correction", "checked_by_id = made_by_id", "never changed"),
        ("correction", "decided_at = now()", "never changed"),
        ("correction", "kind = 'reverse_trade'", "never changed"),
        ("correction", "trades_done = trades_count + 1", "correction_is_applied_when_all_is_done"),
        ("settlementleg", "status = 'settled', actual = 1", "has been reversed"),
        ("settlementleg", "status = 'failed'", "has been reversed"),
    ],
)
def test_the_tables_refuse_whoever_goes_around_the_services(customers, table, change, why_not):
    for customer in customers:
        a_settling_buy(customer, btc("0.01"))
    correction = a_slice(begun(a_completed_batch()))
    of_it = "id = %s" if table == "correction" else "batch_id = %s"
    id_ = correction.pk if table == "correction" else correction.subject

    with pytest.raises(IntegrityError, match=why_not), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE trades_{table} SET {change} WHERE {of_it}", [id_])


def test_the_tables_refuse_a_second_reversal_of_a_batch_and_a_trade_s_beside_it(customers):
    trade, _ = (a_settling_buy(customer, btc("0.01")) for customer in customers[:2])
    batch = a_completed_batch()
    of_trade = propose_trade_reversal(trade.pk, **why())
    correction = begun(batch)
    another = Correction.objects.create(
        kind="reverse_batch", subject=SettlementLeg.objects.first().pk, reason="x", made_by=correction.made_by,
        made_at=timezone.now(),
    )  # fmt: skip

    def applied_around(one: Correction, state: str, more: str = "") -> str:
        with pytest.raises(IntegrityError) as refused, transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE trades_correction SET state = %s, decided_at = now(), checked_by_id = %s{more} WHERE id = %s",
                [state, somebody().user_id, one.pk],
            )
        return str(refused.value)

    assert "has been reversed" in applied_around(of_trade, "applied")
    assert "has been reversed" in applied_around(of_trade, "applying")
    assert "never changed" in applied_around(another, "applying", f", subject = '{batch.pk}'")
    with pytest.raises(IntegrityError, match=r"one_open_proposal_per_subject|a_batch_is_reversed_once"):
        Correction.objects.create(
            kind="reverse_batch", subject=batch.pk, reason="x", made_by=correction.made_by, made_at=timezone.now()
        )


def test_who_spends_it_in_the_middle_is_passed_over_and_taken_back_once_they_have_it_again(customers):
    """Guard: the table's floor, which the slice turns into passing over. Nobody goes below zero, nobody is taken back
    half, and the others don't wait."""
    before = all_balances()
    alice, *others = customers
    trades = [a_settling_buy(customer, btc("0.01")) for customer in customers]
    batch = a_completed_batch()
    correction = begun(batch, chunk=2)
    withdraws_everything(alice)

    correction = carried_on(correction)

    assert (correction.state, correction.trades_done, correction.waits_for) == ("applying", 3, [alice.pk])
    assert [balance(other, asset="BTC") for other in others] == [0, 0, 0]
    assert not TradeEvent.objects.filter(trade=trades[0], became="reversed").exists()
    assert what_the_audit_finds() == []
    was = Correction.objects.filter(pk=correction.pk).values().get()
    tasks.carry_reversals_on()
    assert Correction.objects.filter(pk=correction.pk).values().get() == was

    deposit(alice, "BTC", "0.01")
    tasks.carry_reversals_on()

    correction.refresh_from_db()
    assert (correction.state, correction.trades_done, correction.waits_for) == ("applied", 4, [])
    assert Trade.objects.get(pk=trades[0].pk).updated_at == correction.updated_at
    assert {key: value for key, value in all_balances().items() if key[3] != "external"} == {
        key: value for key, value in before.items() if key[3] != "external"
    }
    assert what_the_audit_finds() == []


def test_what_open_positions_need_is_not_taken_in_the_middle_either(customers):
    """Guard: `beyond` in `_move`. Without it the reversal of a sell takes the cash that an open order's loss needs."""
    alice, bob, *_ = customers
    for customer in (alice, bob):
        deposit(customer, "BTC", "0.1")
        a_trade(customer, "sell", deliver=btc("0.1"))
    batch = a_completed_batch()
    correction = begun(batch)
    opens(alice, quantity="0.3", leverage=10)
    services.withdraw(alice, "USD", balance(alice) - 500_000, "out", timezone.now(), "test")
    btc_at("30_000.00")

    correction = carried_on(correction)

    assert (correction.state, correction.waits_for) == ("applying", [alice.pk])
    assert balance(alice) == 500_000
    assert what_the_audit_finds() == []


def test_one_that_was_left_in_the_middle_is_carried_on_by_a_worker(customers):
    for customer in customers:
        a_settling_buy(customer, btc("0.01"))
    correction = a_slice(begun(a_completed_batch()))

    tasks.carry_reversals_on()
    tasks.carry_reversals_on()

    correction.refresh_from_db()
    assert (correction.state, correction.trades_done, correction.slices_done) == ("applied", 4, 4)


def test_the_command_tells_how_far_it_is_and_carries_on_what_was_begun(customers, capsys):
    for customer in customers:
        a_settling_buy(customer, btc("0.01"))
    proposed = propose_batch_reversal(a_completed_batch().pk, **why())
    checker = somebody()
    email = type(proposed.made_by).objects.get(pk=checker.user_id).email
    decide.apply(proposed.pk, by=checker, at=timezone.now(), chunk=1)
    a_slice(proposed)

    call_command("correct", "list", "--state", "applying")
    assert "applying" in (said := capsys.readouterr().out)
    assert "1 of 4 trades" in said
    call_command("correct", "apply", proposed.pk.hex, "--by", email, "--json")

    told = json.loads(capsys.readouterr().out)
    assert (told["state"], told["trades_done"], told["trades"], told["waits_for"]) == ("applied", 4, 4, [])


def test_the_command_ends_as_one_that_waits_for_a_person_while_a_customer_cant_pay_back(customers, capsys):
    for customer in customers:
        a_settling_buy(customer, btc("0.01"))
    correction = begun(a_completed_batch())
    withdraws_everything(customers[0])
    checker = type(correction.made_by).objects.get(pk=correction.checked_by_id)

    with pytest.raises(WaitsForPerson, match=r"pay back what they received: 1\."):
        call_command("correct", "apply", correction.pk.hex, "--by", checker.email, "--json")

    told = json.loads(capsys.readouterr().out)
    assert (told["state"], told["trades_done"], told["waits_for"]) == ("applying", 3, [customers[0].pk.hex])
