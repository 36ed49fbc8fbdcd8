"""A session's movements of money: what an account has free and reserved follows them, and follows nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import transaction

from accounts.db.pipeline import pipeline
from accounts.ledger import AVAILABLE, MARGIN, PROFIT, SWAP
from quotes import prices
from tests.given import a_customer, balance, btc_at
from tests.trades.engine_steps import closes, closing, opens
from trades.engine.apply import market_at
from trades.engine.load import load
from trades.engine.store import store
from trades.margin.account import AccountState
from trades.margin.session import Session
from trades.models import Order

pytestmark = pytest.mark.django_db


@contextmanager
def a_tick_about(order: Order) -> Iterator[tuple[Session, AccountState]]:
    """What a rule gets to see; it is stored afterwards."""
    with transaction.atomic(), pipeline() as p:
        session = load(p, [closing(order.customer, order.code)], market_at(prices.latest()))
        yield session, session.accounts[order.customer_id]
        store(p, session, ())


@pytest.mark.parametrize(
    ("debit", "credit", "free", "reserved"),
    [
        (AVAILABLE, MARGIN, -700, 700),
        (MARGIN, AVAILABLE, 700, -700),
        (PROFIT, AVAILABLE, 700, 0),
        (AVAILABLE, PROFIT, -700, 0),
        (AVAILABLE, SWAP, -700, 0),
        (PROFIT, SWAP, 0, 0),
    ],
)
def test_what_is_free_and_reserved_follows_a_movement_of_any_rule(debit, credit, free, reserved) -> None:
    """Guard: `AccountState.moved` in `Session.move`. Without it the next command of the tick may spend too much."""
    btc_at("42_000.00")
    order = opens(a_customer(with_usd="10_000.00"))
    with a_tick_about(order) as (session, account):
        before = account.free, account.reserved
        rows = {AVAILABLE: account.available_row, MARGIN: account.margin_row}
        debited, credited = (rows.get(type_) or session.house(order.customer_id, type_) for type_ in (debit, credit))

        session.move(session.by_id[order.pk], debited, credited, 700, "order_swap", "tried")

        assert (account.free - before[0], account.reserved - before[1]) == (free, reserved)
    assert (balance(order.customer, AVAILABLE), balance(order.customer, MARGIN)) == (account.free, account.reserved)


def test_no_rule_can_set_what_is_free_or_reserved_in_a_line_of_its_own() -> None:
    """Guard: `AccountState.free` and `reserved` can only be read."""
    btc_at("42_000.00")
    with a_tick_about(opens(a_customer(with_usd="10_000.00"))) as (_, account):
        for name in ("free", "reserved", "cash"):
            with pytest.raises(AttributeError):
                setattr(account, name, 0)


def test_what_a_close_leaves_in_memory_is_what_the_ledger_has() -> None:
    btc_at("42_000.00")
    alice = a_customer(with_usd="10_000.00")
    closes(alice, opens(alice))
    order = opens(alice)
    with a_tick_about(order) as (_, account):
        assert (account.free, account.reserved) == (balance(alice, AVAILABLE), balance(alice, MARGIN))
        assert account.reserved == order.margin
