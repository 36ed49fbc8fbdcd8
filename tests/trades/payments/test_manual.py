"""The manual rail: nothing moves until a person says so, and above the limit a second one."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts import deeds, services
from accounts.errors import ActorRequired, KeyReused, Malformed
from accounts.identity import SYSTEM, Actor
from accounts.ledger import LEAVING
from accounts.models import Asset, Customer, Funding
from tests.admin.actions import act, browser_of, browser_with, said
from tests.caller import Api
from tests.given import a_customer, a_funding_quote, a_payment, balance, token_of, usd, uses, what_the_audit_finds
from tests.trades.corrections.staff import a_member_of_staff, somebody, why
from tests.trades.payments.test_sandbox import steps_of
from trades.corrections.propose import propose_adjustment
from trades.errors import MakerIsChecker, PaymentStateForbids
from trades.models import Payment
from trades.payments.carry import carry, sweep
from trades.payments.manual import agree, confirm, refuse

pytestmark = pytest.mark.django_db

LIMIT = 100_000  # cents


@pytest.fixture(autouse=True)
def by_hand(settings) -> None:
    settings.PAYMENT_RAIL = "manual"
    Asset.objects.filter(pk="USD").update(adjustment_limit=LIMIT)


@pytest.fixture
def alice() -> Customer:
    return a_customer(with_usd="5_000.00")


def says(payment: Payment, reference: str, by: Actor | None = None) -> Payment:
    return confirm(payment.pk, reference=reference, by=by or somebody(), at=timezone.now())


def agrees(payment: Payment, by: Actor | None = None) -> Payment:
    return agree(payment.pk, by=by or somebody(), at=timezone.now())


def refuses(payment: Payment) -> Payment:
    return refuse(payment.pk, by=somebody(), at=timezone.now())


def test_a_customers_token_credits_nothing_before_somebody_says_that_it_came(alice: Customer) -> None:
    mine = Api(token_of(alice))
    wish = {"product_type": "funding", "asset": "USD", "side": "deposit", "deliver_amount": usd("500.00")}
    quote = mine.post("/api/quotes", wish)[1]["guid"]
    made = mine.post("/api/transfers", {"quote_guid": quote, "transfer_type": "funding"})[1]

    for _ in range(3):
        sweep()

    assert mine.get(f"/api/transfers/{made['guid']}")[1]["state"] == "pending"
    assert balance(alice) == usd("5_000.00")

    ann = somebody()
    says(Payment.objects.get(), "wire-1", ann)
    assert balance(alice) == usd("5_500.00")
    assert mine.get(f"/api/transfers/{made['guid']}")[1]["reference"] == "wire-1"
    kept = Funding.objects.get(reference="wire-1")
    assert (kept.made_by_id, kept.transfer.subject) == (ann.user_id, Payment.objects.get().pk)
    assert what_the_audit_finds() == []


def test_above_the_limit_a_second_person_agrees(alice: Customer) -> None:
    """Guards: `is_within_limit` in `confirm`, the look at the maker in `agree`."""
    payment, ann = a_payment(alice, "withdrawal", LIMIT + 1), somebody()

    assert says(payment, "wire-1", ann).state == "settling"
    assert balance(alice, LEAVING) == LIMIT + 1
    with pytest.raises(MakerIsChecker):
        agrees(payment, ann)
    ben = somebody()
    assert agrees(payment, ben).state == "completed"

    payment.refresh_from_db()
    assert (payment.made_by_id, payment.checked_by_id, balance(alice, LEAVING)) == (ann.user_id, ben.user_id, 0)
    assert steps_of(payment)[-2:] == [("settling", "wire-1"), ("completed", "wire-1")]
    assert what_the_audit_finds() == []


def test_what_is_split_in_parts_takes_two_all_the_same(alice: Customer) -> None:
    """Guard: the sums in `is_within_limit`: of corrections, and of payments."""
    ann = somebody()
    adjusted = propose_adjustment(alice.pk, "USD", usd("400.00"), "credit", **why(by=ann))
    assert adjusted.state == "applied"

    first, second = (a_payment(alice, "withdrawal", usd("400.00")) for _ in range(2))
    assert says(first, "w1", ann).state == "completed"
    assert says(second, "w2", ann).state == "settling"
    again = propose_adjustment(alice.pk, "USD", usd("400.00"), "credit", **why(by=ann))
    assert again.state == "proposed"


@pytest.mark.parametrize("side", ["deposit", "withdrawal"])
def test_for_who_is_not_verified_it_takes_two_whatever_the_amount(alice: Customer, side: str) -> None:
    """Guard: `takes_two` in `confirm`. The bank has moved it already: it is booked, by two."""
    payment = a_payment(alice, side, usd("1.00"))
    Customer.objects.filter(pk=alice.pk).update(state="unverified")

    assert says(payment, "w1").state == "settling"
    assert agrees(payment).state == "completed"


def test_a_payment_that_is_refused_gives_back(alice: Customer) -> None:
    pending, waits = (a_payment(alice, "withdrawal", LIMIT + 1) for _ in range(2))
    says(waits, "w1")

    assert [refuses(one).failure_code for one in (pending, waits)] == ["refused", "refused"]

    assert (balance(alice), balance(alice, LEAVING)) == (usd("5_000.00"), 0)
    for ended in (pending, waits):
        for act_ in (lambda one: says(one, "w2"), agrees, refuses):
            with pytest.raises(PaymentStateForbids):
                act_(ended)
    assert what_the_audit_finds() == []


def test_a_reference_is_used_once_in_the_whole_firm(alice: Customer) -> None:
    """Guards: the unique `one_payment_per_reference`, and the look at `Funding` before."""
    bob = a_customer("bob")
    services.deposit(bob, "USD", 100, "taken", timezone.now(), "test")
    first, second = (a_payment(alice, "withdrawal", LIMIT + 1) for _ in range(2))
    says(first, "w1")

    for reference in ("taken", "w1"):
        with pytest.raises(KeyReused):
            says(second, reference)
    second.refresh_from_db()
    assert second.state == "pending"

    services.deposit(bob, "USD", 100, "w3", timezone.now(), "test")
    third = a_payment(alice, "deposit", LIMIT + 1)
    says(third, "w4")
    services.deposit(bob, "USD", 100, "w4", timezone.now(), "test")  # used between the two persons
    with pytest.raises(KeyReused):
        agrees(third)
    third.refresh_from_db()
    assert (third.state, what_the_audit_finds()) == ("settling", [])


def test_the_same_said_again_by_the_same_person_changes_nothing(alice: Customer) -> None:
    payment, ann = a_payment(alice, "deposit", usd("10.00")), somebody()

    assert says(payment, "w1", ann).state == says(payment, "w1", ann).state == "completed"

    with pytest.raises(PaymentStateForbids):
        says(payment, "w1")
    assert balance(alice) == usd("5_010.00")


def test_what_is_said_needs_a_person_and_a_reference(alice: Customer) -> None:
    payment = a_payment(alice, "deposit", usd("10.00"))

    with pytest.raises(ActorRequired):
        says(payment, "w1", SYSTEM)
    for nothing in ("", " w", "\u202e"):
        with pytest.raises(Malformed):
            says(payment, nothing)


def test_what_a_rail_carries_by_itself_nobody_confirms(alice: Customer, settings) -> None:
    """Guard: `_by_hand`."""
    settings.PAYMENT_RAIL = "sandbox"
    payment = uses(a_funding_quote(alice, "deposit", usd("10.00")))

    for act_ in (lambda one: says(one, "w2"), agrees, refuses):
        with pytest.raises(PaymentStateForbids):
            act_(payment)


def test_a_payment_that_no_worker_has_seen_is_confirmed_all_the_same(alice: Customer) -> None:
    payment = uses(a_funding_quote(alice, "deposit", usd("10.00")))

    assert says(payment, "w1").state == "completed"
    carry([payment.pk])
    assert [step for step, _ in steps_of(payment)] == ["storing", "pending", "settling", "completed"]


def test_a_payment_that_is_to_fail_is_confirmed_by_nobody(alice: Customer) -> None:
    """Guard: the look at `expected_error` in `confirm`. A worker that comes later would find it completed."""
    payment = uses(a_funding_quote(alice, "deposit", usd("10.00")), expected_error="refused")

    with pytest.raises(PaymentStateForbids):
        says(payment, "w1")
    sweep()
    payment.refresh_from_db()
    assert (payment.state, payment.failure_code, what_the_audit_finds()) == ("failed", "refused", [])


def test_what_waits_for_a_person_is_passed_over_by_the_sweep(alice: Customer, django_assert_num_queries) -> None:
    """Guard: `goes_on_by_itself` in `sweep`. A thousand that wait would be a thousand transactions each time."""
    for _ in range(3):
        a_payment(alice, "withdrawal", 100)

    with django_assert_num_queries(1):
        assert sweep() == 0


# --- what the database refuses ---------------------------------------------------------------------


def test_nobody_completes_a_payment_alone_through_sql(alice: Customer) -> None:
    """Guards: the constraints `payment_maker_is_not_checker` and `payment_by_hand_is_completed_by_persons`, and the
    triggers `said_once` and `alone_within_limit`."""
    waits, pending, ann = a_payment(alice, "deposit", LIMIT + 1), a_payment(alice, "deposit", LIMIT + 1), somebody()
    says(waits, "w1", ann)
    for change in (
        {"state": "completed"},
        {"state": "completed", "checked_by_id": ann.user_id},
        {"state": "completed", "needs_checker": False},
        {"made_by_id": somebody().user_id},
        {"reference": "w2"},
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            Payment.objects.filter(pk=waits.pk).update(**change)

    Payment.objects.filter(pk=pending.pk).update(state="settling", reference="w3", made_by_id=ann.user_id)
    with pytest.raises(IntegrityError), transaction.atomic():
        Payment.objects.filter(pk=pending.pk).update(state="completed")  # without having said that it takes two
    unnamed = a_payment(alice, "deposit", 1)
    Payment.objects.filter(pk=unnamed.pk).update(state="settling", reference="w4")
    with pytest.raises(IntegrityError), transaction.atomic():
        Payment.objects.filter(pk=unnamed.pk).update(state="completed")


# --- the admin -------------------------------------------------------------------------------------


def test_by_the_admin(alice: Customer) -> None:
    maker, checker = browser_of(a_member_of_staff()), browser_of(a_member_of_staff("checker"))
    payment, small, declined = (a_payment(alice, "withdrawal", amount) for amount in (LIMIT + 1, 100, 200))

    answer = act(maker, "trades_payment_confirm", payment.pk, reference="w1")
    assert said(answer) == ["It is noted; a second person agrees before it completes."]
    assert said(act(maker, "trades_payment_agree", payment.pk)) == [
        "Whoever said that the money moved can't be the second person."
    ]
    assert said(act(checker, "trades_payment_agree", payment.pk)) == ["The payment is completed."]
    assert said(act(checker, "trades_payment_agree", payment.pk)) == ["The payment is completed."]  # sent twice
    assert said(act(maker, "trades_payment_confirm", small.pk, reference="w2")) == ["The payment is completed."]
    assert said(act(maker, "trades_payment_refuse", declined.pk)) == ["The payment is failed."]
    assert b"w1" in maker.get(f"/admin/trades/payment/{payment.pk}/change/").content
    assert what_the_audit_finds() == []


def test_who_may_only_look_decides_nothing(alice: Customer) -> None:
    payment = a_payment(alice, "withdrawal", 100)
    client = browser_with(deeds.AUDITOR)

    for name in ("confirm", "agree", "refuse"):
        assert client.get(f"/admin/trades/payment/{payment.pk}/{name}/").status_code in (302, 403, 404)
    payment.refresh_from_db()
    assert payment.state == "pending"
