"""What a margin order may do while its market is closed, about to open, for closing only, or halted.

All at moments that are passed in: prices carry their time, and the tick decides by it.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from accounts.models import Customer
from quotes.hours import MarketHours, Switch, is_after_gap
from quotes.prices import Prices
from tests.given import a_customer
from tests.hours import FRIDAY, FX, NEARLY, SATURDAY, SUNDAY, keeps, market, moment, switched
from tests.trades.engine_steps import (
    became,
    cancelling,
    changing,
    closing,
    closing_all,
    fires,
    judges,
    now,
    opening,
    opens,
    placing,
    says,
    tick,
)
from trades.margin.commands import Command
from trades.margin.errors import code_of
from trades.models import Order

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("books_balance")]

CLOSED = "Market closed for symbol: EUR-USD. Next opening: 2026-11-29T22:00:00.000Z"
HALTED = "Market halted for symbol: EUR-USD"
CLOSE_ONLY = "Market takes closing orders only for symbol: EUR-USD"
EUR = {"symbol": "EUR-USD", "quantity": "10000", "leverage": 100}


@pytest.fixture(autouse=True)
def _euro_keeps_hours(db: None) -> None:
    keeps("EUR-USD", "fx")


@pytest.fixture
def alice() -> Customer:
    return a_customer(with_usd="10_000.00")


@pytest.fixture
def euro(alice: Customer) -> Order:
    """Bought on Friday at 1.0875, with a stop below and a target above."""
    return opens(alice, market(FRIDAY), **EUR, stopLoss="1.08", takeProfit="1.10")


def waits(by: Customer, kind: str = "buy limit", price: str = "1.08", at: Prices | None = None) -> Order:
    said = says(placing(by, kind, price, **EUR), at or market(FRIDAY))
    return Order.objects.get(code=said["orderId"])


def refused_at(one: Command, at: Prices) -> str:
    (told,) = tick(one, at=at)
    assert (told.status, told.body["message"]) == (400, told.body["error"]), told.text
    return str(told.body["error"])


# --- outside the hours ------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [SATURDAY, "2026-11-27 22:00", "2026-11-29 21:59:59.999"])
def test_an_order_outside_the_hours_is_refused_with_the_next_opening(alice: Customer, at: str) -> None:
    """Guard: `refuse_opening`. A price that is fresh makes no difference."""
    assert refused_at(opening(alice, **EUR), market(at)) == CLOSED
    assert not Order.objects.exists()


def test_the_last_moment_before_the_closing_and_the_first_of_the_opening_are_open(alice: Customer) -> None:
    opens(alice, market("2026-11-27 21:59:59.999"), **EUR)
    opens(alice, market(SUNDAY), **EUR)


def test_a_refusal_has_its_code_and_a_key_repeats_it(alice: Customer) -> None:
    one = opening(alice, key="once", **EUR)
    first, again = (tick(one, at=market(at))[0] for at in (SATURDAY, SUNDAY))
    assert first.text == again.text
    assert code_of(400, first.text) == "market_closed"
    assert [code_of(400, f'{{"error":"{text}"}}') for text in (HALTED, CLOSE_ONLY)] == [
        "market_halted",
        "market_close_only",
    ]


def test_a_close_outside_the_hours_is_refused_with_the_next_opening_and_the_order_stays(euro: Order) -> None:
    """Guard: `is_after_gap` asks whether the market lets it be closed."""
    assert refused_at(closing(euro.customer, euro.code), market(SATURDAY)) == CLOSED
    assert became(euro) == ("OPEN", "")
    says(closing(euro.customer, euro.code), market(SUNDAY))


def test_closing_all_closes_what_can_be_and_says_why_the_rest_is_open(alice: Customer, euro: Order) -> None:
    bitcoin = opens(alice, market(SATURDAY), quantity="0.01")
    said = says(closing_all(alice), market(SATURDAY))
    assert [(one["orderId"], one["status"], one.get("error")) for one in said["results"]] == [
        (euro.code, "OPEN", CLOSED),
        (bitcoin.code, "CLOSED", None),
    ]


def test_a_pending_order_is_placed_in_the_last_minutes_and_not_before(alice: Customer) -> None:
    assert refused_at(placing(alice, "buy limit", "1.08", **EUR), market(SATURDAY)) == CLOSED
    pending = waits(alice, at=market(NEARLY))
    assert refused_at(opening(alice, **EUR), market(NEARLY)) == CLOSED
    assert became(pending) == ("PENDING", "")


def test_a_pending_order_can_be_cancelled_at_any_time_and_its_price_not_changed_outside(alice: Customer) -> None:
    pending = waits(alice)
    assert refused_at(changing(alice, pending.code, price="1.07"), market(SATURDAY)) == CLOSED
    says(cancelling(alice, pending.code), market(SATURDAY))


# --- what waits -------------------------------------------------------------------------------------


def test_a_stop_waits_over_the_weekend_and_fires_at_the_first_price_after_it(euro: Order) -> None:
    for at in (SATURDAY, NEARLY, "2026-11-29 21:59:59.999"):
        fires(euro, at=market(at, eur="1.05"))
    assert became(euro) == ("OPEN", "")

    fires(euro, at=market(SUNDAY, eur="1.0512"))

    assert became(euro) == ("CLOSED", "stop_loss")
    assert now(euro).close_price == Decimal("1.0512")


def test_a_price_of_before_the_opening_is_none_after_it(euro: Order) -> None:
    """Guard: `is_after_gap` compares ages. The last price of the minutes before would fire all stops at the bell."""
    fires(euro, at=market("2026-11-29 22:00:02", eur="1.05", said="2026-11-29 21:59:59"))
    assert became(euro) == ("OPEN", "")
    assert refused_at(closing(euro.customer, euro.code), market("2026-11-29 22:00:02", said=NEARLY)) == (
        "Price data not found for symbol: EUR-USD"
    )
    fires(euro, at=market("2026-11-29 22:00:02", eur="1.05", said=SUNDAY))
    assert became(euro) == ("CLOSED", "stop_loss")


def test_a_pending_order_waits_and_opens_at_the_first_price_after_the_gap(alice: Customer) -> None:
    pending = waits(alice)
    fires(pending, at=market(SATURDAY, eur="1.05"))
    assert became(pending) == ("PENDING", "")

    fires(pending, at=market(SUNDAY, eur="1.0512"))

    assert (now(pending).status, now(pending).open_price) == ("OPEN", Decimal("1.0512"))


def test_a_take_profit_brings_what_the_gap_brings(euro: Order) -> None:
    fires(euro, at=market(SUNDAY, eur="1.12"))
    assert (became(euro), now(euro).close_price) == (("CLOSED", "take_profit"), Decimal("1.12"))


# --- an account with positions in a market that rests -----------------------------------------------


def test_a_stop_out_closes_what_is_open_for_trading_and_what_rests_waits(alice: Customer) -> None:
    """The euro has lost nothing by its last price, the bitcoin nearly all."""
    euro = opens(alice, market(FRIDAY), **EUR | {"quantity": "100000"})
    bitcoin = opens(alice, market(FRIDAY), quantity="1", leverage=10)
    weekend = market(SATURDAY, btc="32200", said=FRIDAY)

    judges(alice, at=weekend)

    assert (became(bitcoin), became(euro)) == (("CLOSED", "stop_out"), ("OPEN", ""))


def test_a_loss_in_a_market_that_rests_counts_and_blocks_nothing_else(alice: Customer, euro: Order) -> None:
    """By its last price: known, so that another market's order opens, and only as far as the loss leaves money."""
    weekend = market(SATURDAY, eur="0.20", said="2026-11-27 21:59:59")  # 8,875.00 lost of 10,000.00
    assert refused_at(opening(alice, quantity="1", leverage=10), weekend) == (
        "Insufficient balance. Required: $4200.00, Available: $1016.25"
    )
    bitcoin = opens(alice, weekend, quantity="0.1", leverage=10)
    says(closing(alice, bitcoin.code), weekend)
    assert became(euro) == ("OPEN", "")


def test_a_close_beyond_all_the_cash_waits_for_the_markets_that_would_pay_for_it(alice: Customer) -> None:
    """Guard: `refuse_if_uncovered`. Else the losing half of a hedge is the house's, over a weekend."""
    opens(alice, market(FRIDAY), **EUR)
    bitcoin = opens(alice, market(FRIDAY), quantity="1", leverage=100)
    fallen = market(SATURDAY, btc="30000", said="2026-11-27 21:59:59")
    assert refused_at(closing(alice, bitcoin.code), fallen) == CLOSED


# --- close only, halted -----------------------------------------------------------------------------


def test_a_market_for_closing_only_closes_and_opens_nothing(alice: Customer, euro: Order) -> None:
    """Guard: `open_pending` asks whether the market opens anything."""
    pending = waits(alice)
    switched("EUR-USD", Switch.CLOSE_ONLY, "2026-11-27 12:00:01")
    later = market("2026-11-27 12:00:02", eur="1.075")

    assert refused_at(opening(alice, **EUR), later) == CLOSE_ONLY
    assert refused_at(placing(alice, "buy limit", "1.07", **EUR), later) == CLOSE_ONLY
    fires(pending, at=later)
    assert became(pending) == ("PENDING", "")
    fires(euro, at=later)
    assert became(euro) == ("CLOSED", "stop_loss")

    switched("EUR-USD", Switch.NONE, "2026-11-27 12:00:03")
    fires(pending, at=market("2026-11-27 12:00:04", eur="1.075"))
    assert became(pending) == ("OPEN", "")


@pytest.mark.parametrize(("to", "said"), [(Switch.CLOSE_ONLY, CLOSE_ONLY), (Switch.HALTED, HALTED)])
def test_where_none_may_be_placed_no_pending_order_s_price_is_changed(alice: Customer, to: Switch, said: str) -> None:
    """Guard: `refuse_opening` in `change`. Its stops may be changed: they are the way out."""
    pending = waits(alice)
    switched("EUR-USD", to, "2026-11-27 12:00:01")
    later = market("2026-11-27 12:00:02")

    assert refused_at(changing(alice, pending.code, price="1.07"), later) == said
    assert refused_at(changing(alice, pending.code, price="1.07", stopLoss="1.05"), later) == said
    assert (now(pending).price, now(pending).stop_loss) == (Decimal("1.08"), None)
    says(changing(alice, pending.code, stopLoss="1.05"), later)

    switched("EUR-USD", Switch.NONE, "2026-11-27 12:00:03")
    says(changing(alice, pending.code, price="1.07"), market("2026-11-27 12:00:04"))


def test_a_pending_order_s_price_is_changed_in_the_last_minutes_before_the_opening(alice: Customer) -> None:
    pending = waits(alice)
    says(changing(alice, pending.code, price="1.07"), market(NEARLY))


def test_a_customer_closes_by_hand_where_it_is_for_closing_only(euro: Order) -> None:
    switched("EUR-USD", Switch.CLOSE_ONLY, "2026-11-27 12:00:01")
    said = says(closing(euro.customer, euro.code), market("2026-11-27 12:00:02"))
    assert said["order"]["status"] == "CLOSED"


def test_a_halted_market_executes_nothing_and_goes_on_at_the_first_price_after_it(alice: Customer, euro: Order) -> None:
    switched("EUR-USD", Switch.HALTED, "2026-11-27 12:00:01")
    halted = market("2026-11-27 12:00:02", eur="1.075")
    assert refused_at(opening(alice, **EUR), halted) == HALTED
    assert refused_at(placing(alice, "buy limit", "1.07", **EUR), halted) == HALTED
    assert refused_at(closing(alice, euro.code), halted) == HALTED
    fires(euro, at=halted)
    judges(alice, at=halted)
    says(changing(alice, euro.code, stopLoss="1.07"), halted)  # it is judged by what the market says
    assert became(euro) == ("OPEN", "")

    switched("EUR-USD", Switch.NONE, "2026-11-27 12:00:05")
    fires(euro, at=market("2026-11-27 12:00:06", eur="1.06", said="2026-11-27 12:00:04"))
    assert became(euro) == ("OPEN", "")
    fires(euro, at=market("2026-11-27 12:00:06", eur="1.0655"))
    assert (became(euro), now(euro).close_price) == (("CLOSED", "stop_loss"), Decimal("1.0655"))


def test_crypto_is_halted_all_the_same(alice: Customer) -> None:
    switched("BTC-USD", Switch.HALTED)
    assert refused_at(opening(alice), market(SATURDAY)) == "Market halted for symbol: BTC-USD"


def test_a_command_that_was_done_before_the_halt_is_answered_again(alice: Customer, euro: Order) -> None:
    """A redelivery changes nothing and says what happened, whatever the market is now."""
    one = closing(alice, euro.code)
    first = says(one, market(FRIDAY))
    switched("EUR-USD", Switch.HALTED, "2026-11-27 12:00:01")
    assert says(one, market(SATURDAY)) == first


def test_the_firm_s_clock_and_that_of_prices_are_never_compared() -> None:
    """Guard: ages. In a sandbox the firm's time is days ahead of the clock by which prices are dated."""
    prices = market(FRIDAY)
    sunday = MarketHours(FX).state_at(moment(SUNDAY))
    second = timedelta(seconds=1)
    price = prices.by_symbol["EUR-USD"]
    assert is_after_gap(price.at, sunday, moment(SUNDAY) + second, prices.now + second)
    assert not is_after_gap(price.at, sunday, moment(SUNDAY) + second, prices.now + 2 * second)
