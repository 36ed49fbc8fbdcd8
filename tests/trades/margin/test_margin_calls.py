"""Margin call and stop-out: margin level = equity / margin x 100, called at 100 %, positions closed at 50 %."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from accounts.ledger import AVAILABLE, MARGIN, PROTECTION
from accounts.models import Customer
from quotes import prices
from tests.given import a_customer, balance, btc_at, deposit, price_at, usd
from tests.trades.engine_steps import (
    applied,
    became,
    cash,
    closes,
    drawn,
    firing,
    happened,
    house,
    judges,
    judging,
    moved,
    now,
    opens,
    places,
)
from trades.models import MarginAccount, OrderEvent

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("books_balance")]


def a_bitcoin(by: Customer, quantity: str = "1", **wanted: Any) -> Any:
    """At 42,000.00 with leverage 100: 420.00 of margin for a whole one, and a dollar's move is a dollar's profit."""
    return opens(by, **({"quantity": quantity, "leverage": 100} | wanted))


def called(customer: Customer) -> bool:
    return MarginAccount.objects.filter(customer=customer, called_at__isnull=False).exists()


def test_the_margin_call_comes_at_exactly_a_hundred_percent_and_once() -> None:
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00")
    a_bitcoin(alice)

    btc_at("41_420.01")  # equity 420.01
    judges(alice)
    assert not called(alice)

    btc_at("41_420.00")  # equity 420.00 of 420.00
    judges(alice)
    btc_at("41_300.00")
    judges(alice)
    judges(alice)

    assert called(alice)
    assert happened(alice) == ["opened", "margin_call"]
    call = OrderEvent.objects.get(customer=alice, kind="margin_call")
    assert (call.order_id, call.command_id) == (None, None)
    assert call.detail == {"equity": 420, "margin": 420, "marginLevel": 100}


def test_above_the_mark_again_the_call_is_over_and_may_come_again() -> None:
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00")
    a_bitcoin(alice)

    for price in ("41_400.00", "41_441.01", "41_500.00", "41_420.00"):
        btc_at(price)
        judges(alice)

    assert happened(alice) == ["opened", "margin_call", "margin_call_over", "margin_call"]
    assert called(alice)


def test_a_call_is_over_above_its_release_and_not_before() -> None:
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00")
    a_bitcoin(alice)

    for price in ("41_420.00", "41_441.00"):  # 441.00 of 420.00: 105 %
        btc_at(price)
        judges(alice)
    assert called(alice)
    assert happened(alice) == ["opened", "margin_call"]

    btc_at("41_441.01")
    judges(alice)

    assert not called(alice)
    over = OrderEvent.objects.get(customer=alice, kind="margin_call_over")
    assert over.detail == {"equity": 441.01, "margin": 420, "marginLevel": 105}


def test_a_price_that_goes_up_and_down_about_the_mark_calls_once() -> None:
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00")
    a_bitcoin(alice)

    for _ in range(25):
        for price in ("41_420.00", "41_420.01", "41_440.00"):
            btc_at(price)
            judges(alice)

    assert happened(alice) == ["opened", "margin_call"]


@pytest.mark.parametrize(("release", "price"), [(100, "41_420.01"), (120, "41_504.01"), (50, "41_420.01")])
def test_the_release_is_the_operators_and_never_below_the_call(settings: Any, release: int, price: str) -> None:
    settings.MARGIN_CALL_RELEASE_PERCENT = release
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00")
    a_bitcoin(alice)
    btc_at("41_420.00")
    judges(alice)

    btc_at(f"{Decimal(price.replace('_', '')) - Decimal('0.01')}")
    judges(alice)
    assert called(alice)
    btc_at(price)
    judges(alice)

    assert not called(alice)


def test_a_deposit_ends_the_call() -> None:
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00")
    a_bitcoin(alice)
    btc_at("41_400.00")
    judges(alice)

    deposit(alice, "USD", "100.00")
    judges(alice)

    assert happened(alice)[-1] == "margin_call_over"
    assert MarginAccount.objects.get(customer=alice).called_at is None


def test_closing_what_was_called_about_ends_the_call() -> None:
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00")
    order = a_bitcoin(alice)
    btc_at("41_400.00")
    judges(alice)

    closes(alice, order)
    judges(alice)

    assert happened(alice) == ["opened", "margin_call", "closed", "margin_call_over"]
    assert OrderEvent.objects.filter(customer=alice).latest("id").detail == {
        "equity": 400,
        "margin": 0,
        "marginLevel": None,
    }


def test_positions_are_closed_at_exactly_fifty_percent() -> None:
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00")
    order = a_bitcoin(alice)

    btc_at("41_210.01")  # equity 210.01 of 420.00
    judges(alice)
    assert became(order) == ("OPEN", "")

    btc_at("41_210.00")  # equity 210.00
    judges(alice)

    assert became(order) == ("CLOSED", "stop_out")
    assert (balance(alice), balance(alice, MARGIN)) == (usd("210.00"), 0)
    assert happened(alice) == ["opened", "margin_call", "stop_out", "closed", "margin_call_over"]
    stop_out = OrderEvent.objects.get(customer=alice, kind="stop_out")
    assert (stop_out.order_id, stop_out.detail) == (None, {"equity": 210, "margin": 420, "marginLevel": 50})


def test_oandas_worked_account_is_closed_out_where_half_its_margin_is_left() -> None:
    """50,000.00; a million units at 0.8568 with 1 / 30 margin: closed out at a net asset value of 14,280.00.

    OANDA's margin closeout percent, half the margin used / net asset value, is 100 % there.
    """
    alice = a_customer(with_usd="50_000.00")
    price_at("EUR-USD", "0.8568")
    order = opens(alice, symbol="EUR-USD", quantity="1000000", leverage=30)
    assert order.margin == usd("28_560.00")

    price_at("EUR-USD", "0.82109")  # -35,710.00
    judges(alice)
    assert became(order) == ("OPEN", "")
    price_at("EUR-USD", "0.82108")  # -35,720.00
    judges(alice)

    assert became(order) == ("CLOSED", "stop_out")
    assert balance(alice) == usd("14_280.00")


def test_pending_orders_go_first_then_the_largest_loss_and_no_more_than_needed() -> None:
    """A has lost 250.00, B 500.00: 250.00 of equity for 630.00 of margin, and for 210.00 once B is closed."""
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00")
    waiting = places(alice, "buy limit", "40000")
    a, b = a_bitcoin(alice, "0.5"), a_bitcoin(alice, "1")

    btc_at("41_500.00")
    judges(alice)

    assert (became(waiting), became(b), became(a)) == (("CANCELLED", "stop_out"), ("CLOSED", "stop_out"), ("OPEN", ""))
    events = OrderEvent.objects.filter(customer=alice).order_by("id").values_list("kind", "order_id")
    assert list(events)[3:] == [
        ("margin_call", None),
        ("stop_out", None),
        ("cancelled", waiting.pk),
        ("closed", b.pk),
        ("margin_call_over", None),  # 119 %
    ]
    assert cash(alice) == usd("500.00")
    assert balance(alice, MARGIN) == usd("210.00")


@pytest.mark.parametrize(
    ("price", "left", "last"),
    [
        ("41_600.00", ["A", "B"], "margin_call"),  # 240.00 of 798.00; without C of 378.00: 63 %
        ("41_550.00", ["A"], "margin_call"),  # 145.00; without C 38 %, without B of 168.00: 86 %
        ("41_500.00", [], "margin_call_over"),  # 50.00; of 168.00: 30 %
    ],
)
def test_the_level_is_judged_again_after_each(price: str, left: list[str], last: str) -> None:
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00")
    named = {"A": a_bitcoin(alice, "0.4"), "B": a_bitcoin(alice, "0.5"), "C": a_bitcoin(alice, "1")}

    btc_at(price)
    judges(alice)

    assert [name for name, order in named.items() if now(order).status == "OPEN"] == left
    assert [kind for kind in happened(alice) if kind.startswith("margin_call")][-1] == last


def test_losses_go_before_winners_and_equal_losses_oldest_first() -> None:
    """+195.00 and three times -325.00: 320.00 of 756.00; without the first of 546.00: 59 %."""
    alice = a_customer(with_usd="1_100.00")
    btc_at("42_000.00")
    winning = a_bitcoin(alice, "0.3", type="sell")
    first, second, third = (a_bitcoin(alice, "0.5") for _ in range(3))

    btc_at("41_350.00")
    judges(alice)

    assert [became(order)[0] for order in (first, second, third, winning)] == ["CLOSED", "OPEN", "OPEN", "OPEN"]
    assert cash(alice) == usd("775.00")


def test_winners_go_too_where_the_cash_does_not_cover_the_losses() -> None:
    """+210.00 and three times -350.00: 160.00 of 756.00, and still only 48 % with one loser and the winner left.

    Without the losers the winner alone would be at 127 %, but 1,000.00 don't pay 1,050.00: its profit has to.
    """
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00")
    winning = a_bitcoin(alice, "0.3", type="sell")
    losing = [a_bitcoin(alice, "0.5") for _ in range(3)]

    btc_at("41_300.00")
    judges(alice)

    assert [became(order)[0] for order in (*losing, winning)] == ["CLOSED"] * 4
    closed = OrderEvent.objects.filter(customer=alice, kind="closed").order_by("id").values_list("order_id", flat=True)
    assert list(closed) == [*(order.pk for order in losing), winning.pk]
    assert (cash(alice), house(PROTECTION)) == (usd("160.00"), 0)


def test_a_gap_beyond_everything_leaves_exactly_nothing_and_the_house_bears_the_rest() -> None:
    alice = a_customer(with_usd="500.00")
    btc_at("42_000.00")
    a_bitcoin(alice, "0.5")
    a_bitcoin(alice, "0.6")

    btc_at("40_000.00")  # 2,200.00 lost
    judges(alice)

    assert (balance(alice, AVAILABLE), balance(alice, MARGIN)) == (0, 0)
    assert moved(alice, "order_loss", "order_protection") == [
        ("order_loss", usd("1_200.00")),
        ("order_loss", usd("1_000.00")),
        ("order_protection", usd("1_700.00")),
    ]
    assert house(PROTECTION) == -usd("1_700.00")
    assert drawn(alice) == 0


def test_a_position_whose_price_is_too_old_counts_but_can_not_be_closed() -> None:
    """Bitcoin rests at 41,000.00: its 1,000.00 are lost in the account's equity, and ether alone can be closed."""
    alice = a_customer(with_usd="1_500.00")
    btc_at("42_000.00")
    price_at("ETH-USD", "2_000.00")
    waiting = places(alice, "buy limit", "40000")
    bitcoin, ether = a_bitcoin(alice), opens(alice, symbol="eth", quantity="10", leverage=100)
    price_at("BTC-USD", "41_000.00", at=timezone.now() - timedelta(minutes=5))
    price_at("ETH-USD", "1_970.00")

    judges(alice)  # 200.00 of 620.00; of 420.00 without ether: 48 %

    assert (became(waiting), became(ether), became(bitcoin)) == (
        ("CANCELLED", "stop_out"),
        ("CLOSED", "stop_out"),
        ("OPEN", ""),
    )
    before = happened(alice)
    judges(alice)
    assert happened(alice) == before  # nothing more can be done, and nothing more is said

    btc_at("41_000.00")
    judges(alice)
    assert became(bitcoin) == ("CLOSED", "stop_out")
    assert balance(alice) == usd("200.00")


def test_a_symbol_without_any_price_counts_as_unmoved() -> None:
    alice = a_customer(with_usd="500.00")
    btc_at("42_000.00")
    order = a_bitcoin(alice)
    btc_at("41_000.00")
    prices.forget()

    judges(alice)

    assert (became(order), happened(alice)) == (("OPEN", ""), ["opened"])


def test_nobody_is_called_for_what_only_waits() -> None:
    alice = a_customer()
    btc_at("42_000.00")
    waiting = places(alice, "buy limit", "40000")

    judges(alice)

    assert (became(waiting), happened(alice)) == (("PENDING", ""), ["placed"])


def test_each_customer_is_judged_by_their_own_account() -> None:
    alice, bob = a_customer(with_usd="1_000.00"), a_customer(with_usd="2_000.00")
    btc_at("42_000.00")
    alices, bobs = a_bitcoin(alice), a_bitcoin(bob)

    btc_at("41_200.00")
    judges(alice, bob)

    assert (became(alices), became(bobs)) == (("CLOSED", "stop_out"), ("OPEN", ""))
    assert happened(bob) == ["opened"]


def test_a_frozen_customer_is_called_and_closed_like_any_other() -> None:
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00")
    order = a_bitcoin(alice)
    alice.state = "frozen"
    alice.save()

    btc_at("41_200.00")
    judges(alice)

    assert became(order) == ("CLOSED", "stop_out")


def test_a_stop_loss_that_fires_in_the_same_tick_goes_first() -> None:
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00")
    a, b = a_bitcoin(alice, "1", stopLoss="41500"), a_bitcoin(alice, "0.5")

    btc_at("41_450.00")  # 175.00 of 630.00; of 210.00 without A
    applied(firing(a), judging(alice))

    assert (became(a), became(b)) == (("CLOSED", "stop_loss"), ("OPEN", ""))


def test_the_marks_are_the_operators(settings: Any) -> None:
    settings.MARGIN_CALL_PERCENT, settings.STOP_OUT_PERCENT = 120, 20
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00")
    order = a_bitcoin(alice)

    btc_at("41_504.00")  # 504.00 of 420.00
    judges(alice)
    btc_at("41_084.01")
    judges(alice)
    assert (became(order), happened(alice)) == (("OPEN", ""), ["opened", "margin_call"])
    btc_at("41_084.00")  # 84.00
    judges(alice)

    assert became(order) == ("CLOSED", "stop_out")
