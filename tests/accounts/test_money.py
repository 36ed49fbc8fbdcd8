"""Money is exact: rounding names its direction, parsing refuses what can't be stored, printing loses nothing."""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as some

from accounts.money import (
    DOWN,
    MAX_AMOUNT,
    NEAREST,
    UP,
    at_scale,
    from_base_units,
    parse_decimal,
    printed,
    rounded,
    to_base_units,
    why_not_kept,
)

stored_numbers = some.decimals(
    min_value=Decimal("-9" * 1 + "9" * 19),
    max_value=Decimal("9" * 20),
    allow_nan=False,
    allow_infinity=False,
    places=18,
)
amounts = some.integers(-MAX_AMOUNT, MAX_AMOUNT)
scales = some.integers(0, 18)


@given(stored_numbers, scales)
def test_rounding_up_and_down_encloses_the_number_within_one_unit(value, decimals):
    low, high = rounded(value, decimals, DOWN), rounded(value, decimals, UP)

    assert low <= value <= high
    assert Fraction(high) - Fraction(low) in {Fraction(0), Fraction(1, 10**decimals)}


@given(stored_numbers, scales)
def test_rounding_to_the_nearest_is_never_off_by_more_than_half_a_unit(value, decimals):
    nearest = rounded(value, decimals, NEAREST)

    assert abs(Fraction(nearest) - Fraction(value)) <= Fraction(1, 2 * 10**decimals)


@pytest.mark.parametrize(
    ("value", "cents"), [("0.005", 0), ("0.015", 2), ("0.025", 2), ("-0.005", 0), ("-0.015", -2), ("0.0250001", 3)]
)
def test_half_a_cent_goes_to_the_even_cent(value, cents):
    assert to_base_units(Decimal(value), 2, NEAREST) == cents


@given(amounts, scales)
def test_base_units_become_a_decimal_and_come_back_unchanged(amount, decimals):
    assert to_base_units(from_base_units(amount, decimals), decimals, UP) == amount


@given(amounts, scales)
def test_a_thread_with_a_coarse_decimal_context_still_calculates_exactly(amount, decimals):
    with localcontext(prec=6):
        assert to_base_units(from_base_units(amount, decimals), decimals, DOWN) == amount


@given(stored_numbers)
def test_what_is_printed_is_the_same_number_without_an_exponent(value):
    text = printed(value)

    assert Decimal(text) == value
    assert "E" not in text.upper()
    assert not text.startswith("-0") or Decimal(text) != 0


@given(stored_numbers, scales)
def test_a_number_at_scale_keeps_its_value_and_shows_at_least_so_many_decimals(value, decimals):
    shown = at_scale(value, decimals)

    assert shown == value
    assert len(printed(value, decimals).partition(".")[2]) >= decimals


@given(stored_numbers)
def test_a_number_that_can_be_stored_is_parsed_as_itself(value):
    assert parse_decimal(value) == value
    assert parse_decimal(f"{value:f}") == value


@given(some.text(max_size=80))
def test_parsing_any_text_gives_a_number_that_fits_the_column_or_nothing(text):
    value = parse_decimal(text)

    assert value is None or (value.is_finite() and abs(value) < 10**20 and value == rounded(value, 18, DOWN))


@pytest.mark.parametrize(
    "refused",
    [True, False, None, [], {}, 1.5, "NaN", "Infinity", "-inf", "sNaN", "1e400", "1e20", "1e-19",
     "0.1234567890123456789", "1_000", "", " ", "0x10", "1,5", "9" * 65, 10**38, Decimal("NaN"), "\ud800", "\x00",
     # What Python itself would read: other digits than ASCII's, blanks around them.
     "\u0661\u0662", "\uff11\uff12", "\u0967", "1\u0660", "\U0001d7cf", " 1", "1 ", "1\n", "\t1", "\x1f1", "\xa01",
     "1\u2003", "--1", "+-1", "1e", "e1", ".", "1\x00", "\u22121", "1e99999999999999999999", "1e-99999999999999999999"],
)  # fmt: skip
def test_what_is_not_a_number_is_parsed_to_none(refused):
    assert parse_decimal(refused) is None


@pytest.mark.parametrize(("text", "value"), [("1e3", 1000), ("+1", 1), ("-1", -1), (".5", "0.5"), ("007", 7)])
def test_an_unambiguous_text_is_parsed_to_its_number(text, value):
    assert parse_decimal(text) == Decimal(value)


TOO_LARGE = "must be less than 100000000000000000000"


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("1e20", TOO_LARGE),
        (Decimal("1e30"), TOO_LARGE),
        (10**60, TOO_LARGE),
        ("1e99999999999999999999", TOO_LARGE),
        ("-1e30", "must be more than -100000000000000000000"),
        ("-1e99999999999999999999", "must be more than -100000000000000000000"),
        ("1e-19", "has more than 18 decimals"),
        (Decimal("0.1234567890123456789"), "has more than 18 decimals"),
        ("1e-99999999999999999999", "has more than 18 decimals"),
        ("9" * 65, "must be a number of at most 64 characters"),
        *((no_number, "") for no_number in ("x", "NaN", Decimal("NaN"), True, None, [], " 1", "\u0661", "1_0", "0x10")),
        *((kept, "") for kept in ("0", 5, "99999999999999999999", Decimal("1e-18"))),
    ],
)
def test_what_is_a_number_but_cannot_be_kept_says_why(given, why):
    assert why_not_kept(given) == why


def test_a_price_is_printed_as_the_seed_page_prints_it():
    assert printed(Decimal("42350.750000000000000000"), 2) == "42350.75"
    assert printed(Decimal("125.5"), 2) == "125.50"
    assert printed(Decimal("-0.00")) == "0"
