"""Manual adjustments: alone within the asset's limit, however they are split; above it a second person decides."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.errors import ActorRequired, CustomerNotFound, InsufficientFunds, Malformed, UnknownAsset
from accounts.identity import SYSTEM, Actor
from accounts.models import Asset, Transfer
from tests.given import a_customer, balance, btc, usd, what_the_audit_finds
from tests.trades.corrections.staff import applies, movements_of, somebody, why
from trades.corrections.decide import apply, reject
from trades.corrections.errors import AlreadyDecided, CorrectionNotFound
from trades.corrections.propose import propose_adjustment
from trades.errors import MakerIsChecker
from trades.models import Correction

pytestmark = pytest.mark.django_db

NOW = timezone.now()


@pytest.fixture
def alice():
    return a_customer(with_usd="100.00")


def test_the_limit_of_dollars_is_a_thousand_and_of_everything_else_nothing():
    limits = dict(Asset.objects.values_list("code", "adjustment_limit"))

    assert limits.pop("USD") == usd("1_000.00")
    assert set(limits.values()) == {0}


def test_within_the_limit_its_maker_applies_it_at_once(alice):
    done = propose_adjustment(alice.pk, "USD", usd("25.00"), "credit", **why(reference="ticket 7"))

    assert (done.state, done.needs_checker, done.checked_by_id) == ("applied", False, None)
    assert movements_of(done) == [("adjustment", "adjustments", "available", usd("25.00"), "USD")]
    assert Transfer.objects.get(subject=done.pk).key == f"correction:{done.pk.hex}"
    assert balance(alice) == usd("125.00")
    assert what_the_audit_finds() == []


def test_from_the_customer_it_goes_the_other_way_and_never_below_zero(alice):
    propose_adjustment(alice.pk, "USD", usd("40.00"), "debit", **why())
    with pytest.raises(InsufficientFunds):
        propose_adjustment(alice.pk, "USD", usd("60.01"), "debit", **why())

    assert balance(alice) == usd("60.00")
    assert Correction.objects.count() == 1
    assert what_the_audit_finds() == []


def test_above_the_limit_nothing_moves_until_a_second_person_applies_it(alice):
    proposed = propose_adjustment(alice.pk, "USD", usd("1_000.01"), "credit", **why())
    assert (proposed.state, proposed.needs_checker, balance(alice)) == ("proposed", True, usd("100.00"))
    maker, checker = Actor(user_id=proposed.made_by_id), somebody()

    with pytest.raises(MakerIsChecker):
        apply(proposed.pk, by=maker, at=NOW)
    with pytest.raises(ActorRequired):
        apply(proposed.pk, by=SYSTEM, at=NOW)
    done = apply(proposed.pk, by=checker, at=NOW)

    assert (done.state, done.checked_by_id, done.decided_at) == ("applied", checker.user_id, NOW)
    assert balance(alice) == usd("1_100.01")
    with pytest.raises(AlreadyDecided):
        apply(proposed.pk, by=somebody(), at=NOW)
    assert balance(alice) == usd("1_100.01")
    assert what_the_audit_finds() == []


def test_splitting_does_not_get_around_the_limit(alice):
    """Guard: the maker's sum of the last 24 hours in `propose_adjustment`; without it the third is applied at once."""
    maker = somebody()
    bob = a_customer("bob")
    propose_adjustment(alice.pk, "USD", usd("600.00"), "credit", **why(by=maker, at=NOW))
    propose_adjustment(bob.pk, "USD", usd("400.00"), "credit", **why(by=maker, at=NOW + timedelta(hours=1)))

    soon, next_day = NOW + timedelta(hours=2), NOW + timedelta(hours=24)
    one_cent = propose_adjustment(alice.pk, "USD", 1, "debit", **why(by=maker, at=soon))
    another_s = propose_adjustment(alice.pk, "USD", usd("1_000.00"), "credit", **why(at=soon))
    as_much = propose_adjustment(alice.pk, "USD", usd("600.00"), "credit", **why(by=maker, at=next_day))

    assert (one_cent.state, another_s.state, as_much.state) == ("proposed", "applied", "applied")


def test_what_a_second_person_applied_does_not_count_as_done_alone(alice):
    maker = somebody()
    applies(propose_adjustment(alice.pk, "USD", usd("5_000.00"), "credit", **why(by=maker)))

    assert propose_adjustment(alice.pk, "USD", usd("1_000.00"), "credit", **why(by=maker)).state == "applied"


def test_an_asset_without_a_limit_always_needs_a_second_person(alice):
    assert propose_adjustment(alice.pk, "BTC", 1, "credit", **why()).state == "proposed"


def test_a_proposal_is_rejected_by_another_one_or_withdrawn_by_its_maker_and_that_is_final(alice):
    first = propose_adjustment(alice.pk, "BTC", btc("1"), "credit", **why())
    second = propose_adjustment(alice.pk, "BTC", btc("1"), "credit", **why())
    checker = somebody()

    assert reject(first.pk, by=checker, at=NOW).checked_by_id == checker.user_id
    withdrawn = reject(second.pk, by=Actor(user_id=second.made_by_id), at=NOW)

    assert (withdrawn.state, withdrawn.checked_by_id) == ("rejected", None)
    for one in (first, second):
        with pytest.raises(AlreadyDecided):
            applies(one)
        with pytest.raises(AlreadyDecided):
            reject(one.pk, by=checker, at=NOW)
    with pytest.raises(CorrectionNotFound):
        reject(uuid.uuid4(), by=checker, at=NOW)
    assert balance(alice, asset="BTC") == 0
    assert what_the_audit_finds() == []


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"amount": 0}, Malformed),
        ({"amount": -5}, Malformed),
        ({"amount": 10**38}, Malformed),
        ({"direction": "sideways"}, Malformed),
        ({"asset": "XXX"}, UnknownAsset),
        ({"asset": "\x00"}, UnknownAsset),
        ({"customer_id": uuid.uuid4()}, CustomerNotFound),
        ({"reason": ""}, Malformed),
        ({"reference": "r" * 129}, Malformed),
        ({"reference": "a\tb"}, Malformed),
        ({"by": SYSTEM}, ActorRequired),
    ],
)
def test_an_impossible_adjustment_is_refused_and_nothing_is_written(alice, change, refusal):
    asked = {"customer_id": alice.pk, "asset": "USD", "amount": 100, "direction": "credit", **why(), **change}

    with pytest.raises(refusal):
        propose_adjustment(**asked)
    assert not Correction.objects.exists()
    assert balance(alice) == usd("100.00")
