"""The recount of orders names exactly what was tampered with, and finds nothing in any story that was not."""

from __future__ import annotations

import uuid
from decimal import Decimal

import pytest
from django.db import connection
from django.utils import timezone

from accounts import audit
from accounts.ledger import MARGIN
from accounts.models import Customer, LedgerAccount, Transfer
from tests.given import a_customer, btc_at, market_closed_at, price_at, usd
from tests.trades.engine.rollovers import RolloverEngine, at, rates
from tests.trades.engine_steps import applied, closes, closing, firing, judging, opens, owed, places, says
from trades.models import Deal, MarginAccount, Order

pytestmark = pytest.mark.django_db

ORDERS_OWN = {
    "order deals",
    "deal prices",
    "deal origins",
    "deal terms",
    "order parts",
    "order money",
    "order families",
    "order profit",
    "order results",
    "order swap",
    "swap carried",
    "order movements",
    "order margin",
    "order hedges",
    "order advances",
}
GUARDED = ("trades_order", "trades_deal", "trades_marginaccount", "accounts_transfer", "accounts_ledgeraccount")


def tampered(sql: str, *parameters: object) -> None:
    """What somebody with the owner's password can do: around every trigger."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table in GUARDED:
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        cursor.execute(sql, parameters)
        for table in GUARDED:
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


def found() -> set[tuple[str, str]]:
    """What the checks of orders find, as (check, row)."""
    findings = audit.run(timezone.now()).findings
    return {(finding["check"], finding["row"]) for finding in findings if finding["check"] in ORDERS_OWN}


@pytest.fixture
def alice() -> Customer:
    return a_customer(with_usd="10_000.00")


@pytest.fixture
def order(alice: Customer) -> Order:
    """Bought, and a third of it closed."""
    btc_at("42_000.00")
    bought = opens(alice, quantity="0.3")
    btc_at("42_500.00")
    closes(alice, bought, "0.1")
    bought.refresh_from_db()
    return bought


@pytest.fixture
def part(order: Order) -> Order:
    return Order.objects.get(parent_id=order.pk)


def margin_account(customer: Customer) -> str:
    return LedgerAccount.objects.get(customer=customer, type=MARGIN, asset="USD").pk.hex


def test_a_day_with_everything_in_it_is_right(alice: Customer, order: Order) -> None:
    bob = a_customer(with_usd="1_000.00")
    rollover = RolloverEngine(f"{timezone.now():%Y-%m-%d %H:%M}")
    rates("BTC-USD", "-2.5", "-0.5")
    losing, _, _ = opens(bob, leverage=20), opens(bob, leverage=20), opens(bob, type="sell", leverage=100)
    waiting, cancelled = places(alice, "buy limit", "42000"), places(bob, "buy limit", "42000", quantity="1")
    btc_at("34_000.00")
    closes(bob, losing)
    applied(firing(waiting), firing(cancelled), judging(bob))
    rollover.runs_the_next_rollover(btc="34_000")

    statuses = set(Order.objects.values_list("status", flat=True))
    assert statuses == {"OPEN", "CLOSED", "CANCELLED"}
    assert Transfer.objects.filter(kind="order_swap").exists()
    assert Transfer.objects.filter(kind="order_margin_drawn").exists()
    assert found() == set()


# --- deals -----------------------------------------------------------------------------------------


def test_a_missing_deal_is_named(order: Order, part: Order) -> None:
    tampered("DELETE FROM trades_deal WHERE order_id = %s", part.pk)
    assert found() == {("order deals", part.pk.hex)}


def test_an_opening_deal_of_a_part_is_one_too_many(order: Order, part: Order) -> None:
    tampered(
        "INSERT INTO trades_deal (id, customer_id, order_id, kind, price, quantity, profit, reason, at, bid, ask,"
        " priced_at, price_age_ms, sources) SELECT %s, customer_id, %s, kind, price, 0.1, 0, '', at, bid, ask,"
        " priced_at, price_age_ms, sources FROM trades_deal WHERE kind = 'open'",
        uuid.uuid4(),
        part.pk,
    )
    assert found() == {("order deals", part.pk.hex)}


def test_an_order_that_waits_and_has_a_deal_is_named(alice: Customer) -> None:
    btc_at("42_000.00")
    waiting, opened = places(alice, "buy limit", "41000"), opens(alice)
    tampered("UPDATE trades_deal SET order_id = %s WHERE order_id = %s", waiting.pk, opened.pk)
    deal = Deal.objects.get()
    assert found() == {
        ("order deals", waiting.pk.hex),
        ("order deals", opened.pk.hex),
        ("deal terms", deal.pk.hex),
    }


@pytest.mark.parametrize("change", ["quantity = 0.2", "price = ask + 1, ask = ask + 1", "profit = 1"])
def test_an_opening_deal_that_says_other_than_the_order_and_its_parts_is_named(order: Order, change: str) -> None:
    deal = Deal.objects.get(order=order, kind="open")
    tampered(f"UPDATE trades_deal SET {change} WHERE id = %s", deal.pk)
    assert found() == {("deal terms", deal.pk.hex)}


@pytest.mark.parametrize(
    "change", ["quantity = 0.2", "price = bid - 1, bid = bid - 1", "profit = 1", "reason = 'stop_loss'"]
)
def test_a_closing_deal_that_says_other_than_what_was_closed_is_named(order: Order, part: Order, change: str) -> None:
    deal = Deal.objects.get(order=part, kind="close")
    tampered(f"UPDATE trades_deal SET {change} WHERE id = %s", deal.pk)
    assert found() == {("deal terms", deal.pk.hex)}


def test_an_order_whose_quantity_was_raised_shows_at_its_opening_deal(order: Order) -> None:
    tampered("UPDATE trades_order SET quantity = quantity + 1 WHERE id = %s", order.pk)
    assert found() == {("deal terms", Deal.objects.get(order=order).pk.hex)}


# --- parts -----------------------------------------------------------------------------------------


def test_a_part_with_another_leverage_than_its_parent_is_named(order: Order, part: Order) -> None:
    tampered("UPDATE trades_order SET leverage = 11 WHERE id = %s", part.pk)
    assert found() == {("order parts", part.pk.hex)}


def test_a_part_of_the_other_side_is_named_and_would_have_brought_something_else(order: Order, part: Order) -> None:
    tampered("UPDATE trades_order SET side = 'sell' WHERE id = %s", part.pk)
    assert found() == {
        ("order parts", part.pk.hex),
        ("order profit", part.pk.hex),
        ("order results", order.pk.hex),
    }


def test_a_part_of_nothing_is_named(order: Order, part: Order) -> None:
    tampered("UPDATE trades_order SET parent_id = %s WHERE id = %s", uuid.uuid4(), part.pk)
    assert ("order parts", part.pk.hex) in found()


# --- money -----------------------------------------------------------------------------------------


def test_a_changed_profit_is_named(order: Order, part: Order) -> None:
    tampered("UPDATE trades_order SET profit = profit + 1 WHERE id = %s", part.pk)
    assert found() == {
        ("order money", part.pk.hex),
        ("order profit", part.pk.hex),
        ("order results", order.pk.hex),
        ("deal terms", Deal.objects.get(order=part).pk.hex),
    }


def test_margin_that_was_released_for_an_open_order_is_named(order: Order, part: Order) -> None:
    tampered(
        "UPDATE accounts_transfer SET subject = %s WHERE subject = %s AND kind = 'order_margin_release'",
        order.pk,
        part.pk,
    )
    assert found() == {("order money", order.pk.hex)}


def test_margin_that_an_order_and_its_parts_did_not_reserve_is_named(
    alice: Customer, order: Order, part: Order
) -> None:
    tampered("UPDATE trades_order SET margin = margin + 1 WHERE id = %s", order.pk)
    assert found() == {("order families", order.pk.hex), ("order margin", margin_account(alice))}


def test_margin_moved_from_the_part_to_the_rest_shows_in_the_margin_account(
    alice: Customer, order: Order, part: Order
) -> None:
    tampered("UPDATE trades_order SET margin = margin + 1 WHERE id = %s", order.pk)
    tampered("UPDATE trades_order SET margin = margin - 1 WHERE id = %s", part.pk)
    assert found() == {("order money", part.pk.hex), ("order margin", margin_account(alice))}


def test_a_swap_that_nothing_moved_is_named(order: Order) -> None:
    tampered("UPDATE trades_order SET swap = 5 WHERE id = %s", order.pk)
    assert found() == {("order families", order.pk.hex), ("order swap", order.pk.hex)}


def test_a_swap_of_the_wrong_sign_is_named(alice: Customer) -> None:
    rollover = RolloverEngine("2026-11-18 12:00")
    rates("BTC-USD", "-2.5", "-0.5")
    order = opens(alice, at("2026-11-18 15:00"))
    rollover.runs(at("2026-11-18 22:00"))
    assert Transfer.objects.get(kind="order_swap").key == f"order:{order.code}:swap:2026-11-18"
    assert found() == set()

    tampered("UPDATE trades_order SET swap = -swap WHERE id = %s", order.pk)

    assert found() == {("order families", order.pk.hex), ("order swap", order.pk.hex)}


def test_money_that_moved_for_an_order_that_never_opened_is_named(alice: Customer, order: Order) -> None:
    waiting = places(alice, "buy limit", "41000")
    profit = Transfer.objects.get(kind="order_profit")
    tampered("UPDATE accounts_transfer SET subject = %s WHERE id = %s", waiting.pk, profit.pk)
    part = Order.objects.get(parent_id=order.pk)
    assert found() == {
        ("order movements", profit.pk.hex),
        ("order money", part.pk.hex),
        ("order money", waiting.pk.hex),
    }


def test_money_that_moved_for_no_order_at_all_is_named(order: Order) -> None:
    profit = Transfer.objects.get(kind="order_profit")
    tampered("UPDATE accounts_transfer SET subject = %s WHERE id = %s", uuid.uuid4(), profit.pk)
    assert ("order movements", profit.pk.hex) in found()


def test_an_order_that_waits_and_says_it_made_a_profit_is_named(alice: Customer) -> None:
    btc_at("42_000.00")
    waiting = places(alice, "buy limit", "41000")
    tampered("UPDATE trades_order SET profit = 1 WHERE id = %s", waiting.pk)
    assert found() == {("order money", waiting.pk.hex)}


# --- the margin account ----------------------------------------------------------------------------


def test_a_margin_account_that_is_short_of_a_cent_is_named(alice: Customer, order: Order) -> None:
    tampered("UPDATE accounts_ledgeraccount SET debits = debits + 1 WHERE id = %s", uuid.UUID(margin_account(alice)))
    assert found() == {("order margin", margin_account(alice))}


def test_what_is_noted_as_drawn_must_be_missing_to_the_cent(alice: Customer) -> None:
    bob = a_customer(with_usd="1_000.00")
    btc_at("42_000.00")
    losing, _ = opens(bob), opens(bob)
    btc_at("35_000.00")
    closes(bob, losing)
    assert MarginAccount.objects.get(customer=bob).drawn == usd("120.00")
    assert found() == set()

    tampered("UPDATE trades_marginaccount SET drawn = drawn - 1 WHERE customer_id = %s", bob.pk)

    assert found() == {("order margin", margin_account(bob))}


def test_a_note_of_something_drawn_with_nothing_open_is_named() -> None:
    bob = a_customer()
    tampered("INSERT INTO trades_marginaccount (customer_id, drawn, owed, updated_at) VALUES (%s, 7, 0, now())", bob.pk)
    assert found() == {("order margin", margin_account(bob))}


# --- cents -----------------------------------------------------------------------------------------


def test_a_cent_of_profit_that_was_booked_everywhere_is_named(order: Order, part: Order) -> None:
    """As an engine would that rounds each part by itself: order, deal, transfer and balances agree."""
    tampered("UPDATE trades_order SET profit = profit + 1 WHERE id = %s", part.pk)
    tampered("UPDATE trades_deal SET profit = profit + 1 WHERE order_id = %s", part.pk)
    tampered("UPDATE accounts_transfer SET amount = amount + 1 WHERE subject = %s AND kind = 'order_profit'", part.pk)
    profit = Transfer.objects.get(subject=part.pk, kind="order_profit")
    tampered("UPDATE accounts_ledgeraccount SET debits = debits + 1 WHERE id = %s", profit.debit_account_id)
    tampered("UPDATE accounts_ledgeraccount SET credits = credits + 1 WHERE id = %s", profit.credit_account_id)

    assert audit.run(timezone.now()).findings != []
    assert found() == {("order profit", part.pk.hex), ("order results", order.pk.hex)}


@pytest.mark.parametrize("change", ["realized = realized + 0.3", "realized = 0", "realized = -realized"])
def test_what_an_order_remembers_of_its_parts_is_what_they_have_brought(order: Order, part: Order, change: str) -> None:
    tampered(f"UPDATE trades_order SET {change} WHERE id = %s", order.pk)
    assert found() == {("order results", order.pk.hex)}


@pytest.fixture
def held(alice: Customer) -> list[Order]:
    """Two through a night for 0.00539 each. The first is closed: the cent it has paid is 0.00461 more than it owed."""
    rates("SOL-USD", "-5.5", "0")
    two = [opens(alice, at("2026-11-18 15:00"), symbol="SOL-USD", quantity="0.1") for _ in range(2)]
    RolloverEngine("2026-11-18 16:00").runs(at("2026-11-18 22:00"))
    says(closing(alice, two[0].code), at("2026-11-19 12:00"))
    assert MarginAccount.objects.get(customer=alice).swap_carried == Decimal("0.461")
    assert found() == set()
    return two


def test_swap_that_nobody_was_booked_is_named(alice: Customer, held: list[Order]) -> None:
    tampered("UPDATE trades_order SET swap_accrued = swap_accrued - 1 WHERE id = %s", held[1].pk)
    assert found() == {("order swap", held[1].pk.hex)}


@pytest.mark.parametrize("change", ["swap_carried = 0", "swap_carried = -swap_carried", "swap_carried = 0.46"])
def test_what_an_account_carries_is_what_its_closed_orders_have_left(
    alice: Customer, held: list[Order], change: str
) -> None:
    tampered(f"UPDATE trades_marginaccount SET {change} WHERE customer_id = %s", alice.pk)
    assert found() == {("swap carried", alice.pk.hex)}


def test_orders_from_before_parts_were_rounded_together_are_as_they_were(order: Order, part: Order) -> None:
    """The migration leaves theirs empty, and begins with nothing where an order was still open."""
    tampered("UPDATE trades_order SET realized = NULL, swap_accrued = NULL WHERE id = %s", part.pk)
    tampered("UPDATE trades_order SET realized = 0 WHERE id = %s", order.pk)
    assert found() == set()


# --- what the house has advanced -------------------------------------------------------------------


@pytest.fixture
def debtor() -> Customer:
    """Somebody for whom 1,000.00 were advanced while ether rested."""
    carol = a_customer(with_usd="1_000.00")
    btc_at("40_000.00")
    price_at("ETH-USD", "2_000.00")
    opens(carol, quantity="1", leverage=100)
    opens(carol, symbol="eth", type="sell", quantity="10", leverage=100)
    market_closed_at("ETH-USD", "2_000.00")
    btc_at("38_000.00")
    applied(judging(carol))
    assert (owed(carol), found()) == (usd("1_000.00"), set())
    return carol


@pytest.mark.parametrize(
    "change", ["owed = owed - 1", "owed = 0, owed_at = NULL", "owed_at = owed_at - interval '1 day'"]
)
def test_what_is_noted_as_owed_must_have_been_advanced_and_have_a_position_to_wait_for(
    debtor: Customer, change: str
) -> None:
    tampered(f"UPDATE trades_marginaccount SET {change} WHERE customer_id = %s", debtor.pk)
    assert found() == {("order advances", debtor.pk.hex)}


def test_an_advance_that_nobody_owes_is_named(debtor: Customer) -> None:
    tampered("DELETE FROM trades_marginaccount WHERE customer_id = %s", debtor.pk)
    assert ("order advances", debtor.pk.hex) in found()


@pytest.mark.parametrize("change", ["amount = amount + 1", "kind = 'order_protection'"])
def test_an_advance_that_was_changed_is_named(debtor: Customer, change: str) -> None:
    tampered(f"UPDATE accounts_transfer SET {change} WHERE customer_id = %s AND kind = 'order_advance'", debtor.pk)
    assert found() == {("order advances", debtor.pk.hex)}
