"""Limit and stop orders: they wait for their price, reserve nothing meanwhile, and open at what is on offer then."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from accounts.ledger import MARGIN
from quotes import symbols
from quotes.models import Instrument
from tests.given import a_customer, balance, btc_at, price_at, usd
from tests.trades.engine_steps import (
    became,
    cancelling,
    changing,
    closing,
    fires,
    happened,
    moved,
    now,
    opening,
    opens,
    places,
    placing,
    refused,
    says,
    tick,
)
from trades.models import Deal, Order, OrderEvent

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("books_balance")]

NOT_FOUND = '{"error":"Order not found"}'


def test_an_order_that_waits_reserves_nothing_and_has_not_opened() -> None:
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00", "42_010.00")

    order = places(alice, "buy limit", "41_000".replace("_", ""), quantity="0.2", clientOrderId="mine")

    assert (order.status, order.price, order.margin) == ("PENDING", Decimal(41000), 0)
    assert (order.open_price, order.opened_at) == (None, None)
    assert (balance(alice), balance(alice, MARGIN)) == (usd("1_000.00"), 0)
    assert (moved(alice), Deal.objects.filter(customer=alice).count()) == ([], 0)
    placed = OrderEvent.objects.get(customer=alice)
    assert (placed.kind, placed.order_id) == ("placed", order.pk)
    assert placed.detail == {
        "symbol": "BTC-USD",
        "type": "buy",
        "orderType": "limit",
        "price": 41000,
        "quantity": 0.2,
        "leverage": 10,
        "clientOrderId": "mine",
    }


@pytest.mark.parametrize(
    ("kind", "price", "sentence"),
    [
        ("buy limit", "42010", "The price of a buy limit order must be below the current price 42010.00"),
        ("buy limit", "50000", "The price of a buy limit order must be below the current price 42010.00"),
        ("sell limit", "42000", "The price of a sell limit order must be above the current price 42000.00"),
        ("sell limit", "30000", "The price of a sell limit order must be above the current price 42000.00"),
        ("buy stop", "42010", "The price of a buy stop order must be above the current price 42010.00"),
        ("buy stop", "42005", "The price of a buy stop order must be above the current price 42010.00"),
        ("sell stop", "42000", "The price of a sell stop order must be below the current price 42000.00"),
        ("sell stop", "42005", "The price of a sell stop order must be below the current price 42000.00"),
    ],
)
def test_a_price_that_is_there_already_is_refused_by_name(kind: str, price: str, sentence: str) -> None:
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00", "42_010.00")

    assert refused(placing(alice, kind, price)) == sentence

    assert not Order.objects.filter(customer=alice).exists()


@pytest.mark.parametrize(
    ("kind", "price", "not_yet", "there", "opened_at"),
    [
        ("buy limit", "41000", ("40_990.00", "41_000.01"), ("40_990.00", "41_000.00"), "41000.00"),
        ("sell limit", "43000", ("42_999.99", "43_010.00"), ("43_000.00", "43_010.00"), "43000.00"),
        ("buy stop", "43000", ("42_990.00", "42_999.99"), ("42_990.00", "43_000.00"), "43000.00"),
        ("sell stop", "41000", ("41_000.01", "41_010.00"), ("41_000.00", "41_010.00"), "41000.00"),
    ],
)
def test_it_opens_at_exactly_its_price_and_not_a_cent_before(
    kind: str, price: str, not_yet: tuple[str, str], there: tuple[str, str], opened_at: str
) -> None:
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00", "42_010.00")
    order = places(alice, kind, price, quantity="0.1", leverage=10)

    btc_at(*not_yet)
    fires(order)
    assert became(order) == ("PENDING", "")

    btc_at(*there)
    fires(order)

    order = now(order)
    assert (order.status, order.open_price) == ("OPEN", Decimal(opened_at))
    assert order.margin == balance(alice, MARGIN) == usd(opened_at) / 100
    deal = Deal.objects.get(order=order)
    assert (deal.kind, deal.price, deal.command_id) == ("open", Decimal(opened_at), None)
    assert happened(alice) == ["placed", "opened"]


@pytest.mark.parametrize(
    ("kind", "price", "gap", "opened_at"),
    [
        ("buy limit", "41000", ("40_400.00", "40_500.00"), "40500"),  # better than asked for
        ("sell limit", "43000", ("43_700.00", "43_710.00"), "43700"),
        ("buy stop", "43000", ("43_690.00", "43_700.00"), "43700"),  # worse than hoped for
        ("sell stop", "41000", ("40_500.00", "40_510.00"), "40500"),
    ],
)
def test_over_a_gap_it_opens_at_what_is_on_offer(kind: str, price: str, gap: tuple[str, str], opened_at: str) -> None:
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00", "42_010.00")
    order = places(alice, kind, price)

    btc_at(*gap)
    fires(order)

    assert (now(order).status, now(order).open_price) == ("OPEN", Decimal(opened_at))


def test_a_gap_beyond_its_stop_loss_opens_it_and_the_next_look_closes_it() -> None:
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00", "42_010.00")
    order = places(alice, "buy limit", "41000", stopLoss="40500")

    btc_at("39_990.00", "40_000.00")
    fires(order)
    fires(order)

    assert became(order) == ("CLOSED", "stop_loss")
    assert now(order).profit == -usd("1.00")


@pytest.mark.parametrize(
    ("kind", "price", "take_profit", "gap"),
    [
        ("buy stop", "43000", "44000", ("43_995.00", "44_000.00")),
        ("buy stop", "43000", "44000", ("44_990.00", "45_000.00")),
        ("sell stop", "41000", "40000", ("40_000.00", "40_005.00")),
        ("sell stop", "41000", "40000", ("39_000.00", "39_010.00")),
    ],
)
def test_a_gap_beyond_its_own_take_profit_cancels_it(
    kind: str, price: str, take_profit: str, gap: tuple[str, str]
) -> None:
    """Opened, it would close at once, or later, at a loss and call that a profit taken."""
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00", "42_010.00")
    order = places(alice, kind, price, takeProfit=take_profit)

    btc_at(*gap)
    fires(order)
    fires(order)

    assert became(order) == ("CANCELLED", "gap")
    cancelled = OrderEvent.objects.get(customer=alice, order_id=order.pk, kind="cancelled")
    assert (cancelled.detail, cancelled.command_id) == ({"reason": "gap"}, None)
    assert (moved(alice), Deal.objects.filter(customer=alice).count()) == ([], 0)


def test_a_gap_just_short_of_its_take_profit_opens_it() -> None:
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00", "42_010.00")
    order = places(alice, "buy stop", "43000", takeProfit="44000")

    btc_at("43_994.99", "43_999.99")
    fires(order)
    fires(order)

    assert became(order) == ("OPEN", "")


def test_without_free_margin_when_its_price_comes_it_is_cancelled() -> None:
    alice = a_customer(with_usd="500.00")
    btc_at("42_000.00")
    order = places(alice, "buy limit", "41000", quantity="0.1")
    opens(alice, quantity="0.1")  # takes 420.00 of the 500.00

    btc_at("41_000.00")  # and has lost 100.00 by then; 410.00 more are wanted
    fires(order)

    assert became(order) == ("CANCELLED", "no_margin")
    cancelled = OrderEvent.objects.get(customer=alice, order_id=order.pk, kind="cancelled")
    said = {"reason": "no_margin", "required": "410.00", "available": "0.00"}
    assert (cancelled.detail, cancelled.command_id) == (said, None)
    assert balance(alice) == usd("80.00")
    assert now(order).open_price is None


def test_two_prices_come_at_once_and_the_money_is_enough_for_the_first() -> None:
    alice = a_customer(with_usd="500.00")
    btc_at("42_000.00")
    first, second = (places(alice, "buy limit", "41000", quantity="0.1") for _ in range(2))

    btc_at("41_000.00")
    fires(first, second)

    assert (became(first), became(second)) == (("OPEN", ""), ("CANCELLED", "no_margin"))
    assert balance(alice) == usd("90.00")


def test_a_frozen_customers_order_is_cancelled_when_its_price_comes() -> None:
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00")
    order = places(alice, "buy limit", "41000")
    alice.state = "frozen"
    alice.save()

    btc_at("41_000.00")
    fires(order)

    assert became(order) == ("CANCELLED", "forbidden")
    assert balance(alice) == usd("1_000.00")


def test_an_order_of_an_instrument_that_was_switched_off_is_cancelled_when_its_price_comes() -> None:
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00")
    order = places(alice, "sell stop", "41000")
    Instrument.objects.filter(symbol="BTC-USD").update(is_active=False)
    symbols.forget()

    btc_at("41_000.00")
    fires(order)

    assert became(order) == ("CANCELLED", "forbidden")


def test_nothing_opens_at_a_stale_price() -> None:
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00")
    order = places(alice, "buy limit", "41000")

    price_at("BTC-USD", "41_000.00", at=timezone.now() - timedelta(seconds=60))
    fires(order)

    assert became(order) == ("PENDING", "")


def test_an_order_that_fires_twice_in_a_tick_opens_once() -> None:
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00")
    order = places(alice, "buy limit", "41000")

    btc_at("41_000.00")
    fires(order, order)
    fires(order)

    assert became(order) == ("OPEN", "")
    assert moved(alice) == [("order_margin", usd("410.00"))]


def test_once_it_is_open_it_is_an_order_like_any_other() -> None:
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00")
    order = places(alice, "sell limit", "43000", quantity="0.1", takeProfit="42500")

    btc_at("43_000.00")
    fires(order)
    btc_at("42_500.00")
    fires(order)

    assert became(order) == ("CLOSED", "take_profit")
    assert balance(alice) == usd("1_050.00")
    assert happened(alice) == ["placed", "opened", "closed"]


# --- its limits ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "price", "limits", "sentence"),
    [
        ("buy limit", "41000", {"takeProfit": "41000"}, "Take profit must be above the price 41000.00 for a buy order"),
        ("buy limit", "41000", {"stopLoss": "41000"}, "Stop loss must be below the price 41000.00 for a buy order"),
        (
            "sell stop",
            "41000",
            {"takeProfit": "41500"},
            "Take profit must be below the price 41000.00 for a sell order",
        ),
        ("sell stop", "41000", {"stopLoss": "40500"}, "Stop loss must be above the price 41000.00 for a sell order"),
        (
            "buy stop",
            "43000",
            {"trailingStop": "43000"},
            "Trailing stop must be a distance smaller than the price 43000.00",
        ),
    ],
)
def test_limits_are_judged_by_the_price_it_waits_for(
    kind: str, price: str, limits: dict[str, str], sentence: str
) -> None:
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00")

    assert refused(placing(alice, kind, price, **limits)) == sentence


def test_a_take_profit_may_lie_between_its_price_and_the_market() -> None:
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00")

    order = places(alice, "buy limit", "41000", takeProfit="41500", stopLoss="40500")

    assert (order.take_profit, order.stop_loss) == (Decimal(41500), Decimal(40500))


def test_a_trailing_stop_begins_to_follow_when_the_order_opens() -> None:
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00")
    order = places(alice, "buy limit", "41000", trailingStop="300")
    assert (order.trail_peak, order.trail_at) == (None, None)

    btc_at("40_990.00", "41_000.00")
    fires(order)

    order = now(order)
    assert (order.trail_peak, order.trail_at) == (Decimal(40990), order.opened_at)


def test_size_and_symbol_are_judged_when_it_is_placed() -> None:
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00")

    assert refused(placing(alice, "buy limit", "41000", leverage=101)) == "Leverage must be at most 100 for BTC-USD"
    assert refused(placing(alice, "buy limit", "2", symbol="ETH")) == "Price data not found for symbol: ETH"


# --- cancelling ------------------------------------------------------------------------------------


def test_cancelling_ends_it_and_moves_nothing() -> None:
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00")
    order = places(alice, "buy limit", "41000")

    told = says(cancelling(alice, order.code))

    assert told["message"] == "Order cancelled successfully"
    shown = told["order"]
    assert (shown["orderId"], shown["status"], shown["closeReason"]) == (order.code, "CANCELLED", "manual")
    assert (shown["price"], shown["openPrice"], shown["margin"]) == (41000, None, 0)
    assert became(order) == ("CANCELLED", "manual")
    assert (happened(alice), moved(alice)) == (["placed", "cancelled"], [])

    btc_at("41_000.00")
    fires(order)
    assert became(order) == ("CANCELLED", "manual")


def test_cancelling_twice_is_refused_but_the_same_command_again_is_answered_alike() -> None:
    """Guard: `remembered_by` - nothing else shows which command cancelled an order."""
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00")
    order = places(alice, "buy limit", "41000")
    cancel = cancelling(alice, order.code)

    first, second = tick(cancel, cancelling(alice, order.code))
    (again,) = tick(cancel)

    assert (first.status, second.status) == (200, 400)
    assert second.body["error"] == "The order is cancelled already"
    assert again.text == first.text
    assert happened(alice) == ["placed", "cancelled"]


def test_an_open_or_closed_order_is_not_cancelled() -> None:
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00")
    order = opens(alice)

    assert refused(cancelling(alice, order.code)) == "Only a pending order can be cancelled; close an open one"
    tick(closing(alice, order.code))
    assert refused(cancelling(alice, order.code)) == "The order is closed already"


def test_somebody_elses_order_is_as_unknown_as_one_that_never_was() -> None:
    alice, mallory = a_customer(with_usd="1_000.00"), a_customer(with_usd="1_000.00")
    btc_at("42_000.00")
    order = places(alice, "buy limit", "41000")

    told = tick(
        cancelling(mallory, order.code),
        cancelling(mallory, "ord_0000000000000000"),
        changing(mallory, order.code, price="40000"),
        changing(mallory, "ord_0000000000000000", price="40000"),
    )

    assert [(one.status, one.text) for one in told] == [(404, NOT_FOUND)] * 4
    assert now(order).price == Decimal(41000)


def test_closing_one_that_waits_or_was_cancelled_says_what_the_closing_page_says() -> None:
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00")
    order = places(alice, "buy limit", "41000")

    assert refused(closing(alice, order.code)) == "Order not found or already closed"
    says(cancelling(alice, order.code))
    assert refused(closing(alice, order.code)) == "Order not found or already closed"


# --- coming again ----------------------------------------------------------------------------------


def test_placing_that_comes_again_places_one_order() -> None:
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00")
    place = placing(alice, "buy limit", "41000")

    first, again = tick(place, place)
    btc_at("41_000.00")
    fires(Order.objects.get(customer=alice))
    (once_more,) = tick(place)

    assert first.text == again.text == once_more.text
    assert Order.objects.filter(customer=alice).count() == 1
    assert happened(alice) == ["placed", "opened"]


def test_a_client_order_id_is_taken_by_an_order_that_waits() -> None:
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00")
    order = places(alice, "buy limit", "41000", clientOrderId="mine")

    (told,) = tick(opening(alice, clientOrderId="mine"))

    assert (told.status, told.body["orderId"]) == (409, order.code)
