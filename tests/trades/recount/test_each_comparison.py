"""Whatever is wrong with a row is told, each by a comparison of its own.

Often another check finds the same row, too. So a test makes everything wrong that a check compares, and reads what the
check says. Guards: the entries of the checks' lists; without one of them its text is missing.
"""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest
from django.db import connection

from accounts.models import Customer
from quotes.quoting import FeeTerms
from tests.given import a_customer, a_cut, a_settling_buy, a_trade, btc, btc_at, exits, settles
from tests.trades.corrections.staff import a_member_of_staff
from tests.trades.engine_steps import closes, judges, opens, places
from tests.trades.recount.forging import told, unsealed_forged
from trades.models import OrderEvent, SettlementBatch, SettlementLeg, Trade

pytestmark = pytest.mark.django_db

BEFORE = datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)
LATER = datetime(2120, 1, 2, 3, 4, 5, tzinfo=UTC)


def assert_told(check: str, row: UUID, *names: str) -> None:
    """That this check says just these things of a row, in this order."""
    texts = told(check, row)
    assert len(texts) == len(names), texts
    assert all(text.startswith(f"{name} ") for text, name in zip(texts, names, strict=True)), texts


@pytest.fixture
def alice() -> Customer:
    btc_at("42_000.00")
    return a_customer(with_usd="50_000.00")


@pytest.fixture
def bob() -> Customer:
    return a_customer("bob")


# --- orders ----------------------------------------------------------------------------------------


def test_a_closed_order_beside_its_deals(alice: Customer) -> None:
    order = closes(alice, opens(alice))

    unsealed_forged(
        "UPDATE trades_order SET opened_at = %s, open_price = 1, closed_at = %s, close_price = 2, quantity = 3,"
        " profit = 4, close_reason = 'stop_out' WHERE id = %s",
        BEFORE,
        BEFORE,
        order.pk,
    )

    assert_told(
        "order times",
        order.pk,
        "opened_at",
        "open_price",
        "closed_at",
        "close_price",
        "quantity",
        "profit",
        "close_reason",
    )


def test_an_order_beside_its_events(alice: Customer, bob: Customer) -> None:
    order = opens(alice, quantity="0.3")
    part = closes(alice, order, "0.1")

    unsealed_forged("UPDATE trades_order SET parent_id = NULL WHERE id = %s", part.pk)
    unsealed_forged(
        "UPDATE trades_order SET status = 'CANCELLED', customer_id = %s, command_id = gen_random_uuid(),"
        " created_at = %s, opened_at = %s, closed_at = %s, close_reason = 'no_margin' WHERE id = %s",
        bob.pk,
        BEFORE,
        BEFORE,
        BEFORE,
        order.pk,
    )

    assert_told(
        "order history",
        order.pk,
        "events (placed, opened, cancelled, closed)",
        "parts",
        "customer",
        "command",
        "created_at",
        "opened_at",
        "closed_at",
        "close_reason",
    )


def test_an_event_of_another_customer_than_its_orders_others(alice: Customer, bob: Customer) -> None:
    order = closes(alice, opens(alice))

    unsealed_forged("UPDATE trades_orderevent SET customer_id = %s WHERE kind = 'closed'", bob.pk)

    assert any(text.startswith("customer of an event ") for text in told("order history", order.pk))


def test_an_order_beside_what_was_agreed(alice: Customer) -> None:
    order = places(alice, "buy limit", "41000", takeProfit="45000", trailingStop="500")

    unsealed_forged(
        "UPDATE trades_order SET instrument_id = 'ETH-USD', side = 'sell', type = 'stop', leverage = 33,"
        " client_order_id = 'x', quantity = 5, take_profit = 1, stop_loss = 2, trailing_stop = 3, price = 4,"
        " trail_peak = 5, trail_at = %s WHERE id = %s",
        BEFORE,
        order.pk,
    )

    assert_told(
        "order terms",
        order.pk,
        "instrument_id",
        "side",
        "type",
        "leverage",
        "client_order_id",
        "quantity",
        "take_profit",
        "stop_loss",
        "trailing_stop",
        "price",
        "trail_peak",
        "trail_at",
    )


def test_a_part_beside_what_was_taken_out(alice: Customer) -> None:
    part = closes(alice, opens(alice, quantity="0.3"), "0.1")

    unsealed_forged(
        "UPDATE trades_order SET quantity = 9, margin = margin + 1, command_id = gen_random_uuid(), realized = 7,"
        " created_at = %s WHERE id = %s",
        BEFORE,
        part.pk,
    )

    assert_told("part margins", part.pk, "quantity", "margin", "command", "realized")
    assert_told("part times", part.pk, "created_at")


def test_an_event_that_says_no_number_ends_no_recount(alice: Customer) -> None:
    """Guard: `_number` in orders.py."""
    part = closes(alice, opens(alice, quantity="0.3"), "0.1")

    unsealed_forged("""UPDATE trades_orderevent SET detail = detail || '{"quantity": "much"}' WHERE kind = 'reduced'""")

    assert OrderEvent.objects.get(kind="reduced").detail["quantity"] == "much"
    assert_told("part margins", part.pk, "quantity", "margin")


def test_a_margin_account_beside_its_events_and_transfers() -> None:
    bob = a_customer(with_usd="500.00")
    btc_at("42_000.00")
    opens(bob, quantity="0.1", leverage=10)
    btc_at("41_000.00")
    judges(bob)

    unsealed_forged(
        "UPDATE trades_marginaccount SET called_at = %s, owed = 1, owed_at = %s WHERE customer_id = %s",
        BEFORE,
        BEFORE,
        bob.pk,
    )

    assert_told("margin account marks", bob.pk, "called_at", "owed_at")


# --- trades ----------------------------------------------------------------------------------------


@pytest.fixture
def trade(alice: Customer) -> Trade:
    return a_settling_buy(alice, btc("0.1"))


def test_a_trade_beside_its_quote(alice: Customer, bob: Customer, trade: Trade) -> None:
    another = a_settling_buy(alice, btc("0.1"))

    unsealed_forged(
        "UPDATE trades_trade SET customer_id = %s, trade_type = 'exit', instrument_id = 'ETH-USD', side = 'sell',"
        " receive_amount = 1, deliver_amount = 2, fee = 3, reference_trade_id = %s, exiting_trade_id = %s,"
        " receive_asset_id = 'EUR', deliver_asset_id = 'EUR', created_at = %s, expected_error = 'expired_quote'"
        " WHERE id = %s",
        bob.pk,
        another.pk,
        another.pk,
        LATER,
        trade.pk,
    )

    assert_told(
        "trade quotes",
        trade.pk,
        "customer",
        "type",
        "symbol",
        "side",
        "receive_amount",
        "deliver_amount",
        "fee",
        "reference trade",
        "asset received",
        "asset delivered",
        "created_at",
        "state",
    )


def test_a_trade_without_its_quote(trade: Trade) -> None:
    """The foreign key refuses it until the owner takes that away, too."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT conname FROM pg_constraint WHERE conrelid = 'trades_trade'::regclass"
            " AND confrelid = 'quotes_quote'::regclass"
        )
        ((constraint,),) = cursor.fetchall()

    unsealed_forged(f"ALTER TABLE trades_trade DROP CONSTRAINT {constraint}")
    unsealed_forged("DELETE FROM quotes_quote WHERE id = %s", trade.quote_id)

    assert told("trade quotes", trade.pk)[0] == f"quote {trade.quote_id} instead of nothing"


def test_a_trade_beside_its_events(alice: Customer) -> None:
    completed = a_settling_buy(alice, btc("0.1"))
    settles(a_cut())
    failed = a_trade(alice, receive=btc("50"))

    for trade, change in ((completed, "batch_id = gen_random_uuid()"), (failed, "failure_code = 'expired_quote'")):
        unsealed_forged(f"UPDATE trades_trade SET created_at = %s, {change} WHERE id = %s", BEFORE, trade.pk)

    assert_told("trade events", completed.pk, "created_at", "batch")
    assert_told("trade events", failed.pk, "created_at", "failure_code")


def test_a_trade_whose_state_or_reversal_its_events_contradict(trade: Trade) -> None:
    unsealed_forged("UPDATE trades_trade SET state = 'storing' WHERE id = %s", trade.pk)
    assert_told("trade events", trade.pk, "events (1 storing, 2 settling, 4 completed, 8 failed)")

    unsealed_forged("UPDATE trades_trade SET state = 'settling' WHERE id = %s", trade.pk)
    unsealed_forged("UPDATE trades_tradeevent SET became = 'reversed' WHERE became = 'storing'")
    assert_told("trade events", trade.pk, "events (1 storing, 2 settling, 4 completed, 8 failed)", "events reversed")


def test_events_without_their_trade(trade: Trade) -> None:
    unsealed_forged("DELETE FROM trades_trade WHERE id = %s", trade.pk)

    assert told("trade events", trade.pk) == ["events 3 instead of nothing"]


def test_an_exit_beside_its_original(alice: Customer, trade: Trade) -> None:
    """The constraint refuses another reference until the owner takes it away, too."""
    exit_ = exits(trade)
    another = a_settling_buy(alice, btc("0.1"))

    unsealed_forged("ALTER TABLE trades_trade DROP CONSTRAINT trade_exit_names_its_original")
    unsealed_forged(
        "UPDATE trades_trade SET taken_from_settling = 1, reference_trade_id = %s WHERE id = %s", another.pk, exit_.pk
    )

    assert_told("exit amounts", exit_.pk, "taken_from_settling", "reference trade")


# --- batches ---------------------------------------------------------------------------------------


@pytest.fixture
def batch(alice: Customer) -> SettlementBatch:
    a_trade(alice, receive=btc("0.1"), fees=FeeTerms(25))
    return settles(a_cut())


def test_a_batch_beside_its_events(batch: SettlementBatch) -> None:
    unsealed_forged(
        "UPDATE trades_settlementbatch SET state = 'settling',"
        " window_id = (SELECT id FROM trades_settlementwindow LIMIT 1), asset_kinds = 'fiat', cut_at = %s,"
        " created_at = %s, confirmed_at = %s, trades_count = 9, members_sha256 = 'x', made_by_id = %s,"
        " confirmed_by_id = %s, cancelled_by_id = %s WHERE id = %s",
        *(BEFORE,) * 3,
        *(a_member_of_staff().pk for _ in range(3)),
        batch.pk,
    )

    assert_told(
        "batch times",
        batch.pk,
        "state",
        "window_id",
        "asset_kinds",
        "cut_at",
        "created_at",
        "confirmed_at",
        "trades_count",
        "members_sha256",
        "made_by",
        "confirmed_by",
        "cancelled_by",
    )


def test_a_batch_without_events(batch: SettlementBatch) -> None:
    unsealed_forged("DELETE FROM trades_batchevent")

    assert told("batch times", batch.pk) == [f"events nothing instead of {batch.pk}"]


@pytest.mark.parametrize("asset", ["BTC", "USD"])
def test_a_leg_beside_its_batchs_trades(batch: SettlementBatch, asset: str) -> None:
    """One leg is outgoing, the other incoming."""
    leg = SettlementLeg.objects.get(batch=batch, asset=asset)

    unsealed_forged(
        "UPDATE trades_settlementleg SET received = received + 1, delivered = delivered + 2, fees = fees + 3,"
        " expected = expected + 4, settled_at = %s,"
        " direction = CASE direction WHEN 'incoming' THEN 'outgoing' ELSE 'incoming' END WHERE id = %s",
        BEFORE,
        leg.pk,
    )

    assert_told("batch legs", leg.pk, "received", "delivered", "fees", "expected", "direction")
    assert_told("leg times", leg.pk, "settled_at")


def test_trades_without_their_leg(batch: SettlementBatch) -> None:
    unsealed_forged("DELETE FROM trades_settlementleg WHERE asset_id = 'BTC'")

    assert told("batch legs", batch.pk) == [f"leg nothing instead of {batch.pk}"]
