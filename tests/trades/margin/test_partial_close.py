"""Closing a part of an order: the rest keeps its orderId, the part gets its own, and no cent is lost in between."""

from __future__ import annotations

from decimal import Decimal

import pytest

from accounts.ledger import MARGIN
from accounts.models import Transfer
from tests.given import a_customer, balance, btc_at, price_at, usd
from tests.trades.engine_steps import (
    became,
    cash,
    closes,
    closing,
    fires,
    happened,
    moved,
    now,
    opening,
    opens,
    refused,
    tick,
)
from trades.models import Deal, Order, OrderEvent

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("books_balance")]


def test_a_third_is_closed_and_the_rest_stays_open_under_its_order_id() -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_340.00", "42_350.75")
    order = opens(alice, quantity="0.3", leverage=10, takeProfit="50000", clientOrderId="mine")
    assert order.margin == usd("1_270.53")  # 1270.5225, rounded up

    btc_at("43_605.75", "43_610.00")
    (told,) = tick(closing(alice, order.code, quantity="0.1"))

    part = Order.objects.get(customer=alice, status="CLOSED")
    assert told.status == 200
    assert told.body["order"] | {"openTime": None, "closeTime": None} == {
        "orderId": part.code,
        "status": "CLOSED",
        "closePrice": Decimal("43605.75"),
        "profit": Decimal("125.50"),
        "userId": alice.user_id.hex if alice.user_id else None,
        "symbol": "BTC-USD",
        "type": "buy",
        "quantity": Decimal("0.1"),
        "leverage": 10,
        "openPrice": Decimal("42350.75"),
        "openTime": None,
        "closeTime": None,
        "profitLoss": Decimal("125.50"),
        "closeReason": "manual",
        "swap": 0,
        "fee": 0,
        "parentOrderId": order.code,
    }
    rest = now(order)
    assert (rest.code, rest.status, rest.quantity) == (order.code, "OPEN", Decimal("0.2"))
    assert rest.margin == usd("847.02")  # 847.015, rounded up
    assert part.margin == usd("423.51")  # what is left of 1,270.53
    assert (rest.take_profit, rest.client_order_id) == (Decimal(50000), "mine")
    assert (part.parent_id, part.client_order_id) == (order.pk, None)
    assert balance(alice, MARGIN) == usd("847.02")
    assert cash(alice) == usd("10_125.50")


def test_the_part_has_a_closing_deal_of_its_own_and_the_order_its_one_opening_deal() -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = opens(alice, quantity="0.3")

    part = closes(alice, order, "0.1")

    deals = Deal.objects.filter(customer=alice).order_by("id").values_list("order_id", "kind", "quantity")
    assert list(deals) == [(order.pk, "open", Decimal("0.3")), (part.pk, "close", Decimal("0.1"))]
    assert happened(alice) == ["opened", "reduced", "closed"]
    reduced = OrderEvent.objects.get(customer=alice, kind="reduced")
    assert (reduced.order_id, reduced.detail) == (order.pk, {"part": part.code, "quantity": 0.1, "left": 0.2})


def test_parts_of_parts_add_up_to_the_whole_to_the_cent() -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_350.75")
    order = opens(alice, quantity="0.07", leverage=30)
    assert order.margin == usd("98.82")  # 98.8184…, rounded up

    btc_at("42_351.00")  # 0.25 a bitcoin
    parts = [closes(alice, order, "0.01") for _ in range(6)]
    last = closes(alice, order)

    assert last.pk == order.pk
    assert (last.quantity, last.parent_id) == (Decimal("0.01"), None)
    assert sum(one.margin for one in [*parts, last]) == order.margin
    # 0.0025 each: 0.0025, 0.005 (half-even: 0.00), 0.0075 (the cent), ... 0.015 (half-even: 0.02), 0.0175
    assert [one.profit for one in [*parts, last]] == [0, 0, 1, 0, 0, 1, 0]
    assert balance(alice, MARGIN) == 0
    assert cash(alice) == usd("10_000.02")


def test_each_part_has_the_exact_profit_of_its_own_price() -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00", "42_010.00")
    order = opens(alice, type="sell", quantity="0.5", leverage=20)  # at 42,000.00

    btc_at("41_000.00", "41_010.00")
    first = closes(alice, order, "0.2")
    btc_at("42_500.00", "42_510.00")
    second = closes(alice, order, "0.05")
    btc_at("41_900.00", "41_910.00")
    rest = closes(alice, order)

    assert (first.profit, second.profit, rest.profit) == (usd("198.00"), -usd("25.50"), usd("22.50"))
    assert cash(alice) == usd("10_195.00")


def test_the_whole_quantity_is_a_full_close_and_has_no_parent() -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = opens(alice, quantity="0.3")

    (told,) = tick(closing(alice, order.code, quantity="0.30"))

    assert (told.body["order"]["orderId"], told.body["order"]["parentOrderId"]) == (order.code, None)
    assert became(order) == ("CLOSED", "manual")
    assert Order.objects.filter(customer=alice).count() == 1


@pytest.mark.parametrize(
    ("quantity", "sentence"),
    [
        ("0.30000001", "Quantity is more than what is open"),
        ("1000000", "Quantity is more than what is open"),
        ("0.123456789", "Quantity may have 8 decimals for BTC-USD"),
    ],
)
def test_more_than_is_open_and_more_decimals_than_the_instrument_has_are_refused(quantity: str, sentence: str) -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = opens(alice, quantity="0.3")

    assert refused(closing(alice, order.code, quantity=quantity)) == sentence

    assert (now(order).quantity, now(order).status) == (Decimal("0.3"), "OPEN")
    assert moved(alice) == [("order_margin", usd("1_260.00"))]


def test_a_part_that_is_closed_again_is_closed_once_and_answered_to_the_byte() -> None:
    """Guard: the part's row carries the command's id (`orders_made_by`)."""
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = opens(alice, quantity="0.3")
    close = closing(alice, order.code, quantity="0.1")
    (first,) = tick(close)
    before = Transfer.objects.filter(customer=alice).count()

    btc_at("45_000.00")
    again, and_again = tick(close, close)
    (rest,) = tick(closing(alice, order.code))
    (after_the_rest_closed,) = tick(close)

    assert first.text == again.text == and_again.text == after_the_rest_closed.text
    assert rest.body["order"]["quantity"] == Decimal("0.2")
    assert Transfer.objects.filter(customer=alice).count() == before + 2  # the rest's margin and profit
    assert Order.objects.filter(customer=alice).count() == 2


def test_a_full_close_by_its_quantity_that_comes_again_answers_the_same() -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = opens(alice, quantity="0.3")
    close = closing(alice, order.code, quantity="0.3")

    (first,) = tick(close)
    btc_at("45_000.00")
    (again,) = tick(close)

    assert (first.status, again.text) == (200, first.text)


def test_a_key_closes_one_part_and_another_quantity_under_it_is_refused() -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = opens(alice, quantity="0.3")

    (first,) = tick(closing(alice, order.code, key="k", quantity="0.1"))
    again, other = tick(
        closing(alice, order.code, key="k", quantity="0.10"), closing(alice, order.code, key="k", quantity="0.2")
    )

    assert (again.status, again.text, again.replayed) == (200, first.text, True)
    assert other.status == 422
    assert now(order).quantity == Decimal("0.2")


def test_two_parts_in_one_tick_and_the_second_sees_what_the_first_left() -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = opens(alice, quantity="0.3")

    one, two, three = tick(*(closing(alice, order.code, quantity="0.2") for _ in range(3)))

    assert (one.status, two.status, three.status) == (200, 400, 400)
    assert two.body["error"] == "Quantity is more than what is open"
    assert now(order).quantity == Decimal("0.1")


def test_an_order_may_be_reduced_and_closed_in_one_tick() -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = opens(alice, quantity="0.3")

    part, rest = tick(closing(alice, order.code, quantity="0.1"), closing(alice, order.code))

    assert (part.status, rest.status) == (200, 200)
    assert rest.body["order"]["quantity"] == Decimal("0.2")
    assert balance(alice) == usd("10_000.00")


def test_a_part_of_somebody_elses_order_is_not_found() -> None:
    alice, mallory = a_customer(with_usd="10_000.00"), a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = opens(alice, quantity="0.3")

    assert refused(closing(mallory, order.code, quantity="0.1")) == "Order not found or already closed"
    assert now(order).quantity == Decimal("0.3")


def test_what_is_left_keeps_its_stops_and_the_part_is_out_of_their_reach() -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = opens(alice, quantity="0.3", stopLoss="41000")
    part = closes(alice, order, "0.1")

    btc_at("40_900.00")
    fires(order, part)

    assert became(order) == ("CLOSED", "stop_loss")
    assert now(order).profit == -usd("220.00")
    assert became(part) == ("CLOSED", "manual")


def test_a_part_frees_its_margin_for_another_order() -> None:
    alice = a_customer(with_usd="1_260.00")
    btc_at("42_000.00")
    order = opens(alice, quantity="0.3")
    assert refused(opening(alice, quantity="0.1")) == "Insufficient balance. Required: $420.00, Available: $0.00"

    reduced, reopened = tick(closing(alice, order.code, quantity="0.1"), opening(alice, quantity="0.1"))

    assert (reduced.status, reopened.status) == (200, 200)
    assert balance(alice) == 0


def test_eighteen_decimals_are_split_exactly() -> None:
    alice = a_customer(with_usd="1_000_000.00")
    price_at("ETH-USD", "2_250.00")
    order = opens(alice, symbol="eth", quantity="12345.123456789012345678", leverage=100)

    part = closes(alice, order, "0.123456789012345679")

    assert now(order).quantity == Decimal("12344.999999999999999999")
    assert (part.quantity, part.margin) == (Decimal("0.123456789012345679"), usd("2.78"))
    assert order.margin - usd("2.78") == now(order).margin == balance(alice, MARGIN)
