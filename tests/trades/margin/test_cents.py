"""How cents add up: whatever is closed in parts, held in small orders or carried through nights sums to the whole.

The most that splitting may bring is told in docs/ledger.md, "Cents"; the last tests here try to beat it.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_HALF_EVEN, Decimal

import pytest
from django.db import IntegrityError, transaction
from hypothesis import HealthCheck, Phase, example, given
from hypothesis import settings as sizes
from hypothesis import strategies as some

from accounts.models import Customer
from quotes import prices, symbols
from quotes.models import Instrument
from tests.given import a_customer, btc_at, usd, what_the_audit_finds
from tests.sizes import size
from tests.trades.engine.rollovers import RolloverEngine, at, rates, swaps
from tests.trades.engine_steps import (
    cash,
    closes,
    closing,
    fires,
    house,
    judges,
    now,
    opens,
    refused,
    says,
    tick,
)
from trades.models import MarginAccount, Order
from trades.reads.figures import figures

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("books_balance")]


@pytest.fixture(autouse=True)
def _instruments_as_they_were() -> Iterator[None]:
    yield
    symbols.forget()


def brought(order: Order) -> list[int]:
    """What the parts of an order and its rest were booked, in order."""
    parts = Order.objects.filter(parent_id=order.pk).order_by("closed_at", "id")
    return [int(one.profit) for one in (*parts, now(order)) if one.profit is not None]


# --- profit ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["buy", "sell"])
@pytest.mark.parametrize(
    ("moves", "whole"),
    [
        ("-5.00", -100),  # 0.005 a part, which alone is rounded to nothing
        ("5.10", 102),  # 0.0051 a part, which alone is rounded to a cent
        ("-5.10", -102),
        ("5.00", 100),
    ],
)
def test_two_hundred_parts_bring_what_the_whole_brings(side: str, moves: str, whole: int) -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = opens(alice, type=side, quantity="0.2")

    price = Decimal(42000) + Decimal(moves) * (1 if side == "buy" else -1)
    btc_at(f"{price}")
    told = tick(*(closing(alice, order.code, quantity="0.001") for _ in range(199)), closing(alice, order.code))

    assert {one.status for one in told} == {200}
    assert sum(brought(order)) == sum(one.body["order"]["profit"] * 100 for one in told) == whole
    assert cash(alice) == usd("10_000.00") + whole


def test_parts_at_other_prices_add_up_to_the_exact_sum_rounded_once() -> None:
    """-0.004, -0.004, +0.0025, -0.0013 and -0.012: -0.0188 together."""
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = opens(alice, quantity="0.05")

    for price, quantity in (
        ("41_999.60", "0.01"),
        ("41_999.20", "0.005"),
        ("42_000.50", "0.005"),
        ("41_999.87", "0.01"),
    ):
        btc_at(price)
        closes(alice, order, quantity)
    btc_at("41_999.40")
    closes(alice, order)

    assert brought(order) == [0, -1, 0, 0, -1]  # -0.004, -0.008, -0.0055, -0.0068, -0.0188
    assert cash(alice) == usd("9_999.98")


def test_what_stops_close_knows_the_parts_before_it() -> None:
    """0.005 and 0.005: alone each is nothing."""
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = opens(alice, quantity="0.002", stopLoss="41_996".replace("_", ""))
    btc_at("41_997.50")
    closes(alice, order, "0.001")  # -0.0025

    btc_at("41_995.00")
    fires(order)  # -0.005

    assert (now(order).close_reason, brought(order)) == ("stop_loss", [0, -1])


def test_a_stop_out_knows_the_parts_before_it() -> None:
    alice = a_customer(with_usd="420.00")
    btc_at("42_000.00")
    order = opens(alice, quantity="0.1")
    btc_at("41_997.50")
    closes(alice, order, "0.001")  # -0.0025
    btc_at("39_799.97")

    judges(alice)  # -217.80297, -217.80547 together

    assert brought(order) == [0, -21781]
    assert now(order).close_reason == "stop_out"


def test_the_floating_profit_is_what_closing_would_bring_after_parts_too() -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = opens(alice, quantity="0.002")
    btc_at("42_004.00")
    closes(alice, order, "0.001")  # 0.004: nothing
    shown = figures(alice.pk, prices.latest()).unrealized

    last = closes(alice, order)  # 0.008 together

    assert shown == last.profit == 1


# --- swap ------------------------------------------------------------------------------------------


def paid(customer: Customer) -> int:
    """The swap of all of a customer's orders."""
    return sum(int(order.swap) for order in Order.objects.filter(customer=customer))


@pytest.mark.parametrize(
    ("nights", "owed"),
    [
        (1, -8),  # 3 x 98.00 x 0.0275 % = 0.08085
        (2, -16),  # 0.1617
        (5, -40),  # 0.40425
        (7, -57),  # 0.56595
    ],
)
def test_thirty_longs_of_a_tenth_pay_what_one_of_three_pays(nights: int, owed: int) -> None:
    many, one = a_customer(with_usd="1_000.00"), a_customer(with_usd="1_000.00")
    rates("SOL-USD", "-2.75", "0")
    market = at("2026-11-02 15:00")
    small = [opens(many, market, symbol="SOL-USD", quantity="0.1", leverage=10) for _ in range(30)]
    large = opens(one, market, symbol="SOL-USD", quantity="3", leverage=10)
    rollover = RolloverEngine("2026-11-02 16:00")

    for day in range(2, 2 + nights):
        rollover.runs(at(f"2026-11-{day:02} 22:00"))
    for order in (*small, large):
        says(closing(many if order in small else one, order.code), at("2026-11-20 12:00"))

    assert paid(one) == cash(one) - usd("1_000.00") == owed
    assert paid(many) == cash(many) - usd("1_000.00") == owed
    assert house("swap") == -2 * owed


def test_what_a_night_brings_below_a_cent_waits_on_the_order_for_the_next() -> None:
    """0.1 x 98.00 x 0.0275 % = 0.002695 a night: the second makes 0.00539, the sixth 0.01617."""
    alice = a_customer(with_usd="1_000.00")
    rates("SOL-USD", "-2.75", "0")
    rollover = RolloverEngine("2026-11-02 12:00")
    order = opens(alice, at("2026-11-02 15:00"), symbol="SOL-USD", quantity="0.1", leverage=10)

    for day in range(2, 9):
        rollover.runs(at(f"2026-11-{day:02} 22:00"))

    assert swaps(order) == [("2026-11-03", -1), ("2026-11-07", -1)]
    assert now(order).swap_accrued == Decimal("-1.8865")


def test_what_is_below_a_cent_goes_to_the_account_at_the_close_and_comes_with_a_later_one() -> None:
    alice = a_customer(with_usd="1_000.00")
    rates("SOL-USD", "-4", "0")  # 0.00392
    rollover = RolloverEngine("2026-11-02 12:00")
    first, second = (
        opens(alice, at("2026-11-02 15:00"), symbol="SOL-USD", quantity="0.1", leverage=10) for _ in range(2)
    )
    rollover.runs(at("2026-11-02 22:00"))
    assert swaps(first) == swaps(second) == []

    closed = says(closing(alice, first.code), at("2026-11-03 12:00"))
    assert closed["order"]["swap"] == 0
    assert MarginAccount.objects.get(customer=alice).swap_carried == Decimal("-0.392")

    closed = says(closing(alice, second.code), at("2026-11-03 12:00"))
    assert closed["order"]["swap"] == Decimal("-0.01")
    assert MarginAccount.objects.get(customer=alice).swap_carried == Decimal("0.216")
    assert cash(alice) == usd("999.99")


def test_parts_share_the_swap_that_was_booked_and_the_rest_keeps_what_is_below_a_cent() -> None:
    alice = a_customer(with_usd="1_000.00")
    rates("SOL-USD", "-3", "0")
    rollover = RolloverEngine("2026-11-02 12:00")
    order = opens(alice, at("2026-11-02 15:00"), symbol="SOL-USD", quantity="3", leverage=10)
    rollover.runs(at("2026-11-02 22:00"))  # 0.0882

    for _ in range(2):
        says(closing(alice, order.code, quantity="1"), at("2026-11-03 12:00"))
    rollover.runs(at("2026-11-03 22:00"))  # 0.0294 for the third: 0.1176
    says(closing(alice, order.code), at("2026-11-04 12:00"))

    assert [int(one.swap) for one in Order.objects.filter(parent_id=order.pk)] == [-3, -3]
    assert now(order).swap == -6
    assert MarginAccount.objects.get(customer=alice).swap_carried == Decimal("0.24")


def test_the_account_carries_half_a_cent_at_most_whoever_writes_it() -> None:
    alice = a_customer(with_usd="1_000.00")
    with pytest.raises(IntegrityError), transaction.atomic():
        MarginAccount.objects.create(customer=alice, swap_carried=Decimal("0.51"), updated_at="2026-11-02T00:00:00Z")


# --- margin and fee --------------------------------------------------------------------------------


def test_margin_and_fee_of_parts_add_up_to_the_wholes() -> None:
    """Nothing charges a fee yet; a part takes its share of one all the same."""
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_350.75")
    order = opens(alice, quantity="0.07", leverage=30)
    Order.objects.filter(pk=order.pk).update(fee=5)

    for _ in range(6):
        closes(alice, order, "0.01")
    closes(alice, order)

    all_ = [*Order.objects.filter(parent_id=order.pk).order_by("id"), now(order)]
    assert sum(int(one.margin) for one in all_) == order.margin
    assert [int(one.fee) for one in all_] == [1, 1, 1, 0, 1, 0, 1]  # no more than half a cent beside its share


# --- the least quantity ----------------------------------------------------------------------------


def _least(quantity: str) -> None:
    Instrument.objects.filter(symbol="BTC-USD").update(min_quantity=Decimal(quantity))
    symbols.forget()


@pytest.mark.parametrize(
    ("quantity", "sentence"),
    [
        ("0.0999", "Quantity must be at least 0.1 for BTC-USD, or all of 0.3"),
        ("0.2001", "Quantity must leave at least 0.1 open for BTC-USD, or be all of 0.3"),
        ("0.29999999", "Quantity must leave at least 0.1 open for BTC-USD, or be all of 0.3"),
    ],
)
def test_a_part_and_what_it_leaves_are_at_least_the_least_quantity(quantity: str, sentence: str) -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = opens(alice, quantity="0.3")
    _least("0.1")

    assert refused(closing(alice, order.code, quantity=quantity)) == sentence

    assert (now(order).quantity, Order.objects.filter(customer=alice).count()) == (Decimal("0.3"), 1)


def test_the_least_part_may_leave_the_least_quantity_and_all_that_is_left_is_always_closed() -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order, small, named = opens(alice, quantity="0.2"), opens(alice, quantity="0.05"), opens(alice, quantity="0.05")
    _least("0.1")

    assert closes(alice, order, "0.1").parent_id == order.pk
    for what, quantity in ((order, "0.1"), (small, ""), (named, "0.05")):
        assert closes(alice, what, quantity).pk == what.pk


# --- the most that splitting brings ----------------------------------------------------------------

HALF = Decimal("0.5")
pieces = some.lists(some.integers(1, 400), min_size=1, max_size=6)  # of a thousandth of a bitcoin
moves = some.lists(some.integers(-1200, 1200), min_size=6, max_size=6)  # cents, away from where it opened
tries = sizes(
    max_examples=size(10, 500),
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def nearest(amount: Decimal) -> int:
    return int(amount.quantize(Decimal(1), ROUND_HALF_EVEN))


@tries
@example("buy", [1] * 6, [500] * 6)
@example("sell", [1] * 6, [510] * 6)
@given(side=some.sampled_from(["buy", "sell"]), cut=pieces, away=moves)
def test_no_choice_of_parts_and_prices_beats_the_whole(side: str, cut: list[int], away: list[int]) -> None:
    """The model: cents of the exact sum so far, rounded half-even; what was booked so far is just that."""
    with transaction.atomic():
        alice = a_customer(with_usd="100_000.00")
        btc_at("42_000.00")
        order = opens(alice, type=side, quantity=f"{Decimal(sum(cut)) / 1000}", leverage=100)
        exact = Decimal(0)
        for thousandths, cents in zip(cut, away, strict=False):
            btc_at(f"{Decimal(42000) + Decimal(cents) / 100}")
            closes(alice, order, f"{Decimal(thousandths) / 1000}")
            exact += Decimal(cents if side == "buy" else -cents) * thousandths / 1000
            assert cash(alice) - usd("100_000.00") == nearest(exact)
        assert now(order).status == "CLOSED"
        assert what_the_audit_finds() == []
        transaction.set_rollback(True)


@tries
@given(
    many=some.lists(some.tuples(some.integers(1, 300), some.integers(0, 3), some.booleans()), min_size=2, max_size=8),
    rate=some.integers(-40000, 40000),
    away=some.integers(-1200, 1200),
)
def test_many_orders_gain_half_a_cent_of_profit_each_at_most_and_of_swap_half_a_cent_together(
    many: list[tuple[int, int, bool]], rate: int, away: int
) -> None:
    """Some fiftieths of a Solana each, closed after so many nights; of some, half was closed a night before.

    The model: every cent that each has earned in its nights and by its price, exactly.
    """
    price = f"{98 + Decimal(away) / 10000}"
    held = [Decimal(fiftieths) / 50 for fiftieths, _, _ in many]
    profit = sum(quantity * away / 100 for quantity in held)
    swap = Decimal(0)
    with transaction.atomic():
        alice = a_customer(with_usd="100_000.00")
        rates("SOL-USD", f"{Decimal(rate) / 1000}", "0")
        market = at("2026-11-02 15:00", sol="98")
        orders = [opens(alice, market, symbol="SOL-USD", quantity=f"{quantity}") for quantity in held]
        rollover = RolloverEngine("2026-11-02 16:00")
        for day in range(4):
            market = at(f"2026-11-{2 + day:02} 21:00", sol=price)
            for n, (_, nights, is_halved) in enumerate(many):
                if is_halved and nights == day + 1:
                    held[n] /= 2
                    says(closing(alice, orders[n].code, quantity=f"{held[n]}"), market)
                elif nights == day:
                    held[n] = Decimal(0)
                    says(closing(alice, orders[n].code), market)
            rollover.runs(at(f"2026-11-{2 + day:02} 22:00", sol="98"))
            swap += sum(held) * 98 * rate / 10**5
        swapped = paid(alice)
        gained = cash(alice) - usd("100_000.00") - swapped
        assert not Order.objects.exclude(status="CLOSED").exists()
        assert what_the_audit_finds() == []
        transaction.set_rollback(True)
    symbols.forget()
    assert abs(swapped - swap) <= HALF
    assert abs(gained - profit) <= HALF * len(orders)
