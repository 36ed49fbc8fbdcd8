"""Money in and out: who, why and by which reference; above the limit two persons, by commands and by hand in SQL."""

from __future__ import annotations

import io
from importlib import import_module
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from accounts import ledger, seals, services
from accounts.errors import InsufficientFunds, KeyReused, Malformed
from accounts.ledger import Movement
from accounts.models import Customer, Funding, Transfer, User
from tests.commands import ended, told
from tests.given import a_customer, balance, deposit, usd, what_the_audit_finds
from tests.trades.corrections.staff import a_member_of_staff, applies, somebody
from trades.corrections import decide
from trades.corrections.funding import propose_funding
from trades.errors import MakerIsChecker
from trades.models import Correction

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice() -> Customer:
    return a_customer("alice")


@pytest.fixture
def ann() -> User:
    return a_member_of_staff("ann")


@pytest.fixture
def ben() -> User:
    return a_member_of_staff("ben")


@pytest.fixture
def in_earnest(settings: Any) -> None:
    settings.SANDBOX = False


def refused(*command: str) -> str:
    with pytest.raises(CommandError) as why:
        call_command(*command, stdout=io.StringIO())
    return str(why.value)


# --- the reference -----------------------------------------------------------------------------------


def test_a_reference_is_used_once_in_the_whole_firm(alice: Customer) -> None:
    """Guard: `accounts_funding.reference` is unique."""
    bob = a_customer("bob")
    told("deposit", alice.pk.hex, "USD", "5", "--key", "k1")

    assert "names another movement" in refused("deposit", bob.pk.hex, "USD", "5", "--key", "k1")
    assert "names another movement" in refused("withdraw", alice.pk.hex, "USD", "5", "--reference", "k1")

    assert (balance(alice), balance(bob)) == (usd("5.00"), 0)
    assert Transfer.objects.count() == 1


@pytest.mark.parametrize("nothing", ["", " ", " k1", "k1\n", "k\u200b1", "k\u20101", "x" * 129])
def test_a_reference_that_names_nothing_or_two_things_is_refused(alice: Customer, nothing: str) -> None:
    """Guard: `refuse_reference`. A shell's variable that wasn't set was a random key: money moved twice."""
    assert "reference has 1 to 128" in refused("deposit", alice.pk.hex, "USD", "5", "--key", nothing)
    with pytest.raises(Malformed):
        services.deposit(alice, "USD", 1, nothing, timezone.now(), "test")
    assert balance(alice) == 0


def test_outside_a_sandbox_who_why_and_the_reference_must_be_said(
    alice: Customer, ann: User, in_earnest: None, settings: Any
) -> None:
    start = ("deposit", alice.pk.hex, "USD", "5")
    why, which, who = ("--reason", "wire"), ("--reference", "w1"), ("--by", ann.email)

    assert "--reference" in refused(*start, *why, *who)
    assert "--reason" in refused(*start, *which, *who)
    assert "--reason" in refused(*start, *which, *who, "--reason", " ")
    assert "--by EMAIL" in refused(*start, *why, *which)
    assert "no active staff user" in refused(*start, *why, *which, "--by", "")
    assert balance(alice) == 0

    settings.BROKERAGE_BY = ann.email
    assert told(*start, *why, *which)["by"] == ann.email
    assert balance(alice) == usd("5.00")


def test_who_moved_it_stands_beside_the_transfer(alice: Customer, ann: User) -> None:
    told("deposit", alice.pk.hex, "USD", "5", "--reference", "w1", "--reason", "the wire came", "--by", ann.email)
    shown = told("deposit", alice.pk.hex, "USD", "6", "--reference", "w2")

    first, second = Funding.objects.order_by("pk")
    assert (first.transfer.amount, first.made_by, first.reason) == (usd("5.00"), ann, "the wire came")
    assert (second.transfer.amount, second.made_by, second.made_from) == (usd("6.00"), None, "command line")
    assert shown["by"] == "command line"


def test_who_moved_it_never_changes_and_is_sealed(alice: Customer) -> None:
    deposit(alice, "USD", "5.00")

    for statement in ("UPDATE accounts_funding SET made_from = 'nobody'", "DELETE FROM accounts_funding"):
        with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
    assert "accounts_funding" in seals.tables()


def test_references_from_before_the_table_are_taken_as_well(alice: Customer) -> None:
    """Guard: migration 0022. Of a reference that two customers have, the first movement keeps it."""
    bob, now = a_customer("bob"), timezone.now()
    ledger.post(
        [
            Movement(
                ledger.house(one.pk, "USD", ledger.EXTERNAL),
                ledger.customers(one.pk, "USD", ledger.AVAILABLE),
                cents,
                "deposit",
                f"deposit:{key}",
                one.pk,
                None,
                now,
            )
            for one, cents, key in ((alice, 1, "k:1"), (bob, 2, "k:1"), (bob, 3, "k2"))
        ]
    )

    with connection.cursor() as cursor:
        cursor.execute(import_module("accounts.migrations.0022_references_from_before").KEPT)

    kept = Funding.objects.values_list("reference", "transfer__amount", "made_from")
    assert set(kept) == {("k2", 3, "before it was noted"), ("k:1", 1, "before it was noted")}
    with pytest.raises(KeyReused):
        services.deposit(alice, "USD", 3, "k2", now, "test")
    assert [finding.split(":")[0] for finding in what_the_audit_finds()] == ["fundings"]
    with connection.cursor() as cursor:
        cursor.execute(import_module("accounts.migrations.0031_every_funding_has_a_row").KEPT)
    assert what_the_audit_finds() == []


def test_the_audit_names_a_row_that_names_another_movement(alice: Customer) -> None:
    """Guard: the check `fundings`."""
    deposit(alice, "USD", "5.00")
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE accounts_funding DISABLE TRIGGER append_only")
        cursor.execute("UPDATE accounts_funding SET reference = 'forged'")
        cursor.execute("ALTER TABLE accounts_funding ENABLE TRIGGER append_only")

    (found,) = what_the_audit_finds()
    assert found.startswith("fundings: ")


# --- two persons ---------------------------------------------------------------------------------------


def test_above_the_limit_a_deposit_waits_for_a_second_person(
    alice: Customer, ann: User, ben: User, in_earnest: None
) -> None:
    """Guard: `is_within_limit`; the trigger refuses it as well."""
    words = ("deposit", alice.pk.hex, "USD", "1000.01", "--reference", "w1", "--reason", "wire", "--by", ann.email)

    (code, first, _), (code_again, again, _) = ended(*words), ended(*words)

    assert code == code_again == 4

    assert first["waits_for_a_second_person"] == again["waits_for_a_second_person"] is not None
    assert (first["moved"], balance(alice)) == (False, 0)
    guid = first["waits_for_a_second_person"]
    assert "can't apply it" in refused("correct", "apply", guid, "--by", ann.email)
    call_command("correct", "apply", guid, "--by", ben.email, stdout=io.StringIO())
    assert balance(alice) == usd("1000.01")
    assert (told(*words)["moved"], balance(alice)) == (False, usd("1000.01"))  # done before
    kept = Funding.objects.get()
    assert (kept.made_by, kept.transfer.subject) == (ann, Correction.objects.get(checked_by=ben).pk)
    assert what_the_audit_finds() == []


def test_a_deposit_split_in_parts_needs_a_second_person_all_the_same(
    alice: Customer, ann: User, ben: User, in_earnest: None
) -> None:
    def comes(amount: str, reference: str, by: User) -> bool:
        words = ("--reference", reference, "--reason", "wire", "--by", by.email)
        return bool(ended("deposit", alice.pk.hex, "USD", amount, *words)[1]["moved"])

    assert comes("600", "w1", ann)
    assert not comes("600", "w2", ann)
    assert comes("600", "w3", ben)
    assert comes("400", "w4", ann)
    assert balance(alice) == usd("1600.00")


def test_withdrawals_and_deposits_count_together(alice: Customer, in_earnest: None) -> None:
    deposit(alice, "USD", "5000.00")
    ann = somebody()
    says = {"reason": "wire", "by": ann, "at": timezone.now()}

    first = propose_funding("withdrawal", alice.pk, "USD", usd("900.00"), reference="o1", **says)
    second = propose_funding("deposit", alice.pk, "USD", usd("200.00"), reference="o2", **says)

    assert (first.state, second.state) == ("applied", "proposed")
    with pytest.raises(MakerIsChecker):
        decide.apply(second.pk, by=ann, at=timezone.now())


def test_a_frozen_customer_is_paid_out_by_two_persons_only(alice: Customer) -> None:
    deposit(alice, "USD", "50.00")
    Customer.objects.filter(pk=alice.pk).update(state="frozen")

    made = propose_funding(
        "withdrawal", alice.pk, "USD", usd("1.00"), reference="o1", reason="court", by=somebody(), at=timezone.now()
    )

    assert (made.state, balance(alice)) == ("proposed", usd("50.00"))
    assert applies(made).state == "applied"
    assert balance(alice) == usd("49.00")


def test_a_withdrawal_that_is_proposed_is_refused_when_the_money_is_gone(alice: Customer) -> None:
    deposit(alice, "USD", "2000.00")
    made = propose_funding(
        "withdrawal", alice.pk, "USD", usd("2000.00"), reference="o1", reason="x", by=somebody(), at=timezone.now()
    )
    services.withdraw(alice, "USD", usd("0.01"), "o2", timezone.now(), "test")

    with pytest.raises(InsufficientFunds):
        applies(made)
    assert balance(alice) == usd("1999.99")


def test_a_reference_of_a_proposal_is_taken(alice: Customer) -> None:
    bob = a_customer("bob")
    says = {"reference": "w1", "reason": "x", "at": timezone.now()}
    propose_funding("deposit", alice.pk, "USD", usd("2000.00"), by=somebody(), **says)

    with pytest.raises(KeyReused):
        propose_funding("deposit", bob.pk, "USD", usd("2000.00"), by=somebody(), **says)


def test_one_who_made_the_movement_behind_the_proposals_back_does_not_make_it_twice(alice: Customer) -> None:
    made = propose_funding(
        "deposit", alice.pk, "USD", usd("2000.00"), reference="w1", reason="x", by=somebody(), at=timezone.now()
    )
    services.deposit(alice, "USD", usd("2000.00"), "w1", timezone.now(), "test")

    with pytest.raises(KeyReused):
        applies(made)
    assert balance(alice) == usd("2000.00")


def test_the_table_itself_refuses_what_needs_a_second_person(alice: Customer) -> None:
    """Guard: the trigger `proposed_first`, and the CHECK for the firm's own money."""
    row = {
        "customer": alice,
        "asset_id": "USD",
        "amount": usd("1000.01"),
        "reason": "x",
        "made_by": a_member_of_staff(),
        "made_at": timezone.now(),
        "needs_checker": False,
    }
    for wrong in (
        {"kind": "deposit", "reference": "w1"},
        {"kind": "withdrawal", "reference": "w2"},
        {"kind": "profit_out", "reference": "w3", "customer": None, "amount": 1},
        {"kind": "deposit", "reference": "", "amount": 1},
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            Correction.objects.create(**row | wrong)


def test_a_sandbox_asks_for_no_second_person_and_says_so(alice: Customer) -> None:
    out = io.StringIO()
    call_command("deposit", alice.pk.hex, "USD", "10000.00", stdout=out)

    assert "A sandbox asks for no second person" in out.getvalue()
    assert balance(alice) == usd("10_000.00")


# --- who runs a command ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        ("set_price", "BTC-USD", "1", "2"),
        ("set_price", "BTC-USD", "--release"),
        ("accept_price", "BTC-USD", "--yes"),
        ("flag_trade", "0" * 32, "--reason", "odd"),
        ("leg", "settle", "0" * 32, "1"),
        ("leg", "fail", "0" * 32, "--failure", "closed"),
        ("cut_batch",),
        ("settle_batch", "--all"),
        ("correct", "apply", "0" * 32),
        ("breaks", "--own", "0" * 32),
    ],
)
def test_a_command_without_a_name_is_refused_outside_a_sandbox(command: tuple[str, ...], in_earnest: None) -> None:
    """Guard: `who.named`."""
    assert "--by EMAIL, or BROKERAGE_BY" in refused(*command)
    assert "no active staff user" in refused(*command, "--by", "")
    assert "no active staff user" in refused(*command, "--by", "nobody@firm.example")
