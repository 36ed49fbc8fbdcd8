"""A price, a side and one amount become three amounts: kept exactly, rounded against the customer."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from quotes.errors import AmountOutOfRange, AmountTooSmall
from quotes.quoting import Amounts, FeeTerms, PairDecimals, amounts

BTC_USD, ETH_USD, EUR_USD = PairDecimals(8, 2), PairDecimals(18, 2), PairDecimals(2, 2)
FREE = FeeTerms(Decimal(0))

pairs = st.sampled_from([BTC_USD, ETH_USD, EUR_USD, PairDecimals(0, 18), PairDecimals(18, 18)])
quote_prices = st.decimals("0.000001", "999999999.999999999999999999", places=18)
sides = st.sampled_from(["buy", "sell"])
wanted = st.integers(1, 10**24)
fee_terms = st.builds(FeeTerms, st.decimals(0, "9999.999", places=3, allow_nan=False), st.integers(0, 10**9))


def worth(base_amount: int, price: Decimal, pair: PairDecimals) -> Fraction:
    """What so much of the base asset is worth in counter base units, without any rounding."""
    return Fraction(base_amount) * Fraction(price) * Fraction(10) ** (pair.counter_decimals - pair.base_decimals)


def quoted(side: str, price: Decimal, pair: PairDecimals, fees: FeeTerms, **given_amount: int) -> Amounts:
    """The quote, or no example where nothing would be left or nothing would fit."""
    try:
        return amounts(side, price, pair, fees, **given_amount)
    except (AmountTooSmall, AmountOutOfRange):
        assume(False)
        raise


@settings(deadline=None)
@given(sides, quote_prices, pairs, fee_terms, wanted, st.booleans())
def test_the_amount_given_is_kept_exactly(side, price, pair, fees, amount, receives):
    if receives:
        assert quoted(side, price, pair, fees, receive=amount).receive == amount
    else:
        assert quoted(side, price, pair, fees, deliver=amount).deliver == amount


@settings(deadline=None)
@given(quote_prices, pairs, fee_terms, wanted, st.booleans())
def test_a_buy_never_gives_more_than_was_paid_for(price, pair, fees, amount, receives):
    name = "receive" if receives else "deliver"
    quote = quoted("buy", price, pair, fees, **{name: amount})

    cost = quote.deliver - quote.fee
    assert worth(quote.receive, price, pair) <= cost
    assert quote.fee >= cost * Fraction(fees.share) + fees.fixed


@settings(deadline=None)
@given(quote_prices, pairs, fee_terms, wanted, st.booleans())
def test_a_sell_never_brings_more_than_what_was_sold_is_worth(price, pair, fees, amount, receives):
    name = "receive" if receives else "deliver"
    quote = quoted("sell", price, pair, fees, **{name: amount})

    proceeds = quote.receive + quote.fee
    assert proceeds <= worth(quote.deliver, price, pair)
    assert quote.fee >= proceeds * Fraction(fees.share) + fees.fixed


@settings(deadline=None)
@given(quote_prices, pairs, fee_terms, wanted)
def test_spending_takes_the_most_that_fits_with_its_fee(price, pair, fees, amount):
    """One unit of cost more, with its own fee, would not fit into what is spent."""
    quote = quoted("buy", price, pair, fees, deliver=amount)

    more = quote.deliver - quote.fee + 1
    assert more + more * Fraction(fees.share) + fees.fixed > amount


@settings(deadline=None)
@given(quote_prices, pairs, fee_terms, wanted)
def test_there_and_back_at_one_price_never_makes_money(price, pair, fees, amount):
    bought = quoted("buy", price, pair, fees, receive=amount)
    sold = quoted("sell", price, pair, fees, deliver=bought.receive)

    assert sold.receive <= bought.deliver


def test_a_tenth_of_a_bitcoin_in_round_numbers():
    price, fees = Decimal("42350.75"), FeeTerms(Decimal(25))

    assert amounts("buy", price, BTC_USD, fees, receive=10_000_000) == Amounts(10_000_000, 424_567, 1_059)
    assert amounts("buy", price, BTC_USD, fees, deliver=424_567) == Amounts(10_000_011, 424_567, 1_059)
    assert amounts("sell", price, BTC_USD, fees, deliver=10_000_000) == Amounts(422_448, 10_000_000, 1_059)
    assert amounts("sell", price, BTC_USD, fees, receive=422_448) == Amounts(422_448, 9_999_989, 1_059)


def test_a_fixed_fee_comes_on_top_of_the_share():
    fees = FeeTerms(Decimal(100), fixed=50)

    assert amounts("buy", Decimal(100), EUR_USD, fees, receive=100) == Amounts(100, 10_150, 150)
    assert amounts("sell", Decimal(100), EUR_USD, fees, deliver=100) == Amounts(9_850, 100, 150)


@pytest.mark.parametrize(
    ("side", "given_amount", "fees"),
    [
        ("buy", {"deliver": 1}, FeeTerms(Decimal(0), fixed=1)),  # nothing is left to buy with
        ("buy", {"deliver": 1}, FREE),  # one cent buys no whole hundredth of a euro at 200
        ("sell", {"deliver": 1}, FeeTerms(Decimal(0), fixed=200)),  # the fee eats it all
    ],
)
def test_an_amount_that_comes_to_nothing_is_refused(side, given_amount, fees):
    with pytest.raises(AmountTooSmall):
        amounts(side, Decimal(200), EUR_USD, fees, **given_amount)


def test_an_amount_past_38_digits_is_refused():
    with pytest.raises(AmountOutOfRange):
        amounts("buy", Decimal(200), EUR_USD, FREE, receive=10**38 - 1)
