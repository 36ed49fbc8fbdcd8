"""Changing an order: its stops while it is open, its price too while it waits; all of a request or nothing of it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from accounts.errors import Malformed
from quotes import prices
from tests.given import a_customer, btc_at
from tests.trades.engine_steps import (
    became,
    cancelling,
    changing,
    closing,
    fires,
    happened,
    moved,
    now,
    opens,
    places,
    refused,
    says,
    tick,
)
from trades.models import IdempotentAnswer, OrderEvent

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("books_balance")]


def test_take_profit_stop_loss_and_trailing_stop_are_set_and_taken_away() -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00", "42_010.00")
    order = opens(alice)

    told = says(changing(alice, order.code, takeProfit="43000", stopLoss="41000", trailingStop="500"))

    assert list(told) == ["message", "order"]
    shown = told["order"]
    assert (shown["orderId"], shown["status"], shown["profit"]) == (order.code, "OPEN", Decimal("-1.00"))
    assert (shown["takeProfit"], shown["stopLoss"], shown["trailingStop"]) == (43000, 41000, 500)

    says(changing(alice, order.code, takeProfit=None, trailingStop=""))

    order = now(order)
    assert (order.take_profit, order.stop_loss, order.trailing_stop) == (None, Decimal(41000), None)
    assert len(moved(alice)) == 1  # the margin, when it opened


def test_the_event_says_what_was_and_what_is() -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = opens(alice, takeProfit="43000")

    change = changing(alice, order.code, takeProfit="44000", stopLoss="41000")
    says(change)

    event = OrderEvent.objects.get(customer=alice, kind="changed")
    assert (event.order_id, event.command_id) == (order.pk, change.id)
    assert event.detail == {"takeProfit": [43000, 44000], "stopLoss": [None, 41000]}


@pytest.mark.parametrize(
    ("side", "to", "sentence"),
    [
        ("buy", {"takeProfit": "41990"}, "Take profit must be above the current price 41990.00 for a buy order"),
        ("buy", {"stopLoss": "41990"}, "Stop loss must be below the current price 41990.00 for a buy order"),
        ("sell", {"takeProfit": "42010"}, "Take profit must be below the current price 42010.00 for a sell order"),
        ("sell", {"stopLoss": "42010"}, "Stop loss must be above the current price 42010.00 for a sell order"),
        ("buy", {"trailingStop": "41990"}, "Trailing stop must be a distance smaller than the current price 41990.00"),
        ("buy", {"price": "40000"}, "Only the price of a pending order can be changed"),
    ],
)
def test_the_wrong_side_of_where_the_order_would_close_is_refused_by_name(
    side: str, to: dict[str, str], sentence: str
) -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("41_990.00", "42_010.00")
    order = opens(alice, type=side)

    assert refused(changing(alice, order.code, **to)) == sentence

    assert happened(alice) == ["opened"]


@pytest.mark.parametrize(
    ("name", "finer", "called"),
    [
        ("takeProfit", "43000.001", "Take profit"),
        ("stopLoss", "41000.0000000001", "Stop loss"),
        ("trailingStop", "0.005", "Trailing stop"),
        ("price", "41500.001", "Price"),
    ],
)
def test_nothing_is_changed_to_a_price_finer_than_the_instruments(name: str, finer: str, called: str) -> None:
    """Guard: `rules.check_ticks`."""
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = places(alice, "buy limit", "41600") if name == "price" else opens(alice)

    assert refused(changing(alice, order.code, **{name: finer})) == (
        f"{called} has more decimals than BTC-USD, which has 2"
    )

    assert happened(alice) == ["placed" if name == "price" else "opened"]


def test_one_wrong_field_and_none_is_changed() -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = opens(alice)

    refused(changing(alice, order.code, takeProfit="43000", stopLoss="42500"))

    assert (now(order).take_profit, now(order).stop_loss) == (None, None)


@pytest.mark.parametrize("body", [{}, {"nothing": "1"}, {"price": None}, {"stopLoss": "0"}, {"takeProfit": True}])
def test_a_change_of_nothing_or_to_nonsense_never_reaches_the_engine(body: dict[str, object]) -> None:
    alice = a_customer()
    with pytest.raises(Malformed):
        changing(alice, "ord_0000000000000000", **body)


def test_a_limit_that_is_not_named_is_not_judged_by_todays_price() -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = opens(alice, stopLoss="41000")

    btc_at("40_900.00")  # the stop loss is about to fire
    says(changing(alice, order.code, takeProfit="45000"))
    fires(order)

    assert became(order) == ("CLOSED", "stop_loss")


def test_an_order_that_has_ended_stays_as_it_ended() -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    closed, cancelled = opens(alice), places(alice, "buy limit", "41000")
    tick(closing(alice, closed.code), cancelling(alice, cancelled.code))

    assert refused(changing(alice, closed.code, stopLoss="41000")) == (
        "The order is closed and can't be changed any more"
    )
    assert refused(changing(alice, cancelled.code, price="40000")) == (
        "The order is cancelled and can't be changed any more"
    )


def test_nothing_is_changed_without_a_price_to_judge_it_by() -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = opens(alice)
    prices.forget()

    assert refused(changing(alice, order.code, stopLoss="41000")) == "Price data not found for symbol: BTC-USD"


# --- of an order that waits ------------------------------------------------------------------------


def test_a_waiting_orders_price_is_moved_and_it_opens_there() -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = places(alice, "buy limit", "41000")

    told = says(changing(alice, order.code, price="40000", stopLoss="39000"))
    assert (told["order"]["price"], told["order"]["status"]) == (40000, "PENDING")
    btc_at("41_000.00")
    fires(order)
    assert became(order) == ("PENDING", "")
    btc_at("40_000.00")
    fires(order)

    assert (now(order).status, now(order).open_price, now(order).stop_loss) == ("OPEN", Decimal(40000), Decimal(39000))


@pytest.mark.parametrize(
    ("to", "sentence"),
    [
        ({"price": "42000"}, "The price of a buy limit order must be below the current price 42000.00"),
        ({"price": "40000"}, "Stop loss must be below the price 40000.00 for a buy order"),
        ({"price": "41900", "takeProfit": "41800"}, "Take profit must be above the price 41900.00 for a buy order"),
    ],
)
def test_a_waiting_orders_new_price_is_judged_with_all_its_limits(to: dict[str, str], sentence: str) -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = places(alice, "buy limit", "41000", stopLoss="40500")

    assert refused(changing(alice, order.code, **to)) == sentence

    assert now(order).price == Decimal(41000)


def test_a_waiting_orders_trailing_stop_has_nothing_to_follow_yet() -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = places(alice, "buy limit", "41000")

    says(changing(alice, order.code, trailingStop="500"))

    assert (now(order).trailing_stop, now(order).trail_peak) == (Decimal(500), None)


# --- coming again ----------------------------------------------------------------------------------


def test_an_older_change_that_comes_again_does_not_undo_a_newer_one() -> None:
    """Guard: `remembered_by` keeps the answer of a change without a key, too. Without it 41,000 comes back."""
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = opens(alice)
    older, newer = changing(alice, order.code, stopLoss="41000"), changing(alice, order.code, stopLoss="41500")
    (first,) = tick(older)
    tick(newer)

    (again,) = tick(older)

    assert (again.status, again.text) == (200, first.text)
    assert now(order).stop_loss == Decimal(41500)
    assert happened(alice) == ["opened", "changed", "changed"]


def test_older_newer_and_older_again_in_one_tick() -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = opens(alice)
    older, newer = changing(alice, order.code, stopLoss="41000"), changing(alice, order.code, stopLoss="41500")

    first, _, again = tick(older, newer, older)

    assert first.text == again.text
    assert now(order).stop_loss == Decimal(41500)


def test_a_change_that_was_refused_stays_refused_when_it_comes_again() -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = opens(alice)
    change = changing(alice, order.code, stopLoss="42500")
    (first,) = tick(change)

    btc_at("43_000.00")  # now it would be right
    (again,) = tick(change)

    assert (first.status, again.status, again.text) == (400, 400, first.text)
    assert now(order).stop_loss is None


def test_under_a_key_it_is_one_change() -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = opens(alice)

    first, again, other = tick(
        changing(alice, order.code, key="k", stopLoss="41000"),
        changing(alice, order.code, key="k", stopLoss="41000.00"),
        changing(alice, order.code, key="k", stopLoss="41500"),
    )

    assert (first.status, again.text, again.replayed, other.status) == (200, first.text, True, 422)
    assert now(order).stop_loss == Decimal(41000)
    assert list(IdempotentAnswer.objects.filter(customer=alice).values_list("key", flat=True)) == ["k"]
