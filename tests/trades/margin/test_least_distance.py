"""No order opens to be closed by its own spread, and what is set keeps the distance that the instrument asks for."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from accounts.models import Customer
from quotes import symbols
from quotes.models import Instrument
from tests.given import a_customer, balance, btc_at, price_at, usd
from tests.trades.engine_steps import (
    became,
    changing,
    fires,
    happened,
    judges,
    now,
    opening,
    opens,
    places,
    placing,
    refused,
    says,
)
from trades.models import Order

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("books_balance")]


def asks(symbol: str = "BTC-USD", **terms: Any) -> None:
    Instrument.objects.filter(pk=symbol).update(**terms)
    symbols.forget()


# --- by the spread alone -----------------------------------------------------------------------------


def test_gold_at_155_with_a_spread_of_one_percent_is_refused_before_it_opens() -> None:
    """Guard: `opening._refuse_stopped_out_at_once`. Without it the order opens, is stopped out by the next look, and
    costs 147,896.70."""
    asks("XAU-USD", leverage_cap=155)
    alice = a_customer(with_usd="150_000.00")
    price_at("XAU-USD", "4_136.90", "4_178.48")

    told = refused(opening(alice, symbol="XAU-USD", quantity="3556.92", leverage=155))

    assert told == (
        "The margin level would be 2.19% at 4136.90, where this order would be closed; positions are stopped out at 50%"
    )
    assert (balance(alice), Order.objects.filter(customer=alice).count()) == (usd("150_000.00"), 0)


def test_losses_that_are_rounded_one_by_one_do_not_stop_out_what_opens() -> None:
    """Guard: `positions` in `_refuse_stopped_out_at_once`. The look rounds each position's loss: 20 of 0.609 cents are
    20 cents and not 13, so with 404.35 the last one opened, and was stopped out by the next look."""
    asks(min_quantity=Decimal("0.00001"), leverage_cap=100)
    btc_at("39_997.00", "40_200.00")
    alice, bob = a_customer(with_usd="404.35"), a_customer(with_usd="404.54")
    for customer in (alice, bob):
        for _ in range(20):
            opens(customer, quantity="0.00003", leverage=100)

    assert "positions are stopped out at 50%" in refused(opening(alice, quantity="1", leverage=100))
    order = opens(bob, quantity="1", leverage=100)
    judges(bob)
    assert became(order) == ("OPEN", "")


def test_what_opens_is_not_stopped_out_by_the_next_look_at_the_same_price() -> None:
    """To the cent: 420.00 of margin; what is left beside it decides how much the spread may take."""
    btc_at("41_580.00", "42_000.00")  # 420.00 for each bitcoin
    alice, bob = a_customer(with_usd="630.00"), a_customer(with_usd="630.01")

    assert refused(opening(alice, quantity="1", leverage=100)).startswith("The margin level would be 50.00% at 41580")
    order = opens(bob, quantity="1", leverage=100)
    judges(bob)

    assert became(order) == ("OPEN", "")


def test_losses_of_other_positions_count_and_their_profits_do_not() -> None:
    """Guard: the account's losses in `_refuse_stopped_out_at_once`."""
    btc_at("40_000.00")
    price_at("ETH-USD", "2_000.00")
    alice, bob = a_customer(with_usd="700.00"), a_customer(with_usd="1_300.00")
    opens(alice, quantity="0.1", leverage=10)  # 400.00
    opens(bob, quantity="0.1", leverage=10, type="sell")
    btc_at("46_000.00")
    price_at("ETH-USD", "1_970.00", "2_000.00")
    wanted = {"symbol": "eth", "leverage": 100, "quantity": "14"}  # 280.00, of which the spread takes 420.00

    assert refused(opening(alice, **wanted)).startswith("The margin level would be 41.18% at 1970.00")
    assert refused(opening(bob, **wanted)).startswith("The margin level would be 41.18% at 1970.00")


def test_a_waiting_order_that_the_spread_would_stop_out_is_cancelled() -> None:
    """Guard: `open_pending` catches StoppedOutAtOnce."""
    alice = a_customer(with_usd="630.00")
    btc_at("42_990.00", "43_000.00")
    order = places(alice, "buy limit", "42000", quantity="1", leverage=100)

    btc_at("41_580.00", "42_000.00")
    fires(order)

    assert became(order) == ("CANCELLED", "spread")
    assert (balance(alice), happened(alice)) == (usd("630.00"), ["placed", "cancelled"])


@pytest.mark.parametrize(("side", "stop_loss"), [("buy", "42000"), ("buy", "42005"), ("sell", "42010")])
def test_a_stop_loss_within_the_spread_is_refused(side: str, stop_loss: str) -> None:
    """Guard: `check_distances` looks at the side at which the order would be closed."""
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00", "42_010.00")
    where, closed_at = ("below", "42000.00") if side == "buy" else ("above", "42010.00")

    assert refused(opening(alice, type=side, quantity="0.01", stopLoss=stop_loss)) == (
        f"Stop loss must be {where} {closed_at}, where this {side} order would be closed as soon as it is open"
    )


def test_of_a_waiting_order_the_spread_of_now_counts() -> None:
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00", "42_010.00")
    wanted = {"quantity": "0.01", "leverage": 10}

    told = refused(placing(alice, "buy stop", "43000", stopLoss="42990", **wanted))
    assert told == "Stop loss must be below 42990.00, where this buy order would be closed as soon as it is open"
    order = places(alice, "buy stop", "43000", stopLoss="42989.99", **wanted)

    btc_at("42_989.00", "43_000.00")  # a wider spread than there was
    fires(order)
    assert became(order) == ("CANCELLED", "spread")


def test_a_limit_order_that_a_gap_takes_beyond_its_stop_loss_opens_as_before() -> None:
    """It got a better price than it asked for (decision 0041); it isn't the spread that closes it."""
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00", "42_010.00")
    order = places(alice, "buy limit", "41000", stopLoss="40000", quantity="0.01")

    btc_at("39_000.00", "39_010.00")
    fires(order)

    assert became(order) == ("OPEN", "")


# --- the least distance of an instrument -------------------------------------------------------------


def far_away() -> Customer:
    """A hundredth, of 42,000.00 / 42,010.00."""
    asks(least_distance_bps=100)
    btc_at("42_000.00", "42_010.00")
    return a_customer(with_usd="1_000.00")


@pytest.mark.parametrize(
    ("side", "stop", "near", "far", "said"),
    [
        ("buy", "stopLoss", "41580.01", "41580", "Stop loss must be at least 420.00 away from 42000.00"),
        ("buy", "takeProfit", "42419.99", "42420", "Take profit must be at least 420.00 away from 42000.00"),
        ("buy", "trailingStop", "419.99", "420", "Trailing stop must be at least 420.00 at 42000.00"),
        ("sell", "stopLoss", "42430.09", "42430.1", "Stop loss must be at least 420.10 away from 42010.00"),
        ("sell", "takeProfit", "41589.91", "41589.90", "Take profit must be at least 420.10 away from 42010.00"),
        ("sell", "trailingStop", "420.09", "420.1", "Trailing stop must be at least 420.10 at 42010.00"),
    ],
)
def test_stops_keep_the_distance_when_an_order_opens_and_when_they_are_set_anew(
    side: str, stop: str, near: str, far: str, said: str
) -> None:
    """Guards: `check_distances` in `opening` and in `changing`. Of the price at which the order would be closed."""
    alice = far_away()

    assert refused(opening(alice, type=side, quantity="0.01", **{stop: near})) == f"{said} for BTC-USD"
    order = opens(alice, type=side, quantity="0.01")
    assert refused(changing(alice, order.code, **{stop: near})) == f"{said} for BTC-USD"
    says(changing(alice, order.code, **{stop: far}))
    opens(alice, type=side, quantity="0.01", **{stop: far})


@pytest.mark.parametrize(
    ("kind", "near", "far"),
    [
        ("buy limit", "41589.91", "41589.9"),
        ("sell limit", "42419.99", "42420"),
        ("buy stop", "42430.09", "42430.1"),
        ("sell stop", "41580.01", "41580"),
    ],
)
def test_a_waiting_orders_price_keeps_the_distance_too(kind: str, near: str, far: str) -> None:
    """Guard: `check_price_distance` in `opening` and in `changing`."""
    alice = far_away()
    away, current = ("420.10", "42010.00") if kind.startswith("buy") else ("420.00", "42000.00")
    said = f"The price of a {kind} order must be at least {away} away from the current price {current} for BTC-USD"

    assert refused(placing(alice, kind, near, quantity="0.01")) == said
    order = places(alice, kind, far, quantity="0.01")
    assert refused(changing(alice, order.code, price=near)) == said


def test_a_waiting_orders_stops_keep_it_from_where_it_would_be_closed() -> None:
    alice = far_away()
    wanted = {"quantity": "0.01", "takeProfit": "44000"}

    told = refused(placing(alice, "buy stop", "43000", stopLoss="42560.11", **wanted))
    assert told == "Stop loss must be at least 429.90 away from 42990.00 for BTC-USD"
    order = places(alice, "buy stop", "43000", stopLoss="42560.1", **wanted)

    told = refused(changing(alice, order.code, price="43600"))  # it takes its stops along
    assert told == "Take profit must be at least 435.90 away from 43590.00 for BTC-USD"


def test_what_is_there_already_goes_on_until_it_is_set_anew() -> None:
    """Guard: only what is set anew is judged by the distance."""
    btc_at("42_000.00", "42_010.00")
    alice = a_customer(with_usd="1_000.00")
    order = opens(alice, quantity="0.01", stopLoss="41999", takeProfit="42011")
    waits = places(alice, "buy limit", "42009", quantity="0.01", stopLoss="41990", takeProfit="42020")
    asks(least_distance_bps=100)

    says(changing(alice, order.code, takeProfit="43000"))
    says(changing(alice, order.code, stopLoss=None))
    says(changing(alice, waits.code, takeProfit="44000"))
    assert "Stop loss must be at least 420.00" in refused(changing(alice, order.code, stopLoss="41999"))
    assert "The price of a buy limit order must be at least" in refused(changing(alice, waits.code, price="42008"))

    btc_at("41_999.00", "42_009.00")
    fires(waits)
    assert (now(waits).open_price, now(waits).stop_loss) == (Decimal(42009), Decimal(41990))


def test_a_distance_is_a_part_of_the_price() -> None:
    """Guard: instrument_least_distance_is_a_part."""
    for wrong in (-1, 10_000):
        with pytest.raises(IntegrityError, match="least_distance_is_a_part"), transaction.atomic():
            asks(least_distance_bps=wrong)
