"""The book against a plain model with exact numbers: it misses nothing, and it can be rebuilt."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from hypothesis import given, settings

from accounts.ids import uuid7
from tests.sizes import size
from tests.trades.orders.book_model import LAST_DIGIT, Story, histories
from trades.book.book import Book

pytestmark = pytest.mark.django_db

ONE = Decimal(1)


NO_LIMITS = {"stop_loss": None, "take_profit": None, "trailing_stop": None}


def a_story(*, cash: int = 10**12) -> Story:
    """Three customers with money, and no prices yet."""
    story = Story()
    for customer in story.customers:
        story.model.cash[customer] = cash
        story.book.set_cash({customer: cash})
    return story


def opens(story: Story, side: str = "buy", **limits: Decimal | None) -> str:
    """An order of the first customer on BTC-USD, opened at 100; its code."""
    opened: dict[str, Any] = {"who": 0, "symbol": "BTC-USD", "side": side, "quantity": ONE, "at": Decimal(100)}
    story.play([("open", opened | NO_LIMITS | limits)])
    return list(story.model.orders.values())[-1].code


def at(story: Story, bid: str, ask: str = "", symbol: str = "BTC-USD") -> list[str]:
    """What fires when the price moves there."""
    story.play([("move", {"prices": [(symbol, Decimal(bid), Decimal(ask or bid) - Decimal(bid))]})])
    return story.fired


# --- any history -----------------------------------------------------------------------------------


@pytest.mark.timeout(3600)  # a failure is made smaller for minutes
@settings(deadline=None, max_examples=size(100, 3000))
@given(histories)
def test_whatever_happens_nothing_is_missed_and_a_rebuilt_book_is_the_same(steps) -> None:
    """Seen to fail, at 300 examples, when a gap is not filled or the moved order's slot not noted, a reduced order's
    level is not kept, a stop that is set begins no new row of extremes, levels are restored without them, margin
    levels have no slack of a base unit a position, and changed orders or accounts are not looked at again.
    """
    with transaction.atomic():
        story = Story()
        story.play([*steps, ("judge", {}), ("reload", {})])
        transaction.set_rollback(True)


# --- orders ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("side", "limits", "not_yet", "fires"),
    [
        ("buy", {"stop_loss": Decimal(90)}, ("90.000000000000000001", "200"), ("90", "200")),
        ("sell", {"stop_loss": Decimal(110)}, ("1", "109.99"), ("1", "110")),
        ("buy", {"take_profit": Decimal(110)}, ("109.99", "200"), ("110", "200")),
        ("sell", {"take_profit": Decimal(90)}, ("1", "90.01"), ("1", "90")),
    ],
)
def test_limits_are_judged_by_the_exit_price(side, limits, not_yet, fires) -> None:
    story = a_story()
    code = opens(story, side, **limits)

    assert at(story, *not_yet) in ([], [code])  # a float doesn't see the 18th decimal
    assert at(story, *fires) == [code]


@pytest.mark.parametrize(
    ("type_", "side", "not_yet", "fires"),
    [
        ("limit", "buy", ("99", "100.01"), ("99", "100")),
        ("limit", "sell", ("99.99", "101"), ("100", "101")),
        ("stop", "buy", ("99", "99.99"), ("99", "100")),
        ("stop", "sell", ("100.01", "101"), ("100", "101")),
    ],
)
def test_pending_orders_are_judged_by_the_entry_price(type_, side, not_yet, fires) -> None:
    story = a_story()
    story.place(0, "BTC-USD", side, ONE, type_, Decimal(100), trailing_stop=None)
    (order,) = story.model.orders.values()

    assert at(story, *not_yet) == []
    assert at(story, *fires) == [order.code]


def test_a_trailing_stop_follows_the_best_exit_price_and_never_turns_back() -> None:
    story = a_story()
    at(story, "100")
    code = opens(story, trailing_stop=Decimal(5))

    assert at(story, "120", "130") == []
    assert at(story, "110", "130") == [code]
    assert at(story, "115.01") == []
    assert at(story, "115") == [code]


def test_a_trailing_stop_of_a_sell_follows_the_lowest_ask() -> None:
    story = a_story()
    at(story, "100")
    code = opens(story, "sell", trailing_stop=Decimal(5))

    assert at(story, "70", "80") == []
    assert at(story, "70", "84.99") == []
    assert at(story, "70", "85") == [code]


def test_a_reduced_order_keeps_its_trailing_stop_where_it_is_and_a_new_one_starts_anew() -> None:
    story = a_story()
    at(story, "100")
    code = opens(story, trailing_stop=Decimal(5))
    at(story, "120")
    at(story, "116")

    story.reduce(0)
    assert at(story, "115") == [code]

    story.play([("change", {"which": 0, "stop_loss": None, "take_profit": None, "trailing_stop": Decimal(5)})])
    assert at(story, "114") == []
    assert at(story, "110") == [code]


def test_a_tiny_distance_far_from_one_is_not_lost_in_rounding() -> None:
    story = a_story()
    at(story, "99999999.999999999999999999")
    code = opens(story, trailing_stop=LAST_DIGIT)

    assert at(story, "99999999.999999999999999998") == [code]


def test_the_difference_of_two_roundings_hides_no_trailing_stop() -> None:
    """As floats, 0.3 - 0.1 is below 0.2. Seen to fail without the margin on levels."""
    story = a_story()
    at(story, "0.3")
    code = opens(story, trailing_stop=Decimal("0.1"))

    assert at(story, "0.2") == [code]


@pytest.mark.parametrize(("side", "best", "back"), [("buy", "120", "116"), ("sell", "80", "84")])
def test_a_rebuilt_book_knows_how_far_a_trailing_stop_had_come(side, best, back) -> None:
    """Seen to fail with levels restored from the orders' own peaks alone."""
    story = a_story()
    at(story, "100")
    code = opens(story, side, trailing_stop=Decimal(5))
    at(story, best)
    at(story, back)

    story.reload()

    assert story.fired == []
    assert at(story, "115" if side == "buy" else "85") == [code]


def test_the_same_price_fires_the_same_until_the_order_is_let_go() -> None:
    story = a_story()
    first, second = opens(story, stop_loss=Decimal(90)), opens(story, stop_loss=Decimal(95))

    assert at(story, "80") == [first, second]
    assert at(story, "80") == [first, second]
    story.end(0)
    assert at(story, "80") == [second]


def test_what_was_taken_up_is_judged_by_the_price_before_it_once() -> None:
    story = a_story()
    at(story, "80")
    code = opens(story, stop_loss=Decimal(90))

    story.judge()
    assert story.fired == [code]
    story.judge()
    assert story.fired == []


def test_an_order_that_is_unknown_is_let_go_all_the_same() -> None:
    story = a_story()
    opens(story)
    (order,) = story.model.orders.values()

    story.book.let_go([replace(order, id=uuid7()), replace(order, id=uuid7(), instrument_id="XAU-USD")])

    assert len(story.book) == 1
    assert story.book.knows(order.customer_id)
    story.book.let_go([order])
    assert len(story.book) == 0
    assert not story.book.knows(order.customer_id)


def test_of_a_thousand_orders_those_fire_that_are_left() -> None:
    """Seen to fail with the moved order's slot not noted."""
    story = a_story()
    codes = [opens(story, stop_loss=Decimal(50)) for _ in range(1000)]
    orders = list(story.model.orders.values())

    for order in orders[::3]:
        story.model.drop(order)
    story.book.let_go(orders[::3])

    assert at(story, "50") == [code for n, code in enumerate(codes) if n % 3]


# --- accounts --------------------------------------------------------------------------------------


def test_a_symbol_without_a_price_moves_no_account() -> None:
    story = a_story()
    opens(story)
    story.judge()
    assert story.accounts == []

    at(story, "1")
    opens(story)

    assert story.book.state()[1][story.customers[0]][4] == -2 * 9900


def test_an_account_is_called_stopped_out_and_told_when_it_is_over() -> None:
    story = a_story(cash=1000)
    alice = story.customers[0]
    opens(story)  # reserves 10.00 of the 10.00
    story.judge()
    assert story.accounts == [alice]
    story.called(0, True)

    at(story, "99")
    assert story.accounts == []
    at(story, "95")
    assert story.accounts == [alice]
    at(story, "100.50")
    assert story.accounts == [alice]


def test_a_called_account_without_positions_is_judged_that_the_call_may_end() -> None:
    story = a_story(cash=1000)
    opens(story)
    story.called(0, True)
    story.judge()

    story.end(0)
    story.judge()

    assert story.accounts == [story.customers[0]]


def test_only_accounts_with_positions_in_what_moved_are_judged() -> None:
    story = a_story(cash=0)
    opens(story)
    story.judge()

    at(story, "100", symbol="ETH-USD")
    assert story.accounts == []
    at(story, "100")
    assert story.accounts == [story.customers[0]]


def test_a_huge_position_that_was_closed_leaves_nothing_behind() -> None:
    """Seen to fail with the account's sums only added to and taken from."""
    story = a_story()
    at(story, "100")
    none = {"stop_loss": None, "take_profit": None, "trailing_stop": None}
    story.open(0, "BTC-USD", "buy", Decimal("98765432109876.123456789"), Decimal("99.123"), **none)
    story.open(0, "BTC-USD", "sell", Decimal("1234567890.987654321"), Decimal("99.321"), **none)
    at(story, "101.7")
    story.end(1)
    story.end(0)

    story.open(0, "BTC-USD", "buy", Decimal("0.001"), Decimal("101.7"), **none)

    assert story.book.state()[1][story.customers[0]][4] == pytest.approx(0, abs=1e-9)


def test_a_symbol_where_all_was_closed_moves_the_account_no_more() -> None:
    """Seen to fail with a symbol's sums only added to and taken from."""
    story = a_story()
    at(story, "100")
    opens(story)
    none = {"stop_loss": None, "take_profit": None, "trailing_stop": None}
    for quantity in ("98765432109876.123456789", "1234567.333333333", "0.777777777"):
        story.open(0, "ETH-USD", "buy", Decimal(quantity), Decimal("99.123"), **none)
    at(story, "100", symbol="ETH-USD")
    for _ in range(3):
        story.end(1)
    floating = story.book.state()[1][story.customers[0]][4]

    at(story, "107.7", symbol="ETH-USD")

    assert story.book.state()[1][story.customers[0]][4] == floating


def test_a_loss_that_rounds_to_a_whole_cent_hides_no_margin_call() -> None:
    """0.6 cents are lost, which count as one. Seen to fail without the slack of a base unit a position."""
    story = a_story(cash=4)
    none = {"stop_loss": None, "take_profit": None, "trailing_stop": None}
    story.open(0, "BTC-USD", "buy", Decimal("0.003"), Decimal(100), **none)  # reserves 3 cents

    at(story, "98")

    assert story.accounts == [story.customers[0]]


@pytest.mark.parametrize("mark", [50, 100])
def test_sums_past_the_digits_of_a_float_hide_no_account_that_is_at_its_mark(mark) -> None:
    """Seen to fail without the slack for what the sums were ever made of."""
    none = {"stop_loss": None, "take_profit": None, "trailing_stop": None}
    for n in range(40):
        story = a_story()
        story.open(
            0, "BTC-USD", "buy", Decimal(10**13 + 7 * n) + Decimal("0.123456789"), Decimal("99.987654321"), **none
        )
        story.open(0, "BTC-USD", "sell", Decimal(10**12 + 3 * n) + Decimal("0.987654321"), Decimal("99.1"), **none)
        at(story, "97.123456789")
        story.called(0, mark == 50)
        story.cash(0, mark, 0)

        story.judge()

        assert story.accounts == [story.customers[0]]


def test_many_prices_leave_no_rounding_behind() -> None:
    """Seen to fail with floating profits never summed up anew."""
    story = a_story()
    at(story, "100")
    opens(story)
    (order,) = story.model.orders.values()
    story.book.take_up([replace(order, id=uuid7(), side="sell", quantity=Decimal("33333333.333333"))])
    price = story.model.prices["BTC-USD"]

    for n in range(size(3_000, 100_000)):
        story.book.fired([replace(price, bid=Decimal(n % 977) / 7 + 1, ask=Decimal(n % 977) / 7 + 2)])
    story.book.fired([price])

    assert story.book.state()[1][story.customers[0]][4] == pytest.approx(0, abs=1e-3)


def test_accounts_take_turns_and_those_without_orders_are_passed_over() -> None:
    story = a_story()
    first, _, third = story.customers
    opened: dict[str, Any] = {"symbol": "BTC-USD", "side": "buy", "quantity": ONE, "at": Decimal(100)}
    story.play([("open", opened | NO_LIMITS | {"who": who}) for who in (0, 2)])

    assert [story.book.next_few(2) for _ in range(3)] == [[first], [third], [first]]
    assert story.book.next_few(0) == []
    assert Book(2).next_few(5) == []
