"""The terms of an instrument that move prices or money: how they are said, and what each of them may be."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import connection, models

from accounts import json_codec
from accounts.errors import Malformed
from accounts.money import exact as exact_digits
from accounts.money import parse_decimal, printed
from quotes import leverage
from quotes.models import Instrument, TradingHours
from quotes.models.instrument import MOVING, HedgedMargin

Term = Decimal | int | str | None
NONE: Final = "none"  # how a term without a value is said
_ABOVE_ZERO: Final = ("simulator_price", "min_quantity", "jump_limit_percent", "max_spread_percent", "outlier_percent")
_BASIS_POINTS: Final = ("spread_bps", "markup_bps", "fee_bps", "simulator_step_bps", "least_distance_bps")
_SIGNED_BASIS_POINTS: Final = ("swap_long_bps", "swap_short_bps")
_DECIMALS: Final = ("price_decimals", "quantity_decimals")
_SPREADS: Final = frozenset({"spread_bps", "max_spread_percent"})
DECIMALS: Final = frozenset(_DECIMALS)
HOURS: Final = "trading_hours_id"
"""The name of trading hours."""
TIERS: Final = "leverage_tiers"
HEDGED: Final = "hedged_margin"


def out_of_bounds(given: Mapping[str, Any]) -> dict[str, str]:
    """By name, the sentence about each value that makes no sense, alone or beside the others given."""
    found = {}
    for name, value in given.items():
        if value is None:
            continue
        if name in _ABOVE_ZERO and value <= 0:
            found[name] = "Must be greater than 0."
        elif name in _BASIS_POINTS and not 0 <= value < 10_000:
            found[name] = "Must be from 0 to below 10000."
        elif name in _SIGNED_BASIS_POINTS and abs(value) >= 10_000:
            found[name] = "Must be above -10000 and below 10000."
        elif name in _DECIMALS and value > 18:
            found[name] = "At most 18."
        elif name == "least_sources" and not 1 <= value <= 16:
            found[name] = "From 1 to 16."
    spread, widest = given.get("spread_bps"), given.get("max_spread_percent")
    if spread is not None and widest is not None and spread > widest * 100:
        found["spread_bps"] = "Wider than the greatest spread: none of its prices would count."
    return found


def parsed(said: Mapping[str, object]) -> dict[str, Term]:
    """Terms by their columns' names, from texts or numbers. Raises Malformed, naming the term."""
    return {name: _parsed(name, value) for name, value in said.items()}


def _parsed(name: str, said: object) -> Term:
    if name not in MOVING:
        raise Malformed(f"{name[:40]!r} is none of the terms that are changed this way: {', '.join(MOVING)}.")
    if name == HOURS:
        return _hours(said)
    if name == TIERS:
        return _tiers(said)
    if name == HEDGED:
        return _hedged(said)
    if isinstance(said, str) and said == NONE:
        return None
    number = parse_decimal(said)
    if number is None:
        raise Malformed(f"{name}: {str(said)[:40]!r} is not a number.")
    if isinstance(_column(name), models.DecimalField):
        return number
    if number != number.to_integral_value() or abs(number) > 32767:
        raise Malformed(f"{name}: a whole number of at most 32767.")
    return int(number)


def _hours(said: object) -> str:
    found = TradingHours.objects.filter(pk=said).first() if isinstance(said, str) and "\0" not in said else None
    if found is None:
        raise Malformed(f"{HOURS}: there are no trading hours named {str(said)[:40]!r}.")
    return str(found.pk)


def _tiers(said: object) -> str:
    tiers = leverage.parsed("" if said == NONE else said)
    if tiers is None:
        raise Malformed(f"{TIERS}: such as 100000:50, 500000:20; exposures that rise, and leverages that fall.")
    return leverage.written(tiers)


def _hedged(said: object) -> str:
    if not isinstance(said, str) or said not in HedgedMargin.values:
        raise Malformed(f"{HEDGED}: one of {', '.join(HedgedMargin.values)}.")
    return said


def with_terms(instrument: Instrument, wanted: Mapping[str, Term]) -> Instrument:
    """The instrument as it would be; the one given stays as it is. Raises Malformed where it could not be."""
    would = copy.copy(instrument)
    for name, value in wanted.items():
        setattr(would, name, value)
    spreads = {name: getattr(would, name) for name in _SPREADS} if wanted.keys() & _SPREADS else {}
    wrong = out_of_bounds({**spreads, **wanted})
    try:
        would.clean_fields(exclude={field.name for field in would._meta.fields if field.name not in wanted})
        would.validate_constraints(exclude={f.name for f in would._meta.fields if f.name not in wanted})
    except ValidationError as error:
        wrong = {name: " ".join(sentences) for name, sentences in error.message_dict.items()} | wrong
    if wrong:
        raise Malformed(" ".join(f"{name}: {sentence}" for name, sentence in sorted(wrong.items())))
    return would


@exact_digits
def kept(name: str, value: Term) -> str | None:
    """A term as a proposal's row keeps it: a number as a text, at its column's scale."""
    if value is None:
        return None
    column = _column(name)
    if isinstance(column, models.DecimalField):
        return f"{Decimal(value).quantize(Decimal(1).scaleb(-column.decimal_places)):f}"
    return str(value)


def of_kept(new: Mapping[str, str | None]) -> dict[str, Term]:
    """The terms of a proposal's row."""
    return parsed({name: NONE if value is None else value for name, value in new.items()})


def shown(value: str | None) -> str:
    """A kept term for people: 9, and not 9.000."""
    if value is None:
        return NONE
    number = parse_decimal(value)
    return (value or NONE) if number is None else printed(number)


def beyond_band(symbol: str, new: Mapping[str, str | None]) -> list[str]:
    """Which of these (kept) terms are further from what two persons agreed to than one may go alone."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT terms_beyond_band(%s, %s::jsonb)", [symbol, json_codec.dumps(dict(new)).decode()])
        return list(cursor.fetchone()[0])


def _column(name: str) -> Any:
    return Instrument._meta.get_field(name)
