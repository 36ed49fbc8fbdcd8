"""Orders in instruments that are counted in another currency: margin, profit and what may be spent are in dollars."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from accounts import clock
from accounts.identity import SYSTEM
from accounts.ids import order_code, uuid7
from accounts.ledger import MARGIN
from accounts.models import Customer
from quotes import prices, symbols
from quotes.hours import Switch
from quotes.models import Instrument
from quotes.services import hold_price
from quotes.switching import switch_market
from tests.given import a_customer, balance, market_closed_at, price_at, usd
from tests.trades.engine_steps import (
    became,
    cash,
    closes,
    closing,
    closing_all,
    fires,
    judges,
    moved,
    now,
    opening,
    opens,
    places,
    refused,
    says,
)
from trades.engine.apply import market_at
from trades.models import Deal, Order
from trades.reads.figures import figures
from trades.reads.orders import live_page

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("books_balance")]


def at_once(**stands: str) -> None:
    """Prices, as `USD_JPY="115.00 115.05"`."""
    for name, price in stands.items():
        bid, _, ask = price.partition(" ")
        price_at(name.replace("_", "-"), bid, ask)


@pytest.fixture(autouse=True)
def _instruments_as_they_were() -> Iterator[None]:
    yield
    symbols.forget()


@pytest.fixture
def alice() -> Customer:
    return a_customer(with_usd="10_000.00")


def yen(by: Customer, **wanted: Any) -> Order:
    return opens(by, **({"symbol": "USD-JPY", "quantity": "10000", "leverage": 100} | wanted))


def deal(order: Order, kind: str = "close") -> Deal:
    return Deal.objects.get(order=order, kind=kind)


# --- worked examples -------------------------------------------------------------------------------


def test_the_published_loss_in_yen(alice: Customer) -> None:
    """OANDA, "How to calculate profit and loss": 6,000 JPY / 114.45 = 52.42 USD."""
    at_once(USD_JPY="115.00 115.05")
    order = yen(alice)
    assert (order.margin, balance(alice, MARGIN)) == (100_05, 100_05)  # 11,505 JPY / 115.00, rounded up

    at_once(USD_JPY="114.45 114.50")
    closed = closes(alice, order)

    assert (closed.profit, cash(alice)) == (-52_42, usd("9_947.58"))
    lost = deal(closed)
    assert (lost.rate_multiplier, lost.rate_divisor, lost.rate_path) == (1, Decimal("114.45"), "1/USD-JPY bid")
    assert lost.rate_at == prices.latest().by_symbol["USD-JPY"].at
    opened = deal(order, "open")
    assert (opened.rate_multiplier, opened.rate_divisor, opened.rate_path) == (1, Decimal(115), "1/USD-JPY bid")


def test_a_profit_in_yen_is_sold_at_the_other_side(alice: Customer) -> None:
    """Guard: `Conversion.of`. The same move the other way, 6,000 JPY, brings less: / 115.65."""
    at_once(USD_JPY="115.00 115.05")
    order = yen(alice)
    at_once(USD_JPY="115.65 115.70")

    closed = closes(alice, order)

    assert closed.profit == 51_86  # 6,000 / 115.70 = 51.858...
    assert deal(closed).rate_path == "1/USD-JPY ask"


def test_the_published_position_in_pounds(alice: Customer) -> None:
    """OANDA, "Margin-related calculations": a million euros bought at 0.8568 lose 200 GBP at 0.8566; in dollars at the
    ask of the pound."""
    at_once(EUR_GBP="0.8566 0.8568", GBP_USD="1.26960 1.26980")
    order = opens(alice, symbol="EUR-GBP", quantity="1000000", leverage=500)
    assert order.margin == 2_175_93  # 856,800 GBP / 500 x 1.26980 = 2,175.929...

    closed = closes(alice, order)

    assert closed.profit == -253_96
    assert deal(closed).rate_path == "GBP-USD ask"


def test_ether_counted_in_bitcoin(alice: Customer) -> None:
    at_once(ETH_BTC="0.05310 0.05312", BTC_USD="42_000.00 42_005.00")
    order = opens(alice, symbol="ETH-BTC", quantity="2", leverage=50, type="sell")
    assert order.margin == 89_22  # 0.1062 BTC / 50 x 42,005

    at_once(ETH_BTC="0.05200 0.05202")
    closed = closes(alice, order)

    assert closed.profit == 90_72  # 0.00216 BTC x 42,000
    assert deal(closed).rate_path == "BTC-USD bid"


def test_a_cross_over_a_third_currency(alice: Customer) -> None:
    Instrument.objects.create(
        **{
            field.attname: getattr(Instrument.objects.get(pk="USD-JPY"), field.attname)
            for field in Instrument._meta.concrete_fields
        }
        | {"symbol": "EUR-CHF", "base_asset_id": "EUR", "counter_asset_id": _francs()}
    )
    symbols.forget()
    at_once(EUR_CHF="0.950 0.951", EUR_USD="1.08700 1.08720")

    order = opens(alice, symbol="EUR-CHF", quantity="1000", leverage=100)
    assert order.margin == 10_89  # 951 CHF / 100 / 0.950 x 1.08720 = 10.883...

    at_once(EUR_CHF="0.960 0.961")
    closed = closes(alice, order)
    assert closed.profit == 10_18  # 9 CHF / 0.961 x 1.0870 = 10.1800...
    assert deal(closed).rate_path == "1/EUR-CHF ask * EUR-USD bid"


def _francs() -> str:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO accounts_asset (code, type, name, symbol, decimals, adjustment_limit)"
            " SELECT 'CHF', type, 'Swiss franc', 'Fr', 2, adjustment_limit FROM accounts_asset WHERE code = 'GBP'"
        )
    return "CHF"


# --- no rate is no price ---------------------------------------------------------------------------


def test_without_a_fresh_rate_nothing_is_opened_and_the_refusal_names_it(alice: Customer) -> None:
    """Guard: `Market.conversion` asks for usable prices."""
    at_once(EUR_GBP="0.8566 0.8568")
    prices.forget("GBP-USD")
    wanted = opening(alice, symbol="EUR-GBP", quantity="1000", leverage=100)

    assert refused(wanted) == "Price data not found for symbol: GBP-USD"
    market_closed_at("GBP-USD", "1.2697")
    assert refused(wanted) == "Price data not found for symbol: GBP-USD"
    assert cash(alice) == balance(alice) == usd("10_000.00")


def test_without_a_fresh_rate_nothing_is_closed_whoever_wants_it(alice: Customer) -> None:
    """Guards: `Market.conversion` in `at_market`, and in `is_priced`, which close-all, fire and the stop-out ask."""
    at_once(EUR_GBP="0.8566 0.8568", GBP_USD="1.2696 1.2698")
    order = opens(alice, symbol="EUR-GBP", quantity="1000", leverage=100, stopLoss="0.85")
    market_closed_at("GBP-USD", "1.2697")
    at_once(EUR_GBP="0.8400 0.8402")

    assert refused(closing(alice, order.code)) == "Price data not found for symbol: GBP-USD"
    (one,) = says(closing_all(alice))["results"]
    assert one["error"] == "Price data not found for symbol: GBP-USD"
    fires(order)
    assert became(order) == ("OPEN", "")

    at_once(GBP_USD="1.2600 1.2602")
    fires(order)
    assert became(order) == ("CLOSED", "stop_loss")


def test_a_pending_order_waits_for_the_rate_too(alice: Customer) -> None:
    at_once(EUR_GBP="0.8566 0.8568", GBP_USD="1.2696 1.2698")
    order = places(alice, "buy limit", "0.8500", symbol="EUR-GBP", quantity="1000", leverage=100)
    at_once(EUR_GBP="0.8490 0.8492")
    market_closed_at("GBP-USD", "1.2697")

    fires(order)
    assert became(order) == ("PENDING", "")

    at_once(GBP_USD="1.2600 1.2602")
    fires(order)
    assert now(order).margin == 10_71  # 849.2 GBP / 100 x 1.2602 = 10.7016...
    assert deal(order, "open").rate_path == "GBP-USD ask"


def test_where_the_market_of_a_rate_rests_nothing_executes_and_the_refusal_names_it(alice: Customer) -> None:
    """Guards: `why_none` of what lacks; `is_priced` in `fire`, for both."""
    at_once(EUR_GBP="0.8566 0.8568", GBP_USD="1.2696 1.2698")
    order = opens(alice, symbol="EUR-GBP", quantity="1000", leverage=100, stopLoss="0.85")
    pending = places(alice, "buy limit", "0.8500", symbol="EUR-GBP", quantity="1000", leverage=100)
    halted = "Market halted for symbol: GBP-USD"
    switches(Switch.HALTED)
    at_once(EUR_GBP="0.8400 0.8402", GBP_USD="1.2600 1.2602")

    assert refused(opening(alice, symbol="EUR-GBP", quantity="1000", leverage=100)) == halted
    assert refused(closing(alice, order.code)) == halted
    (one,) = says(closing_all(alice))["results"]
    assert one["error"] == halted
    fires(order, pending)
    assert (became(order), became(pending)) == (("OPEN", ""), ("PENDING", ""))

    switches(Switch.NONE)
    at_once(EUR_GBP="0.8400 0.8402", GBP_USD="1.2600 1.2602")
    fires(order, pending)
    assert (became(order), became(pending)) == (("CLOSED", "stop_loss"), ("OPEN", ""))


def switches(to: Switch) -> None:
    """A second ago, so that a price of now was said since."""
    switch_market("GBP-USD", to, by=SYSTEM, reason="a test", at=clock.firm_now() - timedelta(seconds=1))
    symbols.forget()


def test_a_rate_that_would_be_too_old_by_the_commit_bounds_the_tick(alice: Customer) -> None:
    """Guard: the legs of a rate are used like any price (`self._use`), so COMMIT comes before they are old."""
    at_once(EUR_GBP="0.8566 0.8568")
    price_at("GBP-USD", "1.2697", at=timezone.now() - timedelta(seconds=5))
    latest = prices.latest()
    market = market_at(latest)

    market.conversion("EUR-GBP")

    assert market.until == latest.by_symbol["GBP-USD"].at + timedelta(seconds=10)


def test_what_is_counted_in_a_currency_that_leads_nowhere_says_so(alice: Customer) -> None:
    Instrument.objects.filter(symbol__in=["EUR-USD", "GBP-USD"]).delete()
    symbols.forget()
    at_once(EUR_GBP="0.8566 0.8568")

    told = refused(opening(alice, symbol="EUR-GBP", quantity="1000", leverage=100))

    assert told == "EUR-GBP is counted in GBP, which no instrument converts to USD"


def test_a_held_rate_is_a_price_as_the_same_hold_is_for_its_own_orders(alice: Customer) -> None:
    """One operator who holds a rate holds a price of that instrument: nothing more follows from it than that."""
    at_once(USD_JPY="114.00 114.05")
    hold_price(symbols.instrument("USD-JPY"), Decimal(115), Decimal("115.05"))

    order = yen(alice)

    assert prices.latest().by_symbol["USD-JPY"].is_held
    assert closes(alice, order).profit == -4_35  # 500 JPY / 115.00


# --- what may be spent, and what is shown ----------------------------------------------------------


def test_losses_are_not_free_at_the_rate_of_a_loss(alice: Customer) -> None:
    """Guard: `LOSSES` and `loss_of` convert. 60,000 JPY lost are 524.25 USD."""
    at_once(USD_JPY="115.00 115.05", BTC_USD="42_000.00")
    yen(alice, quantity="100000")
    at_once(USD_JPY="114.45 114.50")

    told = refused(opening(alice, quantity="10", leverage=10))
    # 10,000.00 - 1,000.44 reserved - 524.25 lost
    assert told == "Insufficient balance. Required: $42000.00, Available: $8475.31"
    assert figures(alice.pk, prices.latest()).withdrawable == 8_475_31


def test_figures_and_lists_are_converted(alice: Customer) -> None:
    at_once(USD_JPY="115.00 115.05")
    order = yen(alice)
    at_once(USD_JPY="114.45 114.50")

    found = figures(alice.pk, prices.latest())
    (shown,), _ = live_page(Order.objects.filter(pk=order.pk), prices.latest(), 10, "")

    assert (found.unrealized, found.margin) == (-52_42, 100_05)
    assert (shown["profit"], shown["margin"]) == (Decimal("-52.42"), Decimal("100.05"))
    assert shown["currentPrice"] == Decimal("114.450")


def test_where_a_rate_was_never_there_a_position_counts_as_unmoved_and_nothing_can_be_spent(alice: Customer) -> None:
    at_once(EUR_GBP="0.8566 0.8568", GBP_USD="1.2696 1.2698", BTC_USD="42_000.00")
    opens(alice, symbol="EUR-GBP", quantity="1000", leverage=100)
    prices.forget("GBP-USD")

    found = figures(alice.pk, prices.latest())

    assert (found.unrealized, found.withdrawable) == (0, 0)
    assert refused(opening(alice)) == "Price data not found for symbol: GBP-USD"


# --- parts -----------------------------------------------------------------------------------------


def test_each_part_is_converted_at_its_own_rate_and_cents_are_neither_lost_nor_made(alice: Customer) -> None:
    """Guard: `close_part` adds up what the part brought at the rate of its own deal.

    A third at 100 yen a dollar, a third at 200, the rest at 300, each one yen above the open price: 1/3 + 1/6 + 1/9 of
    a cent and so on; what is booked is the rounded sum less what was booked before.
    """
    at_once(EUR_GBP="0.80000 0.80000", GBP_USD="1.25000")
    order = opens(alice, symbol="EUR-GBP", quantity="300", leverage=100)
    booked, exactly = [], Decimal(0)
    for rate in ("1.33333", "1.11111", "1.77777"):
        at_once(EUR_GBP="0.80005", GBP_USD=rate)
        exactly += Decimal("0.00005") * 100 * Decimal(rate) * 100
        booked.append(int(closes(alice, order, "100" if rate != "1.77777" else "").profit or 0))

    assert booked == [1, 0, 1]  # 0.67, 1.22, 2.11 cents so far
    assert sum(booked) == round(exactly) == 2
    assert balance(alice, MARGIN) == 0


def test_parts_too_small_for_a_cent_add_up_to_cents(alice: Customer) -> None:
    at_once(USD_JPY="150.000")
    order = yen(alice, quantity="100", leverage=1)
    at_once(USD_JPY="150.060")
    brought = [int(closes(alice, order, "10" if n < 9 else "").profit or 0) for n in range(10)]

    assert sum(brought) == 4  # 6 JPY / 150.06 = 3.998... cents
    assert set(brought) == {0, 1}


def test_what_is_left_reserves_what_an_order_of_its_size_would_at_the_rate_it_opened_with(alice: Customer) -> None:
    """Guard: `split_off` converts by the order's own rate, whatever the rate is by now."""
    at_once(USD_JPY="115.00 115.05")
    order = yen(alice)
    at_once(USD_JPY="230.00 230.05")

    part = closes(alice, order, "3333")

    assert int(now(order).margin) == 66_70  # 6,667 x 115.05 / 100 / 115.00 = 66.699...
    assert int(part.margin) == 100_05 - 66_70
    assert balance(alice, MARGIN) == 66_70


# --- guards of the database ------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["open_multiplier", "open_divisor"])
def test_the_rate_that_an_order_opened_at_never_changes(alice: Customer, column: str) -> None:
    """Guard: trigger `open_terms_never_change` names both."""
    at_once(USD_JPY="115.00 115.05")
    order = yen(alice)

    with pytest.raises(IntegrityError), transaction.atomic():
        Order.objects.filter(pk=order.pk).update(**{column: Decimal(2)})


@pytest.mark.parametrize("column", ["rate_multiplier", "rate_divisor", "rate_path", "rate_at"])
def test_a_deal_and_its_rate_never_change(alice: Customer, column: str) -> None:
    at_once(USD_JPY="115.00 115.05")
    order = yen(alice)
    to = {"rate_path": "any", "rate_at": timezone.now()}.get(column, Decimal(2))

    with pytest.raises(IntegrityError), transaction.atomic():
        Deal.objects.filter(order=order).update(**{column: to})


@pytest.mark.parametrize(
    "wrong", [{"rate_divisor": None}, {"rate_path": ""}, {"rate_at": None}, {"rate_multiplier": Decimal(0)}]
)
def test_half_a_rate_is_refused(alice: Customer, wrong: dict[str, Any]) -> None:
    """Guard: constraint `deal_rate_is_whole`."""
    at_once(USD_JPY="115.00 115.05")
    whole = deal(yen(alice), "open")
    values = {field.attname: getattr(whole, field.attname) for field in Deal._meta.concrete_fields}
    with pytest.raises(IntegrityError, match="deal_rate_is_whole"), transaction.atomic():
        Deal.objects.create(**values | {"id": uuid7(), "kind": "close"} | wrong)


def test_half_of_the_rate_of_an_order_is_refused(alice: Customer) -> None:
    """Guard: constraint `order_rate_is_whole`."""
    at_once(USD_JPY="115.00 115.05")
    order = yen(alice)
    values = {field.attname: getattr(order, field.attname) for field in Order._meta.concrete_fields}
    values |= {"id": uuid7(), "code": order_code(), "command_id": uuid7(), "open_divisor": None}
    with pytest.raises(IntegrityError, match="order_rate_is_whole"), transaction.atomic():
        Order.objects.create(**values)


# --- margin calls and the stop-out -----------------------------------------------------------------


def test_a_rate_alone_stops_an_account_out(alice: Customer) -> None:
    """Its position's own price stands still: 10,000 GBP are won, of which less and less dollars are left, while the
    dollars lost elsewhere stay. Ranked by what each has lost in dollars."""
    bob = a_customer(with_usd="1_500.00")
    at_once(EUR_GBP="0.8000 0.8000", GBP_USD="1.2500")
    order = opens(bob, symbol="EUR-GBP", quantity="100000", leverage=100)  # 1,000.00 of margin
    at_once(EUR_GBP="0.7940 0.7940")  # 600 GBP lost: 750.00

    judges(bob)
    assert became(order) == ("OPEN", "")  # equity 750.00 of 1,000.00
    at_once(GBP_USD="1.7000")  # 1,020.00 lost
    judges(bob)

    assert became(order) == ("CLOSED", "stop_out")
    assert now(order).profit == -1_020_00


def test_losses_are_ranked_in_dollars(alice: Customer) -> None:
    """50,000 JPY are less than 500 GBP, and go after them."""
    bob = a_customer(with_usd="2_600.00")
    at_once(EUR_GBP="0.8000", GBP_USD="1.2500", USD_JPY="100.000")
    pounds = opens(bob, symbol="EUR-GBP", quantity="100000", leverage=100)
    yens = opens(bob, symbol="USD-JPY", quantity="100000", leverage=100)
    at_once(EUR_GBP="0.7880", USD_JPY="99.700")  # 1,500.00 and 300.90 lost, of 2,600.00

    judges(bob)

    assert [became(pounds), became(yens)] == [("CLOSED", "stop_out"), ("OPEN", "")]


def test_a_hedge_in_yen_costs_what_its_two_rates_differ(alice: Customer) -> None:
    """What one has won and the other lost are the same yen; the one is sold, the other bought."""
    at_once(USD_JPY="100.000")
    one, other = yen(alice), yen(alice, type="sell")
    at_once(USD_JPY="110.000 110.110")

    assert (closes(alice, one).profit, closes(alice, other).profit) == (908_18, -919_09)
    assert [kind for kind, _ in moved(alice, "order_profit", "order_loss")] == ["order_profit", "order_loss"]
