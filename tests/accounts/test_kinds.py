"""A transfer is of a known kind, and moves money between accounts that go with it."""

from __future__ import annotations

import re
from uuid import UUID, uuid4

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from accounts import audit, kinds, ledger
from accounts.ledger import Movement
from accounts.models import LedgerAccount, Transfer
from tests.accounts.sealing import named, seal, tampered
from tests.given import a_customer, usd

pytestmark = pytest.mark.django_db

INSERT = (
    "INSERT INTO accounts_transfer"
    " (id, debit_account_id, credit_account_id, asset_id, amount, kind, key, customer_id, at)"
    " SELECT %s, debit_account_id, credit_account_id, asset_id, %s, %s, %s, customer_id, at FROM accounts_transfer"
    " WHERE id = %s"
)


def found() -> dict[tuple[str, str], str]:
    return {(one["check"], one["row"]): one["sentence"] for one in audit.run(timezone.now()).findings}


def without_the_check() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE accounts_transfer DROP CONSTRAINT transfer_kind_known")


def test_a_transfer_of_an_unknown_kind_is_refused():
    """Guard: the CHECK transfer_kind_known."""
    alice = a_customer(with_usd="1.00")
    own, house = ledger.customers(alice.pk, "USD", "available"), ledger.house(alice.pk, "USD", "external")

    with pytest.raises(IntegrityError, match="transfer_kind_known"), transaction.atomic():
        ledger.post([Movement(house, own, usd("50_000.00"), "bonus", "bonus", alice.pk, None, timezone.now())])


def test_a_transfer_of_an_unknown_kind_is_named_where_somebody_took_the_check_away():
    """Guard: the recount's check of kinds."""
    alice = a_customer(with_usd="1.00")
    seal()
    original = Transfer.objects.get()
    forged = UUID(int=original.pk.int ^ 1)
    without_the_check()

    tampered(INSERT, forged, usd("50_000.00"), "bonus", "bonus", original.pk)
    tampered(
        "UPDATE accounts_ledgeraccount SET credits = credits + 5000000 * (type = 'available')::int,"
        " debits = debits + 5000000 * (type = 'external')::int"
    )

    assert found() == {
        ("kinds", forged.hex): f"Transfer {forged.hex} is a bonus from external to available: no such kind moves money"
        " between these."
    }
    assert named() == {("sealed accounts_transfer", forged.hex)}
    assert alice.ledger_accounts.get(type="available").balance == usd("50_001.00")


def test_a_known_kind_between_accounts_that_it_doesnt_move_money_between_is_named():
    """Guard: the account types in the recount's check of kinds."""
    alice = a_customer(with_usd="1.00")
    own, house = ledger.customers(alice.pk, "USD", "available"), ledger.house(alice.pk, "USD", "external")
    ledger.post([Movement(house, own, 1, "adjustment", "gift", alice.pk, None, timezone.now())])
    gift = Transfer.objects.get(kind="adjustment")

    assert ("kinds", gift.pk.hex) in found()


def test_the_kind_of_a_transfer_whose_account_is_gone_is_judged_as_well():
    a_customer(with_usd="1.00")
    transfer = Transfer.objects.get()
    without_the_check()

    tampered("UPDATE accounts_transfer SET kind = 'bonus', debit_account_id = %s", uuid4())

    assert {("kinds", transfer.pk.hex), ("sides", transfer.pk.hex)} <= found().keys()


def test_the_table_knows_the_kinds_of_the_code_and_every_account_type_of_theirs_exists():
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'transfer_kind_known'")
        (check,) = cursor.fetchone()

    (words,) = re.findall(r"'\{(.+)\}'", check)
    assert words.split(",") == [*kinds.KINDS]
    types = {type_ for one in kinds.allowed() for type_ in one.partition(":")[2].split(">")}
    assert types == {*LedgerAccount.Type.values}
