"""One price of several sources: worked examples, and random histories against a plain model in fractions."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from math import ceil, floor
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quotes.feeds.composite import RETURNS_MILLISECONDS, CompositeTerms, Quoted, compose, marked_up
from quotes.judging import TOLERANCE, Fault

NOW = 1_764_493_736_000
TERMS = CompositeTerms(price_decimals=2, age_limit_seconds=10)


def said(source: str, bid: str, ask: str, age: int = 0, weight: int = 1) -> Quoted:
    return Quoted(source, Decimal(bid), Decimal(ask), NOW - age, weight)


def price(*quotes: Quoted, terms: CompositeTerms = TERMS, last: int = 0) -> tuple[str, str] | Fault | None:
    made = compose(quotes, terms, NOW, last)
    return (str(made.price.bid), str(made.price.ask)) if made.price else made.fault


def left_out(*quotes: Quoted, terms: CompositeTerms = TERMS, last: int = 0) -> dict[str, Fault]:
    return compose(quotes, terms, NOW, last).left_out


# --- what it is made of -----------------------------------------------------------------------------


def test_one_source_is_the_price_and_the_mean_of_several_is_by_weight():
    assert price(said("a", "100.00", "100.10")) == ("100.00", "100.10")
    assert price(said("a", "100.00", "100.10"), said("b", "100.20", "100.30")) == ("100.10", "100.20")
    assert price(said("a", "100.00", "100.10", weight=3), said("b", "100.20", "100.30")) == ("100.05", "100.15")


def test_sides_are_rounded_outward():
    """100.001 and 100.002 in the middle of hundredths; a third has no end."""
    assert price(said("a", "100.001", "100.002")) == ("100.00", "100.01")
    assert price(said("a", "1", "1"), said("b", "1", "1"), said("c", "1.01", "1.01")) == ("1.00", "1.01")


def test_the_mark_up_is_half_to_each_side():
    """10 bps of 42,000 are 42: 21 to each side."""
    terms = TERMS._replace(markup_bps=Decimal(10))

    assert price(said("a", "42000", "42000"), terms=terms) == ("41979.00", "42021.00")


def test_a_source_too_far_from_the_median_counts_for_nothing_and_exactly_the_limit_counts():
    near = [said("a", "100", "100"), said("b", "100", "100")]

    assert price(*near, said("c", "101", "101")) == ("100.33", "100.34")
    assert price(*near, said("c", "101.01", "101.01")) == ("100.00", "100.00")
    assert left_out(*near, said("c", "98.99", "98.99")) == {"c": Fault.OUTLIER}


def test_of_two_that_differ_by_more_than_twice_the_limit_nobody_knows_which_is_right():
    assert price(said("a", "99", "99"), said("b", "101", "101")) == ("100.00", "100.00")
    assert price(said("a", "98.99", "98.99"), said("b", "101.01", "101.01")) == Fault.FEW


def test_fewer_than_the_least_number_make_no_price():
    """Guard: `least_sources`."""
    two = TERMS._replace(least_sources=2)

    assert price(said("a", "100", "101"), terms=two) == Fault.FEW
    assert price(said("a", "100", "101"), said("b", "100", "101", age=5000), terms=two) == Fault.FEW
    assert price(said("a", "100", "101"), said("b", "100", "101", age=4999), terms=two) == ("100.00", "101.00")


def test_a_source_is_left_out_at_half_the_age_limit():
    """Guard: `_is_live`. Without it a silent source's price stays in the mean, and ages the whole."""
    quotes = (said("a", "100", "100"), said("b", "101", "101", age=5000))

    assert price(*quotes) == ("100.00", "100.00")
    assert left_out(*quotes) == {"b": Fault.LATE}
    assert compose(quotes, TERMS, NOW).price.at == NOW


def test_where_none_is_live_the_youngest_alone_is_told_as_old_as_it_is():
    made = compose([said("a", "100", "100", age=90_000), said("b", "99", "99", age=80_000)], TERMS, NOW)

    assert (made.price.bid, made.price.at) == (99, NOW - 80_000)


def test_without_any_source_there_is_no_price_and_no_fault():
    assert price() is None


# --- its time ---------------------------------------------------------------------------------------


def test_a_price_is_as_old_as_its_oldest_source():
    made = compose([said("a", "100", "100", age=100), said("b", "100", "100", age=4000)], TERMS, NOW)

    assert made.price.at == NOW - 4000
    assert [one.source for one in made.price.made_of] == ["a", "b"]


def test_a_source_that_returns_is_at_most_a_second_older_than_the_price_before_which_it_does_not_age():
    a, last = said("a", "100", "100"), NOW - 10

    made = compose(
        [a, said("b", "102", "102", age=10 + RETURNS_MILLISECONDS)],
        TERMS._replace(outlier_percent=Decimal(5)),
        NOW,
        last,
    )
    assert (made.price.bid, made.price.at) == (101, last)

    made = compose([a, said("b", "102", "102", age=11 + RETURNS_MILLISECONDS)], TERMS, NOW, last)
    assert (made.price.bid, made.price.at) == (100, NOW)
    assert made.left_out == {"b": Fault.LATE}


def test_the_only_source_that_is_older_than_what_was_told_is_late():
    assert price(said("a", "100", "100", age=3000), last=NOW) == Fault.LATE


def test_a_clock_that_was_set_back_locks_nobody_out():
    assert price(said("a", "100", "100"), last=NOW + 3_600_000) == ("100.00", "100.00")


# --- random histories -------------------------------------------------------------------------------

prices = st.decimals("0.01", "100000", places=5)
sources = st.lists(
    st.builds(
        lambda name, bid, spread, age, weight: Quoted(name, bid, bid + spread, NOW - age, weight),
        st.sampled_from("abcdefgh"),
        st.one_of(prices, st.decimals("99", "101", places=5)),
        st.decimals(0, 5, places=5),
        st.integers(0, 12_000),
        st.integers(1, 1000),
    ),
    max_size=8,
    unique_by=lambda one: one.source,
)
terms = st.builds(
    CompositeTerms,
    price_decimals=st.integers(0, 8),
    age_limit_seconds=st.integers(1, 20),
    least_sources=st.integers(1, 4),
    outlier_percent=st.decimals("0.001", "60", places=3),
    markup_bps=st.decimals(0, 500, places=3),
)


def model(
    quotes: list[Quoted], terms: CompositeTerms, last: int, now: int = NOW
) -> tuple[Fraction, Fraction, int, set[str]] | None:
    """The rules once more, in fractions, one sentence after the other."""
    half = Fraction(terms.age_limit_seconds * 1000, 2)
    live = [one for one in quotes if now - one.at < half]
    if not live and terms.least_sources == 1 and quotes:
        live = [sorted(quotes, key=lambda one: -one.at)[0]]
    live = [one for one in live if last - one.at <= 1000]
    if not live:
        return None
    middles = {one.source: Fraction(one.bid + one.ask) / 2 for one in live}
    centre = median(middles.values())
    limit = centre * Fraction(terms.outlier_percent) / 100 * (1 + Fraction(TOLERANCE))
    agreed = [one for one in live if abs(middles[one.source] - centre) <= limit]
    if len(agreed) < max(terms.least_sources, 1):
        return None
    weight = sum(one.weight for one in agreed)
    bid = sum(Fraction(one.bid) * one.weight for one in agreed) / weight
    ask = sum(Fraction(one.ask) * one.weight for one in agreed) / weight
    half_markup = Fraction(terms.markup_bps) / 20_000
    grain = 10**terms.price_decimals
    return (
        Fraction(floor(bid * (1 - half_markup) * grain), grain),
        Fraction(ceil(ask * (1 + half_markup) * grain), grain),
        max(last, min(one.at for one in agreed)),
        {one.source for one in agreed},
    )


@settings(max_examples=600, deadline=None)
@given(sources, terms, st.integers(0, 8000))
def test_any_sources_make_what_the_model_makes_of_them_to_the_last_digit(quotes, terms, last_age):
    last = NOW - last_age
    made = compose(quotes, terms, NOW, last)
    expected = model(quotes, terms, last)

    if expected is None:
        assert made.price is None
        assert (made.fault is None) == (not quotes)
    else:
        bid, ask, at, used = expected
        assert (Fraction(made.price.bid), Fraction(made.price.ask), made.price.at) == (bid, ask, at)
        assert {one.source for one in made.price.made_of} == used
        assert made.price.bid <= made.price.ask
        assert made.left_out.keys() == {one.source for one in quotes} - used


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 900), st.integers(0, 1500)), min_size=1, max_size=40))
def test_in_any_history_prices_never_go_back_in_time_nor_are_a_second_younger_than_their_oldest(history):
    """Each step: who speaks, how long after the step before, how late it comes."""
    latest: dict[str, Quoted] = {}
    now, last = NOW, 0
    for source, later, lag in history:
        now += later
        before = latest.get(source)
        if before is None or before.at <= now - lag:
            latest[source] = Quoted(source, Decimal(100), Decimal(101), now - lag)
        made = compose(list(latest.values()), TERMS, now, last)
        if made.price is not None:
            assert last <= made.price.at <= now
            assert made.price.at - min(one.at for one in made.price.made_of) <= RETURNS_MILLISECONDS
            last = made.price.at


@pytest.mark.parametrize("markup", ["0", "0.001", "9999.999"])
def test_a_marked_up_price_is_never_narrower(markup):
    bid, ask = marked_up(Decimal("1.00001"), Decimal("1.00002"), TERMS._replace(markup_bps=Decimal(markup)))

    assert bid <= Decimal("1.00001")
    assert ask >= Decimal("1.00002")
