"""What opening an order asks of the account: free margin, leverage, a name of its own, a price that still holds."""

from __future__ import annotations

from decimal import Decimal

import pytest

from accounts.errors import Malformed
from accounts.ledger import MARGIN
from quotes import prices
from tests.given import a_customer, balance, btc_at, deposit, price_at, usd
from tests.trades.engine_steps import changing, closes, closing, opening, opens, placing, refused, says, tick

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("books_balance")]


def test_what_open_positions_have_lost_is_not_free() -> None:
    """Guard: `spendable` takes off what open positions have lost.

    1,000.00, of which 420.00 are reserved; A has lost 200.00 by now: 380.00 are free, and not a cent more.
    """
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00")
    price_at("ETH-USD", "3_800.00")
    opens(alice, quantity="0.1", leverage=10)
    btc_at("40_000.00")

    told = refused(opening(alice, symbol="eth", quantity="1.0001", leverage=10))
    assert told == "Insufficient balance. Required: $380.04, Available: $380.00"
    opens(alice, symbol="eth", quantity="1", leverage=10)

    assert balance(alice) == usd("200.00")  # what A has lost stays, for the day it closes


def test_what_open_positions_have_won_is_not_free_yet() -> None:
    """Guard: `spendable` counts losses only: profit is no money before it is closed."""
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00")
    order = opens(alice, quantity="0.1", leverage=10)
    btc_at("52_000.00")

    wanted = opening(alice, quantity="0.2", leverage=10)
    assert refused(wanted) == "Insufficient balance. Required: $1040.00, Available: $580.00"

    closes(alice, order)  # 1,000.00 of profit
    opens(alice, quantity="0.2", leverage=10)


def test_profits_do_not_make_up_for_losses_of_other_positions() -> None:
    """Guard: `spendable.loss_of` is never below zero. A profit is no money yet, a loss may be one any moment."""
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00")
    opens(alice, quantity="0.1", leverage=100)
    opens(alice, type="sell", quantity="0.1", leverage=100)

    btc_at("40_000.00")
    told = refused(opening(alice, quantity="10", leverage=100))

    assert told == "Insufficient balance. Required: $4000.00, Available: $716.00"  # 200.00 lost, 200.00 won


def test_an_old_price_counts_as_it_is_and_without_any_nothing_can_be_spent() -> None:
    """Guard: `Held.unpriced`. Who could make a price vanish could spend what its position has lost."""
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00")
    price_at("ETH-USD", "2_000.00")
    opens(alice, quantity="0.01", leverage=10)
    opens(alice, symbol="eth", quantity="1", leverage=10)
    price_at("ETH-USD", "1_900.00", at=prices.latest().now.replace(year=2025))
    wanted = {"quantity": "10", "leverage": 100}

    assert refused(opening(alice, **wanted)) == "Insufficient balance. Required: $4200.00, Available: $658.00"
    prices.forget("ETH-USD")
    assert refused(opening(alice, **wanted)) == "Price data not found for symbol: ETH-USD"


def test_what_losses_have_drawn_from_margins_is_not_free_either() -> None:
    """Guard: `spendable` takes `drawn` off. A deposit covers the margin that is missing before anything else."""
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00")
    losing = opens(alice, quantity="0.1", leverage=10)
    opens(alice, quantity="0.1", leverage=10)
    btc_at("35_000.00")
    closes(alice, losing)  # 700.00: 120.00 are drawn from the other's margin
    btc_at("42_000.00")

    deposit(alice, "USD", "200.00")

    assert refused(opening(alice, quantity="0.1", leverage=50)) == (
        "Insufficient balance. Required: $84.00, Available: $80.00"
    )


def test_orders_of_one_tick_share_what_is_free() -> None:
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00")

    told = tick(*(opening(alice, quantity="0.1", leverage=10) for _ in range(3)))

    assert [one.status for one in told] == [200, 200, 400]
    assert told[2].body["error"] == "Insufficient balance. Required: $420.00, Available: $160.00"


def test_closing_and_reopening_in_one_tick_reckons_with_what_is_left() -> None:
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00")
    order = opens(alice, quantity="0.2", leverage=10)
    btc_at("40_000.00")

    closed, opened = tick(closing(alice, order.code), opening(alice, quantity="0.15", leverage=10))

    assert (closed.status, opened.status) == (200, 200)  # 600.00 of 600.00
    assert (balance(alice), balance(alice, MARGIN)) == (0, usd("600.00"))


def test_leverage_up_to_the_instruments_cap() -> None:
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00")
    price_at("SOL-USD", "98")

    assert opens(alice, leverage=100).margin == usd("42.00")
    assert refused(opening(alice, leverage=101)) == "Leverage must be at most 100 for BTC-USD"
    assert refused(opening(alice, symbol="sol", quantity="1", leverage=51)) == (
        "Leverage must be at most 50 for SOL-USD"
    )


@pytest.mark.parametrize(
    ("symbol", "price", "quantity", "leverage", "margin"),
    [
        ("BTC-USD", "42_350.75", "0.1", 10, "423.51"),  # 423.5075
        ("BTC-USD", "42_350.00", "0.1", 10, "423.50"),
        ("EUR-USD", "1.0875", "100000", 30, "3_625.00"),
        ("EUR-USD", "0.8568", "1000000", 30, "28_560.00"),  # OANDA's example at the open price: 1 / 30 = 3.33333 %
        ("BTC-USD", "42_350.75", "0.00001", 100, "0.01"),  # 0.0042…: a position always reserves something
    ],
)
def test_margin_is_rounded_up(symbol: str, price: str, quantity: str, leverage: int, margin: str) -> None:
    alice = a_customer(with_usd="50_000.00")
    price_at(symbol, price)

    order = opens(alice, symbol=symbol, quantity=quantity, leverage=leverage)

    assert order.margin == balance(alice, MARGIN) == usd(margin)


def test_a_name_that_was_given_once_is_refused_with_the_first_orders_id() -> None:
    alice, bob = a_customer(with_usd="1_000.00"), a_customer(with_usd="1_000.00")
    btc_at("42_000.00")

    first, second, bobs = tick(
        opening(alice, clientOrderId="mine", quantity="0.01"),
        opening(alice, clientOrderId="mine", quantity="0.02"),
        opening(bob, clientOrderId="mine", quantity="0.01"),
    )
    (after_its_close, third) = tick(
        closing(alice, first.body["orderId"]), opening(alice, clientOrderId="mine", quantity="0.01")
    )

    assert (first.status, second.status, bobs.status, third.status) == (200, 409, 200, 409)
    assert after_its_close.status == 200
    assert second.body["orderId"] == third.body["orderId"] == first.body["orderId"]


@pytest.mark.parametrize(
    ("side", "expected", "slippage", "opens_at"),
    [
        ("buy", "41580", "1", None),  # 1 % of 41,580.00 is 415.80; the ask is 420.00 higher
        ("buy", "41584.16", "1", "42000"),
        ("buy", "45000", "0", "42000"),  # moved in the client's favour
        ("sell", "42424.25", "1", None),
        ("sell", "42424.24", "1", "42000"),
        ("sell", "40000", "0", "42000"),
    ],
)
def test_slippage_is_tolerated_up_to_its_percentage_of_what_was_expected(
    side: str, expected: str, slippage: str, opens_at: str | None
) -> None:
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00")
    wanted = {"type": side, "quantity": "0.01", "expectedPrice": expected, "slippage": slippage}

    if opens_at is None:
        shown = f"{Decimal(expected):.2f}"
        assert refused(opening(alice, **wanted)) == (
            f"Price moved beyond the slippage of 1%. Expected: {shown}, Current: 42000.00"
        )
    else:
        assert opens(alice, **wanted).open_price == Decimal(opens_at)


PRICES = {
    "takeProfit": ("43000.01", "Take profit"),
    "stopLoss": ("40000.01", "Stop loss"),
    "trailingStop": ("0.01", "Trailing stop"),
    "expectedPrice": ("42000.01", "Expected price"),
}


@pytest.mark.parametrize("name", PRICES)
def test_a_price_finer_than_the_instruments_is_refused_by_name(name: str) -> None:
    """Guard: `rules.check_ticks`. BTC-USD has 2 decimals; the least distance of a trailing stop is one of them."""
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00")
    price, called = PRICES[name]
    wanted = {"quantity": "0.01", "slippage": "5", "expectedPrice": "42000"}
    for finer in (f"{price}1", "0.001" if name == "trailingStop" else f"{price}0000000000000001"):
        assert refused(opening(alice, **(wanted | {name: finer}))) == (
            f"{called} has more decimals than BTC-USD, which has 2"
        )

    opens(alice, **(wanted | {name: f"{price}0000"}))


def test_a_waiting_orders_prices_are_not_finer_either() -> None:
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00")

    assert refused(placing(alice, "buy limit", "41000.001")) == "Price has more decimals than BTC-USD, which has 2"
    assert refused(placing(alice, "buy limit", "41000.01", stopLoss="40000.001")) == (
        "Stop loss has more decimals than BTC-USD, which has 2"
    )


MOST = "99999999999999999999"  # the most that NUMERIC(38,18) holds before the dot


def test_the_largest_numbers_that_can_be_kept_are_answered_for_what_they_are() -> None:
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00")

    opened = opens(alice, quantity="0.01", takeProfit=MOST, expectedPrice=MOST, slippage=MOST)
    assert opened.take_profit == Decimal(MOST)
    placed = says(placing(alice, "sell limit", MOST, quantity="0.01", stopLoss=f"{MOST}.99", trailingStop="0.01"))
    assert says(changing(alice, placed["orderId"], price=f"{MOST}.98"))["order"]["price"] == Decimal(f"{MOST}.98")
    assert refused(opening(alice, quantity=MOST)).startswith("Quantity must be between ")
    assert refused(opening(alice, trailingStop=MOST)).startswith("Trailing stop must be a distance smaller than ")


def test_slippage_is_a_matter_of_market_orders() -> None:
    alice = a_customer(with_usd="1_000.00")
    with pytest.raises(Malformed, match="Slippage applies to market orders only"):
        placing(alice, "buy limit", "41000", slippage="1", expectedPrice="41000")


def test_a_customer_who_may_not_trade_opens_nothing() -> None:
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00")
    alice.state = "frozen"
    alice.save()

    assert refused(opening(alice)) == "This account may not open orders"
    assert refused(placing(alice, "buy limit", "41000")) == "This account may not open orders"
