"""Money as whole base units; prices and quantities as exact decimals. No Django, no float.

Base units are the smallest unit an asset has: cents of USD, satoshis of BTC, wei of ETH. They are
plain integers in Python and NUMERIC(38,0) in PostgreSQL. Prices and quantities are `Decimal` with at
most 18 decimals, NUMERIC(38,18). The default decimal context (28 digits) would silently round their
products, so every calculation runs under `EXACT`.
"""

from __future__ import annotations

import decimal
import re
from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal, getcontext, localcontext
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

MAX_AMOUNT = 10**38 - 1  # NUMERIC(38,0)
MAX_POSTING = 10**32  # base units moved at once: a million of them still fit NUMERIC(38,0)
MAX_DECIMALS = 18  # NUMERIC(38,18)
MAX_WHOLE_DIGITS = 20
LONGEST_NUMBER = 64  # characters of a number in a text
LONGEST_EXPONENT = 6

UP = ROUND_CEILING
DOWN = ROUND_FLOOR
NEAREST = ROUND_HALF_EVEN

EXACT = Context(
    prec=120,  # a product of two NUMERIC(38,18) has 76 digits; a third factor still fits
    Emin=-999,
    Emax=999,
    traps=[decimal.InvalidOperation, decimal.DivisionByZero, decimal.Overflow],
)


_NUMBER = re.compile(r"(?P<sign>[+-]?)(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE](?P<exponent>[+-]?[0-9]+))?")


def exact(function: Callable[P, R]) -> Callable[P, R]:
    """Run a calculation with 120 digits, whatever the calling thread's decimal context is.

    Whoever makes many sets `EXACT` for all of them; making a context for each costs more than most of them.
    """

    @wraps(function)
    def calculate(*args: P.args, **kwargs: P.kwargs) -> R:
        if getcontext().prec == EXACT.prec:
            return function(*args, **kwargs)
        with localcontext(EXACT):
            return function(*args, **kwargs)

    return calculate


@exact
def rounded(value: Decimal, decimals: int, direction: str) -> Decimal:
    """Round to so many decimals in a named direction (UP, DOWN, NEAREST). The only function that rounds money.

    UP and DOWN mean towards plus and minus infinity. Raises decimal.InvalidOperation for values
    past 120 digits.
    """
    return value.quantize(Decimal(1).scaleb(-decimals), rounding=direction)


@exact
def to_base_units(value: Decimal, decimals: int, direction: str) -> int:
    """A decimal amount of an asset as whole base units, e.g. Decimal("1.005") USD, 2, UP -> 101."""
    return int(rounded(value.scaleb(decimals), 0, direction))


@exact
def from_base_units(amount: int | Decimal, decimals: int) -> Decimal:
    """Whole base units as a decimal amount with all its decimals, e.g. 12550, 2 -> Decimal("125.50")."""
    return Decimal(amount).scaleb(-decimals)


def parse_decimal(given: object) -> Decimal | None:
    """A number from the outside (JSON number or numeric string) as Decimal, or None if it isn't one.

    Booleans, NaN, infinities, numbers beyond NUMERIC(38,18)'s range or with more than 18 decimals
    are not numbers here, so nothing past this point can overflow a column or be rounded unseen.
    Nor are texts that only some readers take for the same number: with other digits than ASCII's, with
    blanks around them, with underscores. `why_not_kept` tells numbers that can't be kept from what is none.
    """
    if isinstance(given, bool) or not isinstance(given, (int, str, Decimal)):
        return None
    if isinstance(given, str) and not is_plainly_written(given):
        return None
    if isinstance(given, int) and abs(given) > MAX_AMOUNT:
        return None
    try:
        value = Decimal(given)
    except (decimal.InvalidOperation, ValueError):
        return None
    if not value.is_finite():
        return None
    if value.is_zero():
        return Decimal(0)
    if value.adjusted() >= MAX_WHOLE_DIGITS or value.adjusted() < -MAX_DECIMALS:
        return None
    exponent = value.normalize(EXACT).as_tuple().exponent
    if isinstance(exponent, int) and exponent < -MAX_DECIMALS:
        return None
    return value


def is_plainly_written(text: str) -> bool:
    """Whether a text has nothing in it that `Decimal` or `int` would read over. It may still be no number."""
    return len(text) <= LONGEST_NUMBER and text.isascii() and "_" not in text and text.strip() == text


def why_not_kept(given: object) -> str:
    """What is wrong with a number that `parse_decimal` refuses, as the end of a sentence; "" for what is no number.

    why_not_kept(Decimal("1e30")) -> "must be less than 100000000000000000000".
    """
    if isinstance(given, bool) or not isinstance(given, (int, str, Decimal)):
        return ""
    if isinstance(given, str):
        if (match := _NUMBER.fullmatch(given)) is None:
            return ""
        if len(given) > LONGEST_NUMBER:
            return f"must be a number of at most {LONGEST_NUMBER} characters"
        exponent = match["exponent"] or "0"
        if len(exponent) > LONGEST_EXPONENT:  # Decimal itself doesn't take every one
            given = Decimal("1e-99" if exponent.startswith("-") else f"{match['sign']}1e99")
    value = Decimal(given)
    if not value.is_finite() or parse_decimal(value) is not None:
        return ""
    if value.adjusted() < MAX_WHOLE_DIGITS:
        return f"has more than {MAX_DECIMALS} decimals"
    return f"must be {'less' if value > 0 else 'more'} than {'-' if value < 0 else ''}{10**MAX_WHOLE_DIGITS}"


def printed(value: Decimal, least_decimals: int = 0) -> str:
    """A decimal as plain digits: no exponent, no needless zeros past `least_decimals`.

    printed(Decimal("42350.750000"), 2) -> "42350.75"; printed(Decimal("125.5"), 2) -> "125.50".
    """
    text = f"{value:f}"
    whole, _, fraction = text.partition(".")
    fraction = fraction.rstrip("0").ljust(least_decimals, "0")
    if not fraction:
        return "0" if whole == "-0" else whole
    text = f"{whole}.{fraction}"
    return text.lstrip("-") if not text.strip("-0.") else text


def printed_amount(amount: int, decimals: int) -> str:
    """Base units with all decimals of their asset, e.g. 12550, 2 -> "125.50": `printed`, faster."""
    if decimals == 0:
        return str(amount)
    digits = str(abs(amount)).rjust(decimals + 1, "0")
    return f"{'-' if amount < 0 else ''}{digits[:-decimals]}.{digits[-decimals:]}"


def at_scale(value: Decimal, least_decimals: int = 0) -> Decimal:
    """The same number, written the way `printed` writes it: what JSON shows is this Decimal's text."""
    return Decimal(printed(value, least_decimals))
