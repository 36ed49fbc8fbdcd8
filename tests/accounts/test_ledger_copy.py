"""Posting by COPY: the rules of `ledger.post`, but a repeated key is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from django.db import IntegrityError, transaction

from accounts import ledger
from accounts.errors import InsufficientFunds
from accounts.ledger import AVAILABLE, FEES, LIQUIDITY, SETTLING, Account, customers, house
from accounts.ledger_copy import Posting, post_new
from accounts.models import Customer, Transfer
from tests.given import a_customer, balance, usd, what_the_audit_finds

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
SUBJECT = UUID(int=7)


@pytest.fixture
def alice() -> Customer:
    return a_customer(with_usd="100.00")


def posts(debit: Account, credit: Account, *amounts: int, key: str = "one") -> None:
    """A posting per amount, with the keys `one`, `one.1`, `one.2`; the customer is the one that is debited."""
    assert debit.customer_id is not None
    with transaction.atomic():
        locked = ledger.lock([debit, credit])
        names = [key if not turn else f"{key}.{turn}" for turn in range(len(amounts))]
        post_new(
            (
                Posting(locked[debit], locked[credit], amount, "trade_fee", name, debit.customer_id, SUBJECT)
                for name, amount in zip(names, amounts, strict=True)
            ),
            at=NOW,
        )


def written() -> list[tuple[Any, ...]]:
    columns = ("debit_account", "credit_account", "asset", "amount", "kind", "customer", "subject", "at")
    return list(Transfer.objects.filter(kind="trade_fee").order_by("pk").values_list(*columns))


def test_it_writes_the_rows_that_post_would_write(alice):
    own, fees = customers(alice.pk, "USD", AVAILABLE), house(alice.pk, "USD", FEES)
    posts(own, fees, usd("3.00"), usd("4.00"))
    by_copy = written()

    ledger.post([ledger.Movement(own, fees, usd("4.00"), "trade_fee", "two", alice.pk, SUBJECT, NOW)])

    assert written() == [*by_copy, by_copy[1]]
    assert balance(alice) == usd("89.00")
    assert not [found for found in what_the_audit_finds() if not found.startswith("trade money")]


def test_a_key_that_was_posted_before_gives_up_the_whole_set(alice):
    own, fees = customers(alice.pk, "USD", AVAILABLE), house(alice.pk, "USD", FEES)
    posts(own, fees, usd("3.00"))

    with pytest.raises(IntegrityError, match="transfer_key_unique_per_customer"):
        posts(own, fees, usd("3.00"), usd("4.00"))

    assert len(written()) == 1
    assert balance(alice) == usd("97.00")


def test_a_customers_account_never_falls_below_zero(alice):
    with pytest.raises(InsufficientFunds):
        posts(customers(alice.pk, "USD", AVAILABLE), house(alice.pk, "USD", FEES), usd("60.00"), usd("40.01"))

    assert written() == []
    assert balance(alice) == usd("100.00")


@pytest.mark.parametrize(("amount", "asset"), [(0, "USD"), (-1, "USD"), (1, "BTC")])
def test_what_is_no_movement_is_refused(alice, amount, asset):
    with pytest.raises(ValueError, match="not a movement"):
        posts(customers(alice.pk, "USD", AVAILABLE), house(alice.pk, asset, LIQUIDITY), usd("1.00"), amount)

    assert written() == []


def test_a_text_with_anything_in_it_arrives_as_it_is(alice):
    key = 'a\ttab, a\nline, a \\N and "quotes"'
    posts(customers(alice.pk, "USD", AVAILABLE), customers(alice.pk, "USD", SETTLING), 1, key=key)

    assert Transfer.objects.get(kind="trade_fee").key == key
