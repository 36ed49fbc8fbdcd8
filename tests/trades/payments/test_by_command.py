"""`deposit` and `withdraw` book payments: what a command says has moved, a client finds among its transfers."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.identity import Actor
from accounts.models import Asset, Customer, Funding, User
from quotes.models import Quote
from tests.caller import a_firm
from tests.commands import ended, told
from tests.given import a_customer, a_payment, balance, btc_at, usd, what_the_audit_finds
from tests.trades.corrections.staff import a_member_of_staff, somebody
from tests.trades.engine_steps import opens
from tests.trades.payments.test_sandbox import steps_of
from trades.models import Correction, Payment
from trades.payments import manual

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice() -> Customer:
    return a_customer(with_usd="1_000.00")


@pytest.fixture
def ann() -> User:
    return a_member_of_staff("ann")


@pytest.fixture
def in_earnest(settings: Any) -> None:
    settings.SANDBOX, settings.PAYMENT_RAIL = False, "manual"
    Asset.objects.filter(pk="USD").update(adjustment_limit=usd("1_000.00"))


def words(command: str, customer: Customer, amount: str, reference: str, ann: User) -> tuple[str, ...]:
    why = ("--reason", "the wire came", "--by", ann.email)
    return (command, customer.pk.hex, "USD", amount, "--reference", reference, *why)


@pytest.mark.parametrize(("command", "side"), [("deposit", "deposit"), ("withdraw", "withdrawal")])
def test_what_a_command_books_is_a_transfer(alice: Customer, command: str, side: str) -> None:
    told(command, alice.pk.hex, "USD", "5", "--reference", "w1")

    (shown,) = a_firm().get("/api/transfers", customer_guid=alice.pk.hex)[1]["objects"]
    assert (shown["state"], shown["side"], shown["amount"], shown["reference"]) == ("completed", side, 500, "w1")
    payment = Payment.objects.get()
    assert [step for step, _ in steps_of(payment)] == ["storing", "pending", "settling", "completed"]
    assert Funding.objects.get(reference="w1").transfer.subject == payment.pk
    assert what_the_audit_finds() == []


def test_outside_a_sandbox_one_person_books_within_the_limit_as_if_confirmed_by_hand(
    alice: Customer, ann: User, in_earnest: None
) -> None:
    """Guard: `may_alone`; the trigger `alone_within_limit` refuses it as well."""
    assert told(*words("deposit", alice, "1000", "w1", ann))["moved"]
    code, facts, _ = ended(*words("deposit", alice, "0.01", "w2", ann))

    payment = Payment.objects.get()
    assert (payment.rail, payment.made_by, payment.needs_checker) == ("manual", ann, False)
    assert Funding.objects.get(reference="w1").reason == "the wire came"
    assert (code, facts["moved"]) == (4, False)
    assert facts["waits_for_a_second_person"] == Correction.objects.get().pk.hex
    assert balance(alice) == usd("2_000.00")
    assert what_the_audit_finds() == []


def test_what_was_confirmed_by_hand_counts_with_it(alice: Customer, ann: User, in_earnest: None) -> None:
    payment = a_payment(alice, "deposit", usd("600.00"))
    told(*words("deposit", alice, "600", "w1", ann))

    made = manual.confirm(payment.pk, reference="w2", by=Actor(user_id=ann.pk), at=timezone.now())

    assert made.state == "settling"


def test_what_cannot_be_spent_leaves_nothing_behind(alice: Customer) -> None:
    btc_at("42_000.00")
    opens(alice, quantity="0.2", leverage=10)
    btc_at("41_500.00")

    with pytest.raises(CommandError, match="can't spend so much"):
        call_command("withdraw", alice.pk.hex, "USD", "60.01", "--reference", "w1")

    assert (Payment.objects.count(), Quote.objects.count(), Funding.objects.filter(reference="w1").count()) == (0, 0, 0)
    assert told("withdraw", alice.pk.hex, "USD", "60.00", "--reference", "w1")["moved"]


def test_for_who_is_frozen_money_comes_in_and_goes_out_by_two_persons(
    alice: Customer, ann: User, in_earnest: None, settings: Any
) -> None:
    """Guards: `takes_two` in `may_alone`, `refuse_to_pay_out` in `book`."""
    Customer.objects.filter(pk=alice.pk).update(state="frozen")

    assert told(*words("deposit", alice, "1", "w1", ann))["moved"]
    assert ended(*words("withdraw", alice, "1", "w2", ann))[0] == 4
    settings.SANDBOX = True
    with pytest.raises(CommandError, match="frozen"):
        call_command("withdraw", alice.pk.hex, "USD", "1", "--reference", "w3")


def test_a_reference_that_waits_for_somebody_is_no_commands(alice: Customer, ann: User, in_earnest: None) -> None:
    """Guards: `is_proposed` in `may_alone`; the unique `one_payment_per_reference`."""
    ended(*words("deposit", alice, "1000.01", "w1", ann))
    payment = a_payment(alice, "deposit", usd("2_000.00"))
    manual.confirm(payment.pk, reference="w2", by=somebody(), at=timezone.now())

    for reference in ("w1", "w2"):
        with pytest.raises(CommandError, match="names another"):
            call_command(*words("deposit", alice, "5", reference, ann))
    assert balance(alice) == usd("1_000.00")
