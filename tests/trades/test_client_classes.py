"""A customer's class: one person proposes it, another applies it, and nobody goes round that."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from accounts.errors import CustomerNotFound, KeyReused, Malformed
from accounts.models import Customer, User
from tests.accounts.test_commands import facts, said
from tests.admin.actions import act, logged_in
from tests.admin.actions import said as answered
from tests.given import a_customer, what_the_audit_finds
from tests.trades.corrections.staff import a_member_of_staff
from trades import client_classes
from trades.errors import MakerIsChecker
from trades.models import ClientClassChange

pytestmark = pytest.mark.django_db

NOW = timezone.now()


def proposed(customer: Customer, to: str = "professional", by: User | None = None, **more: Any) -> ClientClassChange:
    maker = by or a_member_of_staff("maker")
    return client_classes.propose(customer.pk, to, reason="500,000 EUR and a job", by=maker.pk, at=NOW, **more)


def applied(one: ClientClassChange) -> ClientClassChange:
    return client_classes.apply(one.pk, by=a_member_of_staff("checker").pk, at=timezone.now())


def of(customer: Customer) -> str:
    return Customer.objects.get(pk=customer.pk).client_class


def test_everybody_begins_as_retail_and_two_persons_change_it() -> None:
    alice, maker = a_customer(), a_member_of_staff("maker")
    assert of(alice) == "retail"

    one = proposed(alice, by=maker)
    with pytest.raises(MakerIsChecker):
        client_classes.apply(one.pk, by=maker.pk, at=NOW)
    assert of(alice) == "retail"

    assert applied(one).state == "applied"
    assert of(alice) == "professional"
    with pytest.raises(client_classes.ClassChangeDecided):
        applied(one)
    applied(proposed(alice, "retail"))
    assert of(alice) == "retail"
    assert what_the_audit_finds() == []


def test_what_cannot_be_proposed() -> None:
    alice = a_customer()
    with pytest.raises(Malformed, match="retail already"):
        proposed(alice, "retail")
    with pytest.raises(Malformed, match="one of retail, professional"):
        proposed(alice, "expert")
    for reason in ("", " ", "x" * 501, "two\nlines"):
        with pytest.raises(Malformed, match="A reason has"):
            client_classes.propose(alice.pk, "professional", reason=reason, by=a_member_of_staff().pk, at=NOW)
    with pytest.raises(CustomerNotFound):
        client_classes.propose(uuid4(), "professional", reason="x", by=a_member_of_staff().pk, at=NOW)
    with pytest.raises(client_classes.ClassChangeNotFound):
        client_classes.refuse(uuid4(), by=a_member_of_staff().pk, at=NOW)
    proposed(alice)
    with pytest.raises(client_classes.ClassChangeWaits):
        proposed(alice)


def test_a_dialog_answered_twice_proposes_once() -> None:
    """Guard: `made_by_dialog`, and that `once` is unique."""
    alice, maker, once = a_customer(), a_member_of_staff("maker"), uuid4()

    assert proposed(alice, by=maker, once=once).pk == proposed(alice, by=maker, once=once).pk
    with pytest.raises(KeyReused):
        proposed(a_customer(), by=maker, once=once)


def test_a_refused_change_changes_nothing_and_its_maker_withdraws_it() -> None:
    alice, maker, checker = a_customer(), a_member_of_staff("maker"), a_member_of_staff("checker")

    assert client_classes.refuse(proposed(alice, by=maker).pk, by=maker.pk, at=NOW).checked_by_id is None
    assert client_classes.refuse(proposed(alice, by=maker).pk, by=checker.pk, at=NOW).checked_by_id == checker.pk
    assert of(alice) == "retail"


def test_a_class_that_moved_since_is_not_applied() -> None:
    """Guard: `ClassMoved`, and the trigger `carried_out` where Python doesn't look. Only the tables' owner moves it."""
    alice = a_customer()
    one = proposed(alice)
    Customer.objects.filter(pk=alice.pk).update(client_class="professional")

    with pytest.raises(client_classes.ClassMoved):
        applied(one)
    refused = _refused_by(
        "UPDATE trades_clientclasschange SET state = 'applied', checked_by_id = %s, decided_at = now()",
        a_member_of_staff().pk,
    )
    assert "not any more of the class" in refused


def _refused_by(sql: str, *given: object) -> str:
    with pytest.raises(IntegrityError) as refused, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql, given)
    return str(refused.value)


def test_the_database_refuses_what_one_person_might_do_by_sql() -> None:
    """Guards: the constraints and triggers of trades_clientclasschange, each by its name."""
    alice = a_customer()
    one = proposed(alice)
    row = ClientClassChange.objects.filter(pk=one.pk).values().get() | {"id": uuid4(), "once": None}
    applied_alone = "UPDATE trades_clientclasschange SET state = 'applied', decided_at = now()"

    assert "maker_is_not_checker" in _refused_by(f"{applied_alone}, checked_by_id = made_by_id")
    assert "applied_by_a_checker" in _refused_by(applied_alone)
    assert "decided_at_a_time" in _refused_by("UPDATE trades_clientclasschange SET decided_at = now()")
    assert "trades_clientclasschange" in _refused_by("UPDATE trades_clientclasschange SET becomes = 'x', was = 'y'")
    assert "trades_clientclasschange" in _refused_by("DELETE FROM trades_clientclasschange")
    with pytest.raises(IntegrityError, match="one_open_class_change"), transaction.atomic():
        ClientClassChange.objects.create(**row)
    with pytest.raises(IntegrityError, match="begins as a proposal"), transaction.atomic():
        ClientClassChange.objects.create(**row | {"state": "refused", "decided_at": NOW})
    client_classes.refuse(one.pk, by=a_member_of_staff().pk, at=NOW)
    assert "trades_clientclasschange" in _refused_by("UPDATE trades_clientclasschange SET state = 'proposed'")


def test_a_class_that_nobody_decided_on_is_found_by_the_audit() -> None:
    """Guard: the check `client classes`."""
    alice, bob = a_customer(), a_customer()
    applied(proposed(bob))
    Customer.objects.filter(pk=alice.pk).update(client_class="professional")

    (found,) = what_the_audit_finds()
    assert f"Customer {alice.pk.hex} is not of the class decided on" in str(found)


def test_from_a_shell() -> None:
    alice, maker, checker = a_customer(), a_member_of_staff("maker").email, a_member_of_staff("checker").email
    ways = ("client_class", "propose", str(alice.pk), "professional", "--reason", "she asked")

    line = said(*ways, "--by", maker).strip()
    guid = line.split()[0]
    assert line == f"{guid} customer {alice.pk.hex} retail to professional: proposed, made by {maker}"
    with pytest.raises(CommandError, match="Whoever proposed a client class can't apply it"):
        call_command("client_class", "apply", guid, "--by", maker)
    assert facts("client_class", "apply", guid, "--by", checker)["checked_by"] == checker
    assert guid in said("client_class", "list", "--state", "applied")
    assert of(alice) == "professional"


def test_from_the_pages() -> None:
    alice, maker, checker = a_customer(), logged_in("maker@firm.example"), logged_in("checker@firm.example")
    dialog = {"client_class": "professional", "reason": "she asked", "once": str(uuid4())}

    for _ in range(2):
        act(maker, "accounts_customer_propose_class", alice.pk, **dialog)
    one = ClientClassChange.objects.get()
    assert answered(act(maker, "trades_clientclasschange_apply", one.pk)) == [
        "Whoever proposed a client class can't apply it."
    ]
    for _ in range(2):
        assert answered(act(checker, "trades_clientclasschange_apply", one.pk)) == [
            "The customer is of this class now."
        ]
    assert of(alice) == "professional"
