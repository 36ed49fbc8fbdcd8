"""Rates are recounted: who changes one, or what was booked by it, is found."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import IntegrityError, transaction

from accounts.models import Customer
from quotes import symbols
from quotes.prices import Prices
from tests.given import a_customer, price_at
from tests.trades.engine.rollovers import RolloverEngine, at, rates, swaps
from tests.trades.engine_steps import closes, opens
from tests.trades.recount.forging import forged, found, named, unsealed_forged
from trades.models import Deal, Order, SwapRun

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice() -> Customer:
    return a_customer(with_usd="20_000.00")


@pytest.fixture
def book(alice: Customer) -> dict[str, Order]:
    """Open in yen with a closed part, closed with a profit in pounds, and one in dollars."""
    price_at("USD-JPY", "115.00", "115.05")
    price_at("EUR-GBP", "0.8566", "0.8568")
    price_at("GBP-USD", "1.2696", "1.2698")
    open_ = opens(alice, symbol="USD-JPY", quantity="10000", leverage=100)
    pounds = opens(alice, symbol="EUR-GBP", quantity="10000", leverage=100)
    dollars = opens(alice, symbol="GBP-USD", quantity="1000", leverage=100)
    price_at("USD-JPY", "115.65", "115.70")
    price_at("EUR-GBP", "0.8600", "0.8602")
    book = {
        "open": open_,
        "part": closes(alice, open_, "3333"),
        "pounds": closes(alice, pounds),
        "dollars": closes(alice, dollars),
    }
    for order in book.values():
        order.refresh_from_db()
    assert found() == set()
    return book


ORDERS = [
    ("open", "open_multiplier = 2", {"order margins", "deal terms", "order parts"}),
    ("open", "open_divisor = open_divisor + 0.5", {"order margins", "deal terms", "order parts"}),
    ("open", "open_multiplier = NULL, open_divisor = NULL", {"order margins", "deal terms", "order parts"}),
    ("dollars", "open_multiplier = 1, open_divisor = 1", {"order margins", "deal terms"}),
]


@pytest.mark.parametrize(("which", "change", "checks"), ORDERS)
def test_a_forged_rate_of_an_opening_is_found(
    book: dict[str, Order], which: str, change: str, checks: set[str]
) -> None:
    """Guards: `_margin_of` by the order's rate; an order's rate is compared with its deal's, and with its parts'."""
    unsealed_forged(f"UPDATE trades_order SET {change} WHERE id = %s", book[which].pk)

    assert checks == {check for check, _ in found()} - {"part margins"}


DEALS = [
    ("pounds", "rate_multiplier = rate_multiplier + 0.001", {"order profit"}),
    ("pounds", "rate_divisor = 2", {"order profit"}),
    ("pounds", "rate_path = 'GBP-USD ask'", {"deal rates"}),
    ("pounds", "rate_multiplier = NULL, rate_divisor = NULL, rate_path = '', rate_at = NULL", {"deal rates"}),
    ("part", "rate_divisor = 115.65", {"order profit", "order results"}),
    ("part", "rate_path = '1/USD-JPY bid'", {"deal rates"}),
    ("dollars", "rate_multiplier = 1, rate_divisor = 1, rate_path = 'GBP-USD ask', rate_at = at", {"deal rates"}),
]


@pytest.mark.parametrize(("which", "change", "checks"), DEALS)
def test_a_forged_rate_of_a_closing_is_found(book: dict[str, Order], which: str, change: str, checks: set[str]) -> None:
    """Guards: `converted` in `_RESULTS`, and the conditions of `_CONVERTED`."""
    unsealed_forged(f"UPDATE trades_deal SET {change} WHERE order_id = %s AND kind = 'close'", book[which].pk)

    assert checks <= {check for check, _ in found()}


def test_a_sealed_rate_that_was_changed_is_named(book: dict[str, Order]) -> None:
    deal = Deal.objects.get(order=book["pounds"], kind="close")

    forged("UPDATE trades_deal SET rate_at = rate_at - interval '1 hour' WHERE id = %s", deal.pk)

    assert named() == {deal.pk.hex}


def test_a_profit_that_its_rate_does_not_give_is_found(book: dict[str, Order]) -> None:
    unsealed_forged("UPDATE trades_order SET profit = profit + 1 WHERE id = %s", book["pounds"].pk)

    assert ("order profit", book["pounds"].pk.hex) in found()


# --- nights ----------------------------------------------------------------------------------------


@pytest.fixture
def held(alice: Customer) -> Iterator[Order]:
    """10,000 USD-JPY over a night: 1,500,000 JPY, of which 0.9 hundredths of a percent are 135 JPY, at 150 yen."""
    rates("USD-JPY", "-0.9", "-1.6")
    rollover = RolloverEngine("2026-11-16 12:00")
    order = opens(alice, at("2026-11-17 15:00"), symbol="USD-JPY", quantity="10000", leverage=100)
    rollover.runs(at("2026-11-17 22:00"))
    order.refresh_from_db()
    assert found() == set()
    yield order
    symbols.forget()


def test_a_night_is_converted_in_the_middle(held: Order) -> None:
    """Guard: `_charge` converts by the run's own rates."""
    assert swaps(held) == [("2026-11-17", -90)]
    run = SwapRun.objects.filter(night="2026-11-17").first()
    assert run is not None
    assert run.conversions["JPY"] == ["1", "150", "1/USD-JPY mid"]
    assert run.conversions["GBP"] == ["1.25", "1", "GBP-USD mid"]


@pytest.mark.parametrize(
    "conversions", ['{"JPY": ["1", "149", "any"]}', "{}", '{"JPY": ["much", "150", ""]}', '{"JPY": ["1", "0", ""]}']
)
def test_another_rate_of_a_night_is_found_at_the_orders_that_it_charged(held: Order, conversions: str) -> None:
    """Guard: `converted` in `_ACCRUED`; what is no number, or zero, ends no recount."""
    forged("UPDATE trades_swaprun SET conversions = %s::jsonb WHERE night = '2026-11-17'", conversions)

    assert found() == {("order nights", held.pk.hex)}


def test_the_rates_of_a_night_never_change(held: Order) -> None:
    """Guard: trigger `never_changed` names them."""
    with pytest.raises(IntegrityError), transaction.atomic():
        SwapRun.objects.update(conversions={})


def test_a_night_without_a_rate_charges_nothing(alice: Customer) -> None:
    rates("EUR-GBP", "-9", "-9")
    rollover = RolloverEngine("2026-11-16 12:00")
    order = opens(alice, at("2026-11-17 15:00"), symbol="EUR-GBP", quantity="10000", leverage=100)
    market = at("2026-11-17 22:00")
    rollover.nights._patient_until = 0.0  # it has waited long enough for a first price of everything
    rollover.runs(Prices(market.now, {s: p for s, p in market.by_symbol.items() if s != "GBP-USD"}))
    symbols.forget()

    assert swaps(order) == []
    assert found() == set()
