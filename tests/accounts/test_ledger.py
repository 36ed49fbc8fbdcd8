"""Money moves from one account to another, once per key, and never below a customer's floor."""

from __future__ import annotations

import uuid
from dataclasses import replace

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from accounts import ledger, services
from accounts.errors import InsufficientFunds, KeyReused, Malformed, UnknownAsset
from accounts.ledger import Movement
from accounts.models import Asset, Customer, LedgerAccount, Transfer
from tests.given import a_customer, balance, usd

pytestmark = pytest.mark.django_db

NOW = timezone.now()


def a_reservation(customer: Customer, amount: int, key: str = "order:ord_1:open:margin") -> Movement:
    return Movement(
        ledger.customers(customer.pk, "USD", ledger.AVAILABLE),
        ledger.customers(customer.pk, "USD", ledger.MARGIN),
        amount,
        "order_margin",
        key,
        customer.pk,
        uuid.uuid4(),
        NOW,
    )


def the_books_sum_to_zero() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT asset_id FROM accounts_ledgeraccount GROUP BY 1 HAVING sum(credits) <> sum(debits)")
        return cursor.fetchall() == []


def test_money_comes_in_is_reserved_and_what_is_left_goes_out():
    alice = a_customer("alice")

    services.deposit(alice, "USD", usd("10_000.00"), "wire-1", NOW, "test")
    ledger.post([a_reservation(alice, usd("4_235.08"))])
    services.withdraw(alice, "USD", usd("5_764.92"), "wire-2", NOW, "test")

    assert balance(alice) == 0
    assert balance(alice, ledger.MARGIN) == usd("4_235.08")
    house = LedgerAccount.objects.get(customer=None, type=ledger.EXTERNAL, asset="USD", bucket=alice.partition)
    assert house.balance == -usd("4_235.08")
    assert the_books_sum_to_zero()


def test_nobody_withdraws_more_than_is_available_although_more_is_reserved():
    alice = a_customer("alice", with_usd="100.00")
    ledger.post([a_reservation(alice, usd("60.00"))])

    with pytest.raises(InsufficientFunds):
        services.withdraw(alice, "USD", usd("40.01"), "too-much", NOW, "test")

    assert (balance(alice), balance(alice, ledger.MARGIN)) == (usd("40.00"), usd("60.00"))
    assert not Transfer.objects.filter(key="withdrawal:too-much").exists()


def test_the_same_key_twice_moves_money_once():
    alice = a_customer("alice")

    first = services.deposit(alice, "USD", usd("10.00"), "wire-1", NOW, "test")
    second = services.deposit(alice, "USD", usd("10.00"), "wire-1", NOW, "test")

    assert (first, second) == (True, False)
    assert balance(alice) == usd("10.00")


def test_a_key_that_says_something_else_is_refused_and_nothing_moves():
    alice = a_customer("alice", with_usd="100.00")
    ledger.post([a_reservation(alice, usd("10.00"))])

    for other in (
        a_reservation(alice, usd("11.00")),
        replace(a_reservation(alice, usd("10.00")), kind="order_swap"),
        replace(a_reservation(alice, usd("10.00")), credit=ledger.house(alice.pk, "USD", ledger.FEES)),
    ):
        with pytest.raises(KeyReused):
            ledger.post([a_reservation(alice, usd("1.00"), key="something new"), other])

    assert balance(alice, ledger.MARGIN) == usd("10.00")


def test_two_customers_may_have_movements_of_the_same_key_but_not_of_the_same_reference():
    alice, bob = a_customer("alice", with_usd="10.00"), a_customer("bob", with_usd="10.00")

    for customer in (alice, bob):
        ledger.post([a_reservation(customer, usd("4.00"), key="one")])
    services.deposit(alice, "USD", usd("10.00"), "wire-1", NOW, "test")
    with pytest.raises(KeyReused):
        services.deposit(bob, "USD", usd("10.00"), "wire-1", NOW, "test")

    assert (balance(alice), balance(bob)) == (usd("16.00"), usd("6.00"))


def test_movements_are_posted_all_or_none():
    alice = a_customer("alice", with_usd="10.00")

    with pytest.raises(InsufficientFunds):
        ledger.post([a_reservation(alice, usd("4.00"), key="one"), a_reservation(alice, usd("7.00"), key="two")])

    assert balance(alice) == usd("10.00")
    assert Transfer.objects.filter(customer=alice).count() == 1


def test_a_caller_that_locked_its_accounts_posts_twice_on_the_totals_it_was_given():
    alice = a_customer("alice", with_usd="10.00")
    first = a_reservation(alice, usd("4.00"), key="one")

    with transaction.atomic():
        balances = ledger.lock([first.debit, first.credit])
        ledger.post([first], balances=balances)
        with pytest.raises(InsufficientFunds):
            ledger.post([a_reservation(alice, usd("7.00"), key="two")], balances=balances)

    assert balances[first.debit].balance == usd("6.00") == balance(alice)


def test_amounts_beyond_64_bits_are_kept_to_the_last_wei():
    alice = a_customer("alice")
    wei = 10 * 10**18 + 1

    services.deposit(alice, "ETH", wei, "a", NOW, "test")
    services.deposit(alice, "ETH", 10**31 + 7, "b", NOW, "test")

    assert balance(alice, asset="ETH") == wei + 10**31 + 7


@pytest.mark.parametrize("amount", [0, -1, 10**33])
def test_an_impossible_amount_is_refused(amount):
    with pytest.raises(Malformed):
        services.deposit(a_customer(), "USD", amount, "k", NOW, "test")


@pytest.mark.parametrize("key", ["", "k" * 129, "a\nb", "\x00"])
def test_an_impossible_key_is_refused(key):
    with pytest.raises(Malformed):
        services.deposit(a_customer(), "USD", 1, key, NOW, "test")


def test_an_unknown_asset_is_refused():
    with pytest.raises(UnknownAsset):
        services.deposit(a_customer(), "DOGE", 1, "k", NOW, "test")


@pytest.mark.parametrize(
    ("asset", "text", "units"),
    [("USD", "10000.00", 1_000_000), ("USD", "0.010", 1), ("BTC", "0.1", 10_000_000), ("ETH", "10", 10**19)],
)
def test_an_amount_is_read_in_units_of_its_asset(asset, text, units):
    assert services.base_units(asset, text) == units


@pytest.mark.parametrize("text", ["0", "-1", "1.001", "", "ten", "NaN", "1e400", "1,000.00"])
def test_an_amount_that_is_no_amount_of_dollars_is_refused(text):
    with pytest.raises(Malformed):
        services.base_units("USD", text)


@pytest.mark.parametrize(
    ("asset", "text", "sentence"),
    [
        ("USD", "9" * 33 + ".00", f"'{'9' * 33}.00' is not an amount: it must be less than 100000000000000000000."),
        ("USD", "1e30", "'1e30' is not an amount: it must be less than 100000000000000000000."),
        ("USD", "1e-19", "'1e-19' is not an amount: it has more than 18 decimals."),
        (
            "ETH",
            "100000000000001",
            "100000000000001 is more than is moved at once, which is 100000000000000 ETH at most.",
        ),
        *(
            ("USD", text, f"{text!r} is not an amount above zero.")
            for text in (" 1", "1 ", "\u0661", "\uff11", "1_000", "0x10")
        ),
    ],
)
def test_an_amount_is_refused_for_what_is_wrong_with_it(asset, text, sentence):
    with pytest.raises(Malformed) as refused:
        services.base_units(asset, text)
    assert refused.value.text == sentence


# --- what must never be false is held by the database, whatever Python does --------------------------


def refused_by_the_database(sql: str, *parameters: object) -> str:
    with pytest.raises(IntegrityError) as refusal, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql, parameters)
    return str(refusal.value)


def test_the_database_holds_a_customers_floor_without_the_python_check():
    alice = a_customer("alice", with_usd="10.00")

    said = refused_by_the_database(
        "UPDATE accounts_ledgeraccount SET debits = debits + 1001 WHERE customer_id = %s AND type = 'available'",
        alice.pk,
    )

    assert "customer_never_below_zero" in said


def test_a_transfer_is_never_changed_removed_or_emptied():
    a_customer("alice", with_usd="10.00")

    assert "never changed" in refused_by_the_database("UPDATE accounts_transfer SET amount = amount + 1")
    assert "never changed" in refused_by_the_database("DELETE FROM accounts_transfer")
    assert "never changed" in refused_by_the_database("TRUNCATE accounts_transfer")


def test_who_and_what_the_ledger_names_is_never_removed():
    alice = a_customer("alice", with_usd="10.00")

    assert refused_by_the_database("DELETE FROM accounts_ledgeraccount WHERE customer_id = %s", alice.pk)
    assert refused_by_the_database("DELETE FROM accounts_customer WHERE id = %s", alice.pk)
    assert refused_by_the_database("DELETE FROM accounts_asset WHERE code = 'USD'")


def test_an_account_never_changes_its_owner_and_an_asset_never_its_decimals():
    alice, bob = a_customer("alice"), a_customer("bob")

    assert refused_by_the_database(
        "UPDATE accounts_ledgeraccount SET customer_id = %s WHERE customer_id = %s", bob.pk, alice.pk
    )
    assert refused_by_the_database("UPDATE accounts_asset SET decimals = 3 WHERE code = 'USD'")
    assert Asset.objects.get(pk="USD").decimals == 2


def test_a_transfer_of_nothing_or_to_itself_is_refused_by_the_database():
    alice = a_customer("alice", with_usd="10.00")
    written = Transfer.objects.get(customer=alice)

    for change in ({"amount": 0}, {"debit_account_id": written.credit_account_id}):
        forged = Transfer.objects.get(pk=written.pk)
        forged.pk, forged.key = uuid.uuid4(), "another"
        for name, value in change.items():
            setattr(forged, name, value)
        with pytest.raises(IntegrityError), transaction.atomic():
            forged.save(force_insert=True)


def test_a_key_is_unique_even_for_movements_of_the_house():
    alice = a_customer("alice", with_usd="10.00")
    written = Transfer.objects.get(customer=alice)
    for id_ in (uuid.uuid4(), uuid.uuid4()):
        written.pk, written.customer_id = id_, None
        if Transfer.objects.filter(customer=None).exists():
            with pytest.raises(IntegrityError), transaction.atomic():
                written.save(force_insert=True)
        else:
            written.save(force_insert=True)

    assert Transfer.objects.filter(customer=None).count() == 1
