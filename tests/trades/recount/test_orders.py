"""An order that was changed by whoever owns the tables is named, and nothing else is."""

from __future__ import annotations

from datetime import timedelta

import pytest

from accounts.models import Customer, Transfer
from tests.accounts.sealing import seal
from tests.given import a_customer, btc_at
from tests.trades.engine_steps import (
    applied,
    cancelling,
    changing,
    closes,
    firing,
    judges,
    opens,
    places,
    says,
)
from tests.trades.recount.forging import forged, found, named, unsealed_forged
from trades.models import Deal, MarginAccount, Order, OrderEvent

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice() -> Customer:
    return a_customer(with_usd="20_000.00")


@pytest.fixture
def book(alice: Customer) -> dict[str, Order]:
    """One order of each kind: open with everything that protects it, a part of it, closed, waiting, cancelled."""
    btc_at("42_000.00")
    open_ = opens(alice, quantity="0.3", takeProfit="50000", stopLoss="30000", trailingStop="9000", clientOrderId="it")
    says(changing(alice, open_.code, stopLoss="31000"))
    part = closes(alice, open_, "0.1")
    says(changing(alice, open_.code, trailingStop="8000"))
    says(changing(alice, open_.code, takeProfit=None))
    closed = closes(alice, opens(alice, type="sell", quantity="0.05", leverage=20))
    waiting = places(alice, "buy limit", "41000", takeProfit="45000", trailingStop="500")
    cancelled = places(alice, "sell limit", "43000")
    says(cancelling(alice, cancelled.code))
    fired = places(alice, "buy stop", "42500", trailingStop="700", stopLoss="40000")
    btc_at("42_600.00")
    applied(firing(fired))
    book = {"open": open_, "part": part, "closed": closed, "waiting": waiting, "cancelled": cancelled, "fired": fired}
    for order in book.values():
        order.refresh_from_db()
    assert found() == set()
    return book


CHANGES = [
    ("open", "leverage = 20"),
    ("open", "take_profit = 45000"),
    ("open", "stop_loss = 41000"),
    ("open", "stop_loss = NULL"),
    ("open", "trailing_stop = 100"),
    ("open", "trail_peak = trail_peak + 5000"),
    ("open", "trail_at = trail_at - interval '1 hour'"),
    ("open", "opened_at = opened_at - interval '3 days'"),
    ("open", "opened_at = opened_at - interval '3 days', created_at = created_at - interval '3 days'"),
    ("open", "open_price = open_price - 1"),
    ("open", "side = 'sell'"),
    ("open", "instrument_id = 'ETH-USD'"),
    ("open", "client_order_id = 'another'"),
    ("open", "command_id = gen_random_uuid()"),
    ("open", "created_at = created_at - interval '1 second'"),
    ("open", "status = 'CLOSED', close_price = 1, profit = 0, closed_at = now()"),
    ("fired", "trail_peak = trail_peak + 5000"),
    ("fired", "price = 42400"),
    ("fired", "stop_loss = 39000"),
    ("fired", "created_at = created_at - interval '1 second'"),
    ("part", "closed_at = closed_at + interval '1 hour'"),
    ("part", "stop_loss = 1"),
    ("part", "profit = profit + 1"),
    ("part", "close_price = close_price + 1"),
    ("part", "quantity = quantity / 2"),
    ("part", "created_at = created_at - interval '1 hour'"),
    ("closed", "closed_at = closed_at - interval '1 hour'"),
    ("closed", "close_reason = 'stop_out'"),
    ("closed", "profit = profit - 1"),
    ("closed", "leverage = 1"),
    ("closed", "take_profit = 1"),
    ("waiting", "price = 41500"),
    ("waiting", "quantity = 5"),
    ("waiting", "take_profit = 41100"),
    ("waiting", "type = 'stop'"),
    ("waiting", "leverage = 100"),
    ("waiting", "status = 'CANCELLED', closed_at = now()"),
    ("cancelled", "closed_at = closed_at + interval '1 hour'"),
    ("cancelled", "close_reason = 'no_margin'"),
    ("cancelled", "status = 'PENDING', closed_at = NULL, close_reason = ''"),
]


@pytest.mark.parametrize(("which", "change"), CHANGES)
def test_an_order_that_was_changed_is_named(book: dict[str, Order], which: str, change: str) -> None:
    order = book[which]

    forged(f"UPDATE trades_order SET {change} WHERE id = %s", order.pk)

    assert named() == {order.pk.hex}


@pytest.mark.parametrize("which", ["waiting", "cancelled"])
def test_an_order_that_was_deleted_while_its_events_remain_is_named(book: dict[str, Order], which: str) -> None:
    forged("DELETE FROM trades_order WHERE id = %s", book[which].pk)

    assert named() == {book[which].pk.hex}
    assert found() == {("order history", book[which].pk.hex)}


@pytest.mark.parametrize(("which", "kind"), [("waiting", "placed"), ("cancelled", "cancelled")])
def test_events_that_were_deleted_are_named_and_not_their_order(book: dict[str, Order], which: str, kind: str) -> None:
    """Guard: `Verified.lacks_rows`. Nobody can tell any more which order the event spoke of. Without it the cancelled
    order is named, too: its other event is as it was sealed."""
    event = OrderEvent.objects.get(order_id=book[which].pk, kind=kind).pk

    forged("DELETE FROM trades_orderevent WHERE id = %s", event)

    assert named() == {event.hex}
    assert found() == {("sealed trades_orderevent", event.hex), ("order history", book[which].pk.hex)}


def test_a_sealed_row_that_was_changed_is_named_and_not_the_order_it_speaks_of(book: dict[str, Order]) -> None:
    """Guard: a proof counts only where every row of it is as it was sealed."""
    deal = Deal.objects.get(order=book["closed"], kind="close")

    forged("UPDATE trades_deal SET at = at - interval '1 hour' WHERE id = %s", deal.pk)

    assert named() == {deal.pk.hex}
    assert ("order times", book["closed"].pk.hex) in found()


def test_before_anything_is_sealed_the_order_is_found_and_nobody_is_accused(book: dict[str, Order]) -> None:
    """Guard: `Verified.genuine` asks for sealed rows. In the last ten minutes the deal may be what was changed."""
    unsealed_forged("UPDATE trades_order SET closed_at = now() + interval '1 day' WHERE id = %s", book["closed"].pk)

    assert named() == set()
    assert {row for _, row in found()} == {book["closed"].pk.hex}


def a_profit_changed_everywhere(order: Order) -> Transfer:
    """A dollar more in order, deal, transfer and both balances; the transfer."""
    transfer = Transfer.objects.get(subject=order.pk, kind="order_profit")
    unsealed_forged("UPDATE trades_order SET profit = profit + 100 WHERE id = %s", order.pk)
    unsealed_forged("UPDATE trades_deal SET profit = profit + 100 WHERE order_id = %s AND kind = 'close'", order.pk)
    unsealed_forged("UPDATE accounts_transfer SET amount = amount + 100 WHERE id = %s", transfer.pk)
    for side, account in (("debits", transfer.debit_account_id), ("credits", transfer.credit_account_id)):
        unsealed_forged(f"UPDATE accounts_ledgeraccount SET {side} = {side} + 100 WHERE id = %s", account)
    return transfer


@pytest.fixture
def won(alice: Customer) -> Order:
    btc_at("42_000.00")
    order = opens(alice)
    btc_at("42_500.00")
    return closes(alice, order)


def test_a_profit_that_was_changed_everywhere_is_found_by_its_prices(won: Order) -> None:
    """Before anything is sealed nothing but the prices and the quantity can tell."""
    a_profit_changed_everywhere(won)

    assert found() == {("order profit", won.pk.hex)}


def test_a_profit_that_was_changed_everywhere_after_it_was_sealed_is_named_where_it_was(won: Order) -> None:
    seal()
    transfer = a_profit_changed_everywhere(won)
    deal = Deal.objects.get(order=won, kind="close")

    assert named() == {transfer.pk.hex, deal.pk.hex}
    assert found() == {
        ("sealed accounts_transfer", transfer.pk.hex),
        ("sealed trades_deal", deal.pk.hex),
        ("order profit", won.pk.hex),
    }


# --- the account -----------------------------------------------------------------------------------


def test_a_margin_call_that_was_taken_back_or_dated_otherwise_is_named() -> None:
    bob = a_customer(with_usd="500.00")
    btc_at("42_000.00")
    opens(bob, quantity="0.1", leverage=10)
    btc_at("41_000.00")
    judges(bob)
    account = MarginAccount.objects.get(customer=bob)
    assert account.called_at is not None

    for called_at in (None, account.called_at - timedelta(hours=1)):
        forged("UPDATE trades_marginaccount SET called_at = %s WHERE customer_id = %s", called_at, bob.pk)
        assert named() == {bob.pk.hex}


# --- what needs no event ---------------------------------------------------------------------------


@pytest.mark.parametrize(("which", "check"), [("open", "order margins"), ("part", "part margins")])
def test_a_margin_that_no_price_and_leverage_give_is_found(book: dict[str, Order], which: str, check: str) -> None:
    forged("UPDATE trades_order SET margin = margin - 1 WHERE id = %s", book[which].pk)

    assert (check, book[which].pk.hex) in found()


def test_what_a_part_remembers_of_the_parts_before_it_is_found_where_it_is_another(book: dict[str, Order]) -> None:
    forged("UPDATE trades_order SET realized = 7 WHERE id = %s", book["part"].pk)

    assert ("part margins", book["part"].pk.hex) in found()


def test_without_the_sum_of_its_parts_an_order_is_judged_by_itself(book: dict[str, Order]) -> None:
    """As orders from before docs/decisions/0040 are: emptying the columns frees nothing from the recount."""
    forged("UPDATE trades_order SET realized = NULL, swap_accrued = NULL, profit = 5 WHERE id = %s", book["closed"].pk)

    assert ("order profit by itself", book["closed"].pk.hex) in found()
    assert named() == {book["closed"].pk.hex}
