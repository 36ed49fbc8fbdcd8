"""Races of money in and out. Each names its guard and was seen to fail without it."""

from __future__ import annotations

from collections import Counter
from functools import partial
from uuid import uuid4

import pytest
from django.utils import timezone

from accounts import ledger, services
from accounts.errors import InsufficientFunds, KeyReused
from accounts.ledger import Movement
from accounts.models import Funding, LedgerAccount, Transfer
from tests.given import a_customer, balance, usd, what_the_audit_finds
from tests.races.together import together
from tests.trades.corrections.staff import somebody, why
from trades.corrections.decide import apply
from trades.corrections.funding import propose_firms_own, propose_funding
from trades.corrections.propose import propose_adjustment
from trades.models import Correction

pytestmark = pytest.mark.django_db(transaction=True)


def test_one_reference_for_many_customers_at_once_credits_one_of_them():
    """Guard: `accounts_funding.reference` is unique. Looked at before it is written, both would find it free."""
    everybody = [a_customer(f"customer{number}") for number in range(8)]
    for turn in range(5):
        before = sum(map(balance, everybody))

        results = together(
            [
                partial(services.deposit, one, "USD", usd("5.00"), f"wire-{turn}", timezone.now(), "test")
                for one in everybody
            ]
        )

        assert Counter(map(type, results)) == {bool: 1, KeyReused: 7}
        assert sum(map(balance, everybody)) - before == usd("5.00")
    assert Funding.objects.count() == Transfer.objects.count() == 5
    assert what_the_audit_finds() == []


def test_one_movement_that_many_make_at_once_is_made_once():
    """Guard: the transfer's key; the others wait for it and find that it says the same."""
    alice = a_customer()

    results = together(
        [partial(services.deposit, alice, "USD", usd("5.00"), "wire-1", timezone.now(), "test") for _ in range(10)]
    )

    assert sorted(map(str, results)) == ["False"] * 9 + ["True"]
    assert balance(alice) == usd("5.00")
    assert Funding.objects.count() == 1


def test_two_honest_operators_at_once_make_one_movement():
    """Guard: the reference is looked for with the asset's row locked, and again where the unique index refused it.
    Without that the second one breaks."""
    alice, ann, ben = a_customer(), somebody(), somebody()
    for turn, amount in enumerate(["5.00", "5_000.00"] * 3):
        before = balance(alice)
        says = {"reference": f"wire-{turn}", "reason": "it came", "at": timezone.now()}

        results = together(
            [partial(propose_funding, "deposit", alice.pk, "USD", usd(amount), by=by, **says) for by in (ann, ben) * 4]
        )

        assert {type(result) for result in results} == {Correction}
        assert len({result.pk for result in results}) == 1
        assert balance(alice) - before == (usd(amount) if amount == "5.00" else 0)
    assert what_the_audit_finds() == []


def test_one_reference_that_is_proposed_in_two_assets_at_once_is_one_proposals():
    """Guard: the unique `one_funding_per_reference`. Different assets' rows are locked, so nobody waits for another."""
    alice = a_customer()
    for turn in range(5):
        says = {"reference": f"wire-{turn}", "reason": "it came", "at": timezone.now()}

        results = together(
            [
                partial(propose_funding, "deposit", alice.pk, asset, 10**15, by=somebody(), **says)
                for asset in ("USD", "EUR", "BTC", "ETH")
            ]
        )

        assert Counter(map(type, results)) == {Correction: 1, KeyReused: 3}


@pytest.mark.parametrize("amount", ["25.00", "5_000.00"])
def test_a_dialog_that_is_answered_ten_times_at_once_makes_one_correction(amount):
    """Guard: the dialog's key is looked for with the asset's row locked. Without that a double click breaks; without
    the key it pays twice."""
    alice = a_customer()
    answer = {**why(), "once": uuid4()}

    results = together(
        [partial(propose_adjustment, alice.pk, "USD", usd(amount), "credit", **answer) for _ in range(10)]
    )

    assert len({result.pk for result in results}) == 1
    assert balance(alice) == (usd("25.00") if amount == "25.00" else 0)
    assert Correction.objects.count() == 1


def test_a_dialog_that_is_answered_for_two_assets_at_once_makes_one_correction():
    """Guard: `trades_correction.once` is unique. Two assets' rows are locked, so nothing else is between the two."""
    alice = a_customer()
    for _ in range(5):
        answer = {**why(), "once": uuid4()}

        results = together(
            [partial(propose_adjustment, alice.pk, asset, 10**15, "credit", **answer) for asset in ("USD", "EUR")]
        )

        assert Counter(map(type, results)) == {Correction: 1, KeyReused: 1}


def test_what_was_earned_is_paid_out_once_however_many_do_it_at_once():
    """Guard: the sum over the buckets is read after `ledger.post` locked the firm's account. Read before it, it lets
    everybody through."""
    alice = a_customer(with_usd="10_000.00")
    lost = Movement(
        ledger.customers(alice.pk, "USD", ledger.AVAILABLE),
        ledger.house(alice.pk, "USD", ledger.PROFIT),
        usd("1_000.00"),
        "order_loss",
        "lost",
        alice.pk,
        None,
        timezone.now(),
    )
    ledger.post([lost])
    proposals = [
        propose_firms_own("profit_out", "USD", usd("400.00"), reference=f"bank-{number}", **why())
        for number in range(6)
    ]

    results = together([partial(apply, one.pk, by=somebody(), at=timezone.now()) for one in proposals])

    assert Counter(map(type, results)) == {Correction: 2, InsufficientFunds: 4}
    rows = LedgerAccount.objects.filter(customer=None, asset="USD", type="profit")
    assert sum(row.balance for row in rows) == usd("200.00")
