"""Money into or out of the firm has a row that says who moved it: the recount names a movement without one."""

from __future__ import annotations

from importlib import import_module

import pytest
from django.db import connection
from django.utils import timezone

from accounts import audit, ledger, services
from accounts.ledger import Movement
from accounts.models import Funding, Transfer
from tests.accounts.sealing import named, seal, tampered
from tests.given import a_customer, usd, what_the_audit_finds

pytestmark = pytest.mark.django_db


def found() -> set[tuple[str, str]]:
    return {(one["check"], one["row"]) for one in audit.run(timezone.now()).findings}


def test_a_deposit_and_a_withdrawal_without_their_rows_are_named():
    """Guard: the recount's check of fundings asks for the transfers' rows, too, not only for the rows' transfers."""
    alice = a_customer(with_usd="5.00")
    services.withdraw(alice, "USD", usd("1.00"), "out", timezone.now(), "test")
    moved = set(Transfer.objects.all())
    rows = set(Funding.objects.values_list("pk", flat=True))
    seal()
    assert found() == set()

    tampered("DELETE FROM accounts_funding")

    assert found() == {("fundings", transfer.pk.hex) for transfer in moved}
    assert named() == {("sealed accounts_funding", row.hex) for row in rows}


def test_a_row_whose_reference_is_another_than_its_transfers_is_named():
    a_customer(with_usd="5.00")
    row = Funding.objects.get()

    tampered("UPDATE accounts_funding SET reference = 'another'")

    assert found() == {("fundings", row.pk.hex)}


def test_movements_from_before_the_rows_that_shared_a_reference_have_one_each():
    """Guard: migration 0031. Without it the second movement by a reference of before is named."""
    people = a_customer("alice"), a_customer("bob")
    for one in people:
        outside, own = ledger.house(one.pk, "USD", "external"), ledger.customers(one.pk, "USD", "available")
        ledger.post([Movement(outside, own, 1, "deposit", "deposit:k1", one.pk, None, timezone.now())])
    assert len(found()) == 2

    with connection.cursor() as cursor:
        cursor.execute(import_module("accounts.migrations.0022_references_from_before").KEPT)
        cursor.execute(import_module("accounts.migrations.0031_every_funding_has_a_row").KEPT)

    assert what_the_audit_finds() == []
    assert Funding.objects.filter(reference="k1").count() == 1
