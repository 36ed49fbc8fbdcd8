"""A margin account's figures: the published worked example, and that the API shows these very functions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from accounts import json_codec, ledger
from accounts.ids import uuid7
from accounts.ledger import AVAILABLE, MARGIN, Movement
from accounts.models import Customer
from accounts.money import NEAREST, to_base_units
from quotes import prices
from tests.given import a_customer, btc_at, price_at, token_of, usd
from tests.without_guards import without_guards
from trades.margin import levels, pricing
from trades.models import MarginAccount, Order
from trades.reads.figures import figures
from trades.reads.orders import live_orders_of, live_page
from trades.states import OrderStatus

MINUTES_AGO = timedelta(minutes=30)

# --- pure ------------------------------------------------------------------------------------------

UNITS, RATE = Decimal(1_000_000), Decimal("3.33333") / 100  # EUR/GBP 0.8566 / 0.8568, bought at the offer
BALANCE = 50_000_00  # in cents, like all money below


def required(price: str) -> int:
    """Margin by a rate; this system's own is by a leverage, and rounded up."""
    return to_base_units(RATE * UNITS * Decimal(price), 2, NEAREST)


def test_the_published_example_valued_at_the_mid_price() -> None:
    used, unrealized = required("0.8567"), pricing.profit("buy", Decimal("0.8568"), Decimal("0.8567"), UNITS, 2)
    nav = levels.equity(BALANCE, unrealized)

    assert (used, unrealized, nav) == (28_556_64, -100_00, 49_900_00)
    assert levels.free_margin(nav, used) == 21_343_36
    assert levels.closeout_percent(nav, used, stop_out_percent=50) == Decimal("28.61")


def test_the_published_example_valued_at_the_price_it_would_close_at() -> None:
    used, unrealized = required("0.8568"), pricing.profit("buy", Decimal("0.8568"), Decimal("0.8566"), UNITS, 2)
    equity = levels.equity(BALANCE, unrealized)

    assert (used, unrealized, equity) == (28_559_97, -200_00, 49_800_00)
    assert levels.free_margin(equity, used) == 21_240_03
    assert levels.margin_level(equity, used) == Decimal("174.37")


def test_without_positions_there_is_no_level_and_nothing_to_close_out() -> None:
    assert levels.margin_level(100_00, 0) is None
    assert levels.closeout_percent(100_00, 0, 50) == 0
    assert levels.closeout_percent(-1, 0, 50) == 0


def test_free_cash_is_never_below_zero() -> None:
    assert levels.free_cash(300_00, 420_00) == 0
    assert levels.free_cash(500_00, 420_00) == 80_00


@given(st.integers(-(10**12), 10**12), st.integers(1, 10**12), st.integers(1, 200))
def test_the_close_out_is_at_100_exactly_where_the_engine_stops_out(equity: int, used: int, percent: int) -> None:
    shown = levels.closeout_percent(equity, used, percent)
    assert (shown == 100) == levels.reaches(equity, used, percent)
    assert 0 <= shown <= 100


# --- of an account ---------------------------------------------------------------------------------

WAITING = {
    "type": "limit",
    "status": OrderStatus.PENDING,
    "price": Decimal(40_000),
    "open_price": None,
    "opened_at": None,
}


def a_position(by: Customer, side: str, quantity: str, at_price: str, reserved: str, **fields: Any) -> Order:
    """An open order with its margin set aside, as the engine leaves it."""
    order = Order.objects.create(
        customer=by,
        instrument_id=fields.pop("symbol", "BTC-USD"),
        side=side,
        quantity=Decimal(quantity),
        leverage=10,
        margin=usd(reserved),
        created_at=timezone.now(),
        **{"status": OrderStatus.OPEN, "open_price": Decimal(at_price), "opened_at": timezone.now()} | fields,
    )
    own = [ledger.customers(by.pk, "USD", type_) for type_ in (AVAILABLE, MARGIN)]
    if order.margin:
        key = f"order:{order.code}:open:margin"
        ledger.post([Movement(own[0], own[1], order.margin, "order_margin", key, by.pk, order.pk, timezone.now())])
    return order


def asked(by: Customer, path: str) -> Any:
    answer = Client(headers={"Authorization": f"Bearer {token_of(by)}"}).get(f"/api/v1/{path}")
    assert answer.status_code == 200, answer.content
    return json_codec.loads(answer.content)


@pytest.mark.django_db
def test_the_account_shows_these_figures() -> None:
    alice = a_customer(with_usd="1_000.00")
    a_position(alice, "buy", "0.1", "42000", "420.00")
    a_position(alice, "sell", "0.05", "41000", "205.00")
    a_position(alice, "sell", "1", "40000", "0.00", **WAITING)
    btc_at("41_500.00", "41_510.00")

    # -50.00 at the bid and -25.50 at the ask
    found = figures(alice.pk, prices.latest())
    assert (found.balance, found.margin, found.unrealized) == (usd("1_000.00"), usd("625.00"), -usd("75.50"))
    equity = levels.equity(found.balance, found.unrealized)
    assert asked(alice, "account") == {
        "currency": "USD",
        "balance": Decimal("1000.00"),
        "equity": Decimal("924.50"),
        "margin": Decimal("625.00"),
        "hedgedMargin": Decimal("0.00"),
        "freeMargin": Decimal("299.50"),
        "marginLevel": levels.margin_level(equity, found.margin),
        "unrealizedProfit": Decimal("-75.50"),
        "marginCall": False,
        "closeoutPercent": levels.closeout_percent(equity, found.margin, settings.STOP_OUT_PERCENT),
        "withdrawable": Decimal("299.50"),
    }
    assert asked(alice, "balance") == {"status": "success", "message": Decimal("375.00")}
    profits = [order["profit"] for order in asked(alice, "trade/orders")["message"]]
    assert sum(profits) == Decimal("-75.50")


@pytest.mark.django_db
def test_positions_are_valued_at_the_latest_price_however_old() -> None:
    """As the stop-out does: a market that rests must not hide a loss."""
    alice = a_customer(with_usd="1_000.00")
    a_position(alice, "buy", "0.1", "42000", "420.00")
    price_at("BTC-USD", "41_000.00", at=datetime.now(UTC) - MINUTES_AGO)

    assert asked(alice, "account")["unrealizedProfit"] == Decimal("-100.00")
    (shown,) = asked(alice, "trade/orders")["message"]
    assert (shown["currentPrice"], shown["profit"]) == (Decimal("41000.00"), Decimal("-100.00"))


@pytest.mark.django_db
def test_a_position_without_any_price_counts_as_unmoved() -> None:
    alice = a_customer(with_usd="1_000.00")
    a_position(alice, "buy", "0.1", "42000", "420.00")

    account = asked(alice, "account")
    assert (account["equity"], account["marginLevel"]) == (Decimal("1000.00"), Decimal("238.10"))
    (shown,) = asked(alice, "trade/orders")["message"]
    assert (shown["currentPrice"], shown["profit"]) == (None, None)


@pytest.mark.django_db
def test_what_losses_have_drawn_from_the_reserve_is_not_free() -> None:
    """Open orders need 420.00 each; a loss has left 300.00 for both (docs/ledger.md)."""
    alice = a_customer(with_usd="300.00")
    a_position(alice, "buy", "0.1", "42000", "0.00")
    without_guards("trades_order", "UPDATE trades_order SET margin = 42000 WHERE customer_id = %s", alice.pk)

    assert asked(alice, "balance")["message"] == 0
    account = asked(alice, "account")
    assert (account["balance"], account["margin"], account["freeMargin"]) == (300, 420, -120)


@pytest.mark.django_db
def test_an_account_that_is_called_says_so() -> None:
    alice, bob = a_customer(), a_customer("bob")
    MarginAccount.objects.create(customer=alice, called_at=timezone.now(), updated_at=timezone.now())
    MarginAccount.objects.create(customer=bob, called_at=None, updated_at=timezone.now())

    assert asked(alice, "account")["marginCall"] is True
    assert asked(bob, "account")["marginCall"] is False


@pytest.mark.django_db
def test_an_account_without_anything_is_all_zeros() -> None:
    account = asked(a_customer(), "account")
    assert (account["balance"], account["equity"], account["margin"], account["marginLevel"]) == (0, 0, 0, None)


@pytest.mark.django_db
def test_figures_and_lists_are_one_query_however_many_orders(django_assert_num_queries: Any) -> None:
    alice, bob = a_customer(with_usd="10_000.00"), a_customer("bob", with_usd="10_000.00")
    btc_at("42_000.00")
    live = prices.latest()
    for count in (1, 30):
        for _ in range(count):
            a_position(alice, "buy", "0.01", "42000", "42.00")
            a_position(bob, "buy", "0.01", "42000", "42.00")
        figures(alice.pk, live)  # the instruments are known by now, and for a second
        with django_assert_num_queries(1):
            figures(alice.pk, live)
        with django_assert_num_queries(1):
            live_page(Order.objects.filter(customer=alice, status=OrderStatus.OPEN), live, 0, "")
        with django_assert_num_queries(1):
            live_orders_of([alice.pk, bob.pk], live, 100)


@pytest.mark.django_db
def test_open_orders_come_page_by_page_where_a_limit_asks_for_it() -> None:
    alice = a_customer(with_usd="10_000.00")
    made = [a_position(alice, "buy", "0.01", "42000", "42.00") for _ in range(5)]
    a_position(a_customer("bob", with_usd="100.00"), "buy", "0.01", "42000", "42.00")
    codes = [order.code for order in reversed(made)]

    assert list(asked(alice, "trade/orders")) == ["message"]
    seen, cursor = [], ""
    for _ in range(3):
        page = asked(alice, f"trade/orders?limit=2&cursor={cursor}")
        seen += [order["orderId"] for order in page["message"]]
        cursor = page["nextCursor"]
    assert (seen, cursor) == (codes, None)
    assert asked(alice, "trade/orders?limit=5")["nextCursor"] is None
    rest = asked(alice, f"trade/orders?cursor={made[2].pk.hex}")
    assert ([order["orderId"] for order in rest["message"]], rest["nextCursor"]) == (codes[3:], None)


@pytest.mark.django_db
@pytest.mark.parametrize("limit", [0, 10])
def test_a_list_that_is_read_again_is_read_anew(limit: int) -> None:
    """Guard: `.all()` in `live_page`. `decided` reads twice where a tick was in doubt."""
    alice = a_customer(with_usd="10_000.00")
    orders = Order.objects.filter(customer=alice, status=OrderStatus.OPEN)
    assert live_page(orders, None, limit, "") == ([], None)

    order = a_position(alice, "buy", "0.01", "42000", "42.00")

    assert [one["orderId"] for one in live_page(orders, None, limit, "")[0]] == [order.code]


@pytest.mark.django_db
def test_orders_are_found_by_their_own_name_and_by_symbol() -> None:
    alice, bob = a_customer(with_usd="10_000.00"), a_customer("bob", with_usd="10_000.00")
    named = {
        name: a_position(alice, "buy", "0.01", "42000", "42.00", client_order_id=name, symbol=symbol)
        for name, symbol in (("mine-1", "BTC-USD"), ("mine-2", "ETH-USD"))
    }
    a_position(bob, "buy", "0.01", "42000", "42.00", client_order_id="mine-3")

    def found(query: str) -> list[str]:
        return [order["orderId"] for order in asked(alice, f"trade/orders?{query}")["message"]]

    assert found("clientOrderId=mine-1") == [named["mine-1"].code]
    assert found("symbol=eth") == [named["mine-2"].code]
    assert (
        found("clientOrderId=mine-1&symbol=eth") == found("clientOrderId=mine-3") == found("clientOrderId=MINE-1") == []
    )
    blank = Client(headers={"Authorization": f"Bearer {token_of(alice)}"}).get("/api/v1/trade/orders?clientOrderId=")
    assert (blank.status_code, blank.content) == (400, b'{"error":"clientOrderId is blank."}')  # it would be all
    assert asked(alice, "trade/close?clientOrderId=mine-1")["message"] == []


@pytest.mark.django_db
def test_one_order_is_shown_in_every_state_and_only_to_its_owner() -> None:
    alice, bob = a_customer(with_usd="1_000.00"), a_customer("bob")
    at = timezone.now()
    parent = a_position(alice, "buy", "0.1", "42000", "420.00")
    pending = a_position(alice, "buy", "0.1", "40000", "0.00", **WAITING)
    cancelled = Order.objects.create(
        customer=alice,
        instrument_id="BTC-USD",
        side="sell",
        type="stop",
        price=Decimal(39_000),
        quantity=Decimal("0.1"),
        leverage=10,
        margin=0,
        status=OrderStatus.CANCELLED,
        created_at=at,
        closed_at=at,
        close_reason="manual",
    )
    ended = {"status": OrderStatus.CLOSED, "close_price": Decimal(42_100), "profit": 500, "closed_at": at}
    part = a_position(alice, "buy", "0.05", "42000", "0.00", parent_id=parent.pk, close_reason="manual", **ended)

    shown = {order.code: asked(alice, f"trade/orders/{order.code}") for order in (parent, pending, cancelled, part)}
    assert [one["status"] for one in shown.values()] == ["OPEN", "PENDING", "CANCELLED", "CLOSED"]
    assert (shown[pending.code]["price"], shown[pending.code]["openPrice"]) == (Decimal("40000.00"), None)
    assert shown[cancelled.code]["closeReason"] == "manual"
    assert shown[part.code]["parentOrderId"] == parent.code
    (past,) = asked(alice, "trade/close")["message"]
    assert (past["orderId"], past["parentOrderId"]) == (part.code, parent.code)
    assert [one["orderId"] for one in asked(alice, "trade/orders?status=pending")["message"]] == [pending.code]

    stranger = Client(headers={"Authorization": f"Bearer {token_of(bob)}"})
    names = [parent.code, "ord_" + uuid7().hex[:16], "ord_1", "x" * 64, "..%2f"]
    answers = {stranger.get(f"/api/v1/trade/orders/{name}").content for name in names}
    assert answers == {b'{"error":"Order not found"}'}
