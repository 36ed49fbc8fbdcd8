"""What one currency is in another, by the firm's own instruments: which way, at which side, to which digit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quotes.conversion import (
    ONE,
    UNCONVERTED,
    Conversion,
    Leg,
    Rate,
    Rates,
    converted,
    converted_down,
    mids,
    path,
    turned_by,
)

NOON = datetime(2026, 11, 18, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Quoted:
    bid: Decimal
    ask: Decimal
    at: datetime = NOON


def quoted(bid: str, ask: str, at: datetime = NOON) -> Quoted:
    return Quoted(Decimal(bid), Decimal(ask), at)


PRICES = {
    "USD-JPY": quoted("114.45", "114.50"),
    "EUR-JPY": quoted("124.60", "124.70", NOON - timedelta(seconds=3)),
    "EUR-USD": quoted("1.0870", "1.0872"),
    "GBP-USD": quoted("1.26960", "1.26980"),
}


def rates(*symbols: str, into: str = "USD") -> Rates:
    return Rates(symbols, into, PRICES.get)


def of(found: Rates, currency: str) -> Conversion:
    conversion = found.of(currency)
    assert conversion is not None
    return conversion


# --- which way -------------------------------------------------------------------------------------


def test_the_way_is_direct_before_inverse_before_a_cross() -> None:
    """Guards: the order of the two in `_leg`, and of the two ways in `_path`."""
    assert path(["GBP-USD", "USD-GBP", "EUR-GBP", "EUR-USD"], "GBP", "USD") == (Leg("GBP-USD", is_inverse=False),)
    assert path(["USD-JPY", "EUR-JPY", "EUR-USD"], "JPY", "USD") == (Leg("USD-JPY", is_inverse=True),)
    assert path(["EUR-JPY", "EUR-USD"], "JPY", "USD") == (Leg("EUR-JPY", True), Leg("EUR-USD", False))
    assert path(["USD-JPY"], "USD", "USD") == ()


def test_of_several_crosses_it_is_the_one_over_the_first_currency() -> None:
    """Guard: `sorted` in `_path`. Else the way would hang on the order in which rows were read."""
    ways = ["GBP-JPY", "GBP-USD", "EUR-JPY", "EUR-USD", "CHF-JPY", "USD-CHF"]
    assert path(ways, "JPY", "USD") == path(ways[::-1], "JPY", "USD") == (Leg("CHF-JPY", True), Leg("USD-CHF", True))


def test_two_crosses_in_a_row_are_no_way() -> None:
    assert path(["EUR-JPY", "EUR-GBP", "GBP-USD"], "JPY", "USD") is None
    assert rates("EUR-JPY", "EUR-GBP", "GBP-USD").of("JPY") is None


def test_a_price_that_is_missing_chooses_no_other_way() -> None:
    """Guard: paths know no prices. Else who holds back a price chooses a rate."""
    found = rates("USD-JPY", "EUR-JPY", "EUR-USD", "CHF-JPY", "CHF-USD")
    without = Rates(["USD-JPY", "EUR-JPY", "EUR-USD"], "USD", {**PRICES, "USD-JPY": None}.get)

    assert of(found, "JPY").gain.path == "1/USD-JPY ask"
    assert without.of("JPY") is None
    assert without.lacking("JPY") == "USD-JPY"


# --- at which side ---------------------------------------------------------------------------------


def test_what_a_customer_gets_is_sold_and_what_they_owe_is_bought() -> None:
    """Guard: `Side.turned`."""
    direct, inverse, cross = (
        of(rates("GBP-USD"), "GBP"),
        of(rates("USD-JPY"), "JPY"),
        of(rates("EUR-JPY", "EUR-USD"), "JPY"),
    )

    assert direct.gain == Rate(Decimal("1.26960"), Decimal(1), "GBP-USD bid", NOON)
    assert direct.loss == Rate(Decimal("1.26980"), Decimal(1), "GBP-USD ask", NOON)
    assert inverse.gain == Rate(Decimal(1), Decimal("114.50"), "1/USD-JPY ask", NOON)
    assert inverse.loss == Rate(Decimal(1), Decimal("114.45"), "1/USD-JPY bid", NOON)
    assert (cross.gain.path, cross.loss.path) == ("1/EUR-JPY ask * EUR-USD bid", "1/EUR-JPY bid * EUR-USD ask")
    assert (cross.gain.multiplier, cross.gain.divisor) == (Decimal("1.0870"), Decimal("124.70"))
    assert cross.gain.at == NOON - timedelta(seconds=3), "as old as its oldest price"


def test_the_account_currency_itself_is_not_converted() -> None:
    assert of(rates("EUR-USD"), "USD") is UNCONVERTED
    assert converted(Decimal("0.1"), ONE) == Decimal("0.1")


def test_the_published_loss_in_yen() -> None:
    """OANDA, "How to calculate profit and loss": 10,000 USD-JPY bought at 115.05, sold at 114.45 with 114.45/114.50
    quoted, lose 6,000 JPY; / 114.45 that is 52.42 USD: at the bid, which is the ask of the yen."""
    lost = converted(Decimal(-6000), of(rates("USD-JPY"), "JPY").loss)
    assert round(lost, 2) == Decimal("-52.42")


def test_the_published_gain_with_a_charge_for_converting() -> None:
    """OANDA, "Home currency conversion": a profit of 100 USD in an account in GBP at a middle of 0.770025 less 0.5 % is
    76.61 (cut off). The charge is a mark-up here: bid and ask so far apart give the same to the digit."""
    charged = {"USD-GBP": quoted("0.766174875", "0.773875125")}
    gain = of(Rates(charged, "GBP", charged.get), "USD").gain
    assert converted(Decimal(100), gain) == Decimal("76.6174875")


def test_the_middle_is_of_each_price_on_the_way() -> None:
    assert mids(["EUR-JPY", "EUR-USD"], "USD", PRICES, ["JPY", "GBP", "USD"]) == {
        "JPY": Rate(Decimal("1.0871"), Decimal("124.65"), "1/EUR-JPY mid * EUR-USD mid", NOON - timedelta(seconds=3))
    }


# --- to which digit --------------------------------------------------------------------------------

_prices = st.integers(1, 10**12).flatmap(lambda n: st.integers(0, 8).map(lambda places: Decimal(n).scaleb(-places)))
_amounts = st.integers(-(10**20), 10**20).map(lambda n: Decimal(n).scaleb(-10))


@given(_amounts, _prices, _prices)
def test_an_amount_is_converted_to_36_decimals(amount: Decimal, multiplier: Decimal, divisor: Decimal) -> None:
    rate = Rate(multiplier, divisor, "any", NOON)
    exactly = Fraction(amount) * Fraction(multiplier) / Fraction(divisor)
    near, below = Fraction(converted(amount, rate)), Fraction(converted_down(amount, rate))

    assert abs(near - exactly) * 2 <= Fraction(1, 10**36)
    assert 0 <= (abs(exactly) - abs(below)) < Fraction(1, 10**36)
    assert round(near) == round(exactly), "nothing is booked otherwise for it"


@pytest.mark.parametrize(
    ("bid", "ask"), [("0.000000000000000001", "0.000000000000000002"), ("99999999999999999998", "99999999999999999999")]
)
@pytest.mark.parametrize("symbols", [["XXX-USD"], ["USD-XXX"], ["XXX-YYY", "YYY-USD"], ["YYY-XXX", "USD-YYY"]])
def test_no_price_that_can_be_kept_makes_a_rate_of_nothing(bid: str, ask: str, symbols: list[str]) -> None:
    """A fraction has no last decimal: neither the inverse of a huge price nor the product of two tiny ones is zero, and
    each fits its column, NUMERIC(76,36)."""
    prices = {symbol: quoted(bid, ask) for symbol in symbols}
    for rate in of(Rates(symbols, "USD", prices.get), "XXX"):
        assert rate.multiplier > 0 < rate.divisor
        for number in (rate.multiplier, rate.divisor):
            assert number < Decimal(10) ** 40
            assert -number.normalize().as_tuple().exponent <= 36


# --- who may add an instrument -----------------------------------------------------------------------


def test_a_currency_is_turned_where_another_instrument_leads_it_another_way():
    known = ["BTC-USD", "EUR-USD", "USD-JPY", "EUR-CHF"]
    turns = {new: turned_by(new, known, "USD") for new in ("JPY-USD", "CHF-USD", "BTC-CHF", "GBP-CHF", "SEK-USD")}
    assert turns == {"JPY-USD": "JPY", "CHF-USD": "CHF", "BTC-CHF": "CHF", "GBP-CHF": None, "SEK-USD": None}
    assert turned_by("CHF-USD", ["SOL-CHF"], "USD") is None  # there was no way
