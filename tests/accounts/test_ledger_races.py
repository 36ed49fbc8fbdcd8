"""Real threads on real connections. Each test names the guard it proves; each was seen failing without it."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.utils import timezone

from accounts import audit, ledger, services
from accounts.errors import InsufficientFunds, InvalidToken, SignupRefused
from accounts.ledger import Movement
from accounts.models import Customer, LedgerAccount, Transfer, User
from accounts.tokens import rotate, trader_pair
from tests.given import a_customer, balance, usd

pytestmark = pytest.mark.django_db(transaction=True)

NOW = timezone.now()


def all_at_once(calls: Sequence[Callable[[], object]]) -> list[object]:
    """Run the calls in threads that start together; what each gave or raised, in their order."""
    start = threading.Barrier(len(calls))

    def run(call: Callable[[], object]) -> object:
        start.wait()
        try:
            return call()
        except Exception as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def a_transfer(giver: Customer, taker: Customer) -> Movement:
    return Movement(
        ledger.customers(giver.pk, "USD", ledger.AVAILABLE),
        ledger.customers(taker.pk, "USD", ledger.AVAILABLE),
        1,
        "adjustment",
        uuid.uuid4().hex,
        giver.pk,
        None,
        NOW,
    )


def test_opposite_transfers_queue_instead_of_deadlocking():
    """Guard: ledger.lock takes accounts ORDER BY id. Without it PostgreSQL finds deadlocks here."""
    alice, bob = a_customer("alice", with_usd="100.00"), a_customer("bob", with_usd="100.00")

    def there_and_back(giver: Customer, taker: Customer) -> Callable[[], object]:
        return lambda: [ledger.post([a_transfer(giver, taker)]) for _ in range(25)]

    outcomes = all_at_once([there_and_back(alice, bob), there_and_back(bob, alice)] * 3)

    assert outcomes == [[1] * 25] * 6
    assert (balance(alice), balance(bob)) == (usd("100.00"), usd("100.00"))


def test_concurrent_withdrawals_never_overdraw():
    """Guard: the balance is read under the row's lock. Without it the constraint would be hit instead."""
    alice = a_customer("alice", with_usd="100.00")

    outcomes = all_at_once(
        [lambda n=n: services.withdraw(alice, "USD", usd("30.00"), str(n), NOW, "test") for n in range(12)]
    )

    assert outcomes.count(True) == 3
    assert [type(outcome) for outcome in outcomes if outcome is not True] == [InsufficientFunds] * 9
    assert balance(alice) == usd("10.00")


def test_one_deposit_sent_many_times_at_once_arrives_once():
    """Guard: the unique key of a transfer. Without ON CONFLICT one posting would fail, without it many arrive."""
    alice = a_customer("alice")

    outcomes = all_at_once([lambda: services.deposit(alice, "USD", usd("5.00"), "wire-1", NOW, "test")] * 8)

    assert sorted(map(str, outcomes)) == ["False"] * 7 + ["True"]
    assert balance(alice) == usd("5.00")
    assert Transfer.objects.filter(customer=alice).count() == 1


def test_the_first_deposits_of_a_new_asset_open_one_account():
    """Guard: opening is INSERT ... ON CONFLICT DO NOTHING, and locking finds the ids before it waits."""
    alice = a_customer("alice")

    outcomes = all_at_once([lambda n=n: services.deposit(alice, "BTC", 1, str(n), NOW, "test") for n in range(8)])

    assert outcomes == [True] * 8
    assert LedgerAccount.objects.filter(customer=alice, asset="BTC", type="available").count() == 1
    assert balance(alice, asset="BTC") == 8


def test_many_sign_up_with_one_address_and_one_gets_it():
    """Guard: the unique address. Without the translation of its refusal the losers would see a 500."""
    outcomes = all_at_once([lambda: services.create_customer("Same@Example.com", "correct horse", "", NOW)] * 6)

    assert [type(outcome) for outcome in outcomes if not isinstance(outcome, Customer)] == [SignupRefused] * 5
    assert User.objects.filter(email="same@example.com").count() == 1
    assert Customer.objects.count() == 1


def test_one_refresh_token_used_many_times_at_once_gives_one_pair():
    """Guard: the blacklist's unique row decides. Checking the blacklist alone lets several through."""
    alice = a_customer("alice")
    refresh = trader_pair(alice.user).refresh

    outcomes = all_at_once([lambda: rotate(refresh)] * 6)

    assert [type(outcome) for outcome in outcomes].count(InvalidToken) == 5


def test_the_audit_looks_at_one_moment_while_money_moves():
    """Guard: REPEATABLE READ over all checks, and `SET TRANSACTION SNAPSHOT` of the second connection. Without either,
    the sums at the beginning and at the end differ."""
    first, second, last, very_last = (
        audit.Check(name, lambda: audit.Looked(Transfer.objects.count(), []))
        for name in ("first", "second", "last", "very last")
    )
    checks = [first, second, *audit.all_checks(), last, very_last]
    counts = ("first", "second", "sides", "last", "very last")
    customers = [a_customer(str(n), with_usd="100.00") for n in range(4)]
    done = threading.Event()

    def keep_moving(customer: Customer) -> None:
        cash, fees = (
            ledger.customers(customer.pk, "USD", ledger.AVAILABLE),
            ledger.house(customer.pk, "USD", ledger.FEES),
        )
        while not done.is_set():
            ledger.post([Movement(fees, cash, 1, "reversal", uuid.uuid4().hex, customer.pk, None, NOW)])

    def recount() -> list[tuple[bool, bool]]:
        try:
            results = [audit.run(NOW, checks=checks) for _ in range(10)]
        finally:
            done.set()
        own = {"assets", "balances", "floors", "sides", "owners", "kinds"}  # these movements belong to nothing
        return [
            (
                own.isdisjoint(one["check"] for one in result.findings),
                len({result.counted[name] for name in counts}),
            )
            for result in results
        ]

    outcomes = all_at_once([*(lambda c=c: keep_moving(c) for c in customers), recount])

    assert outcomes[-1] == [(True, 1)] * 10
