"""The recount finds what was tampered with, names exactly that, and finds nothing else."""

from __future__ import annotations

import uuid
from importlib import import_module

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from accounts import audit, ledger, services
from accounts.ledger import Movement
from accounts.management.exits import Found
from accounts.models import Customer, LedgerAccount, LedgerAudit, Transfer
from brokerage.stack.where import CHECKOUT
from tests.given import a_customer, deposit, usd

pytestmark = pytest.mark.django_db

NOW = timezone.now()


def tampered(sql: str, *parameters: object) -> None:
    """What somebody with the owner's password can do: around every trigger."""
    tables = ("accounts_ledgeraccount", "accounts_transfer")
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table in tables:
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        cursor.execute(sql, parameters)
        for table in tables:
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


LEDGERS_OWN = {"assets", "balances", "floors", "sides", "owners", "kinds"}


def found() -> set[tuple[str, str]]:
    """What the ledger's own checks find, as (check, row)."""
    findings = audit.run(NOW).findings
    return {(finding["check"], finding["row"]) for finding in findings if finding["check"] in LEDGERS_OWN}


def some_history() -> tuple[Customer, Customer]:
    alice, bob = a_customer("alice", with_usd="100.00"), a_customer("bob", with_usd="50.00")
    deposit(alice, "BTC", "0.1")
    services.withdraw(bob, "USD", usd("20.00"), "out", NOW, "test")
    return alice, bob


def test_books_that_nobody_touched_balance_and_the_result_is_kept():
    some_history()

    result = audit.run(NOW)

    assert (result.ok, result.findings) == (True, [])
    assert result.counted["sides"] == Transfer.objects.count() == 4
    assert result.counted["balances"] == LedgerAccount.objects.count()
    assert LedgerAudit.objects.get() == result


def test_a_changed_balance_is_named():
    alice, _ = some_history()
    account = alice.ledger_accounts.get(type="available", asset="USD")

    tampered("UPDATE accounts_ledgeraccount SET credits = credits + 1 WHERE id = %s", account.pk)

    assert found() == {("balances", account.pk.hex), ("assets", "USD")}


def test_a_balance_changed_on_both_sides_of_the_books_still_differs_from_its_transfers():
    alice, bob = some_history()
    accounts = [customer.ledger_accounts.get(type="available", asset="USD") for customer in (alice, bob)]

    tampered("UPDATE accounts_ledgeraccount SET credits = credits + 1 WHERE id = %s", accounts[0].pk)
    tampered("UPDATE accounts_ledgeraccount SET debits = debits + 1 WHERE id = %s", accounts[1].pk)

    assert found() == {("balances", account.pk.hex) for account in accounts}


@pytest.mark.parametrize(
    "change", ["UPDATE accounts_transfer SET amount = amount - 1", "DELETE FROM accounts_transfer"]
)
def test_a_changed_or_removed_transfer_shows_at_its_two_accounts(change):
    alice, _ = some_history()
    transfer = Transfer.objects.get(customer=alice, asset="BTC")

    tampered(f"{change} WHERE id = %s", transfer.pk)

    assert found() == {("balances", transfer.debit_account_id.hex), ("balances", transfer.credit_account_id.hex)}


def test_a_transfer_that_names_another_asset_is_named():
    alice, _ = some_history()
    transfer = Transfer.objects.get(customer=alice, asset="BTC")

    tampered("UPDATE accounts_transfer SET asset_id = 'ETH' WHERE id = %s", transfer.pk)

    assert found() == {("sides", transfer.pk.hex)}


def test_a_transfer_that_is_given_to_another_customer_is_named():
    alice, bob = some_history()
    transfer = Transfer.objects.get(customer=alice, asset="BTC")

    tampered("UPDATE accounts_transfer SET customer_id = %s WHERE id = %s", bob.pk, transfer.pk)

    assert found() == {("owners", transfer.pk.hex)}


def test_an_account_that_disappeared_is_named_with_its_transfers():
    alice, _ = some_history()
    transfer = Transfer.objects.get(customer=alice, asset="BTC")

    tampered("DELETE FROM accounts_ledgeraccount WHERE id = %s", transfer.credit_account_id)

    assert found() == {
        ("balances", transfer.credit_account_id.hex),
        ("sides", transfer.pk.hex),
        ("assets", "BTC"),
    }


def test_a_customer_below_zero_is_named():
    alice, _ = some_history()
    account = alice.ledger_accounts.get(type="margin")
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE accounts_ledgeraccount DROP CONSTRAINT customer_never_below_zero")

    tampered("UPDATE accounts_ledgeraccount SET debits = 5 WHERE id = %s", account.pk)

    assert found() == {("floors", account.pk.hex), ("balances", account.pk.hex), ("assets", "USD")}


def test_an_audits_result_is_never_changed():
    audit.run(NOW)

    with pytest.raises(IntegrityError), transaction.atomic():
        LedgerAudit.objects.update(ok=False)


def test_the_findings_of_one_check_are_bounded(monkeypatch):
    alice, _ = some_history()
    monkeypatch.setattr(audit, "MOST_FINDINGS", 1)

    tampered("UPDATE accounts_ledgeraccount SET credits = credits + 1 WHERE customer_id = %s", alice.pk)

    result = audit.run(NOW)
    assert len([finding for finding in result.findings if finding["check"] == "balances"]) == 1


def test_a_check_that_is_handed_in_runs_with_the_others():
    finding = audit.Finding("orders", "ord_1", "Order ord_1 was closed twice.")
    another = audit.Check("orders of this test", lambda: audit.Looked(7, [finding]))

    result = audit.run(NOW, checks=[*audit.all_checks(), another])

    assert result.counted["orders of this test"] == 7
    assert result.findings == [
        {"check": "orders", "row": "ord_1", "sentence": "Order ord_1 was closed twice.", "tampered": False}
    ]


def test_every_check_of_every_app_is_listed():
    """Guard: brokerage/audited.py. A check that nobody lists would never run, and nothing would say so."""
    modules = [
        ".".join(path.relative_to(CHECKOUT).with_suffix("").parts)
        for app in ("accounts", "quotes", "trades")
        for path in (CHECKOUT / app).rglob("*.py")
        if "\nCHECKS: Final = (" in path.read_text()
    ]
    there = [check for module in modules for check in import_module(module).CHECKS]

    listed = set(audit.all_checks())
    assert len(modules) >= 10
    assert [check.name for check in there if check not in listed] == []


def test_two_checks_never_have_one_name():
    """Guard: `run` refuses them. Without it the counts and findings of one would stand for both."""
    another = audit.Check("balances", lambda: audit.Looked(0, []))

    with pytest.raises(ValueError, match="balances"):
        audit.run(NOW, checks=[*audit.all_checks(), another])


def test_the_command_exits_with_1_on_a_break_and_says_which(capsys):
    alice, _ = some_history()
    call_command("audit_ledger")
    assert "The books balance." in capsys.readouterr().out

    account = alice.ledger_accounts.get(type="available", asset="USD")
    tampered("UPDATE accounts_ledgeraccount SET credits = credits + 1 WHERE id = %s", account.pk)

    with pytest.raises(Found, match=r"2 breaks\."):
        call_command("audit_ledger")
    assert f"BREAK balances: Account {account.pk.hex}" in capsys.readouterr().out


def test_a_movement_of_the_house_alone_belongs_to_no_customer():
    alice, _ = some_history()
    house = [ledger.house(alice.pk, "USD", type_) for type_ in (ledger.EXTERNAL, ledger.LIQUIDITY)]

    ledger.post([Movement(house[0], house[1], 5, "leg_settled", uuid.uuid4().hex, None, None, NOW)])

    assert found() == set()
