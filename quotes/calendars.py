"""A market's or a country's holidays, by the code that the `holidays` package has for it."""

from __future__ import annotations

from datetime import date
from functools import cache
from typing import Any

import holidays


class UnknownCalendar(ValueError):
    """The package knows no market and no country of this code."""


@cache
def calendar(code: str) -> Any:
    """Its holidays and weekends; years are worked out as they are asked for. Raises UnknownCalendar."""
    try:
        return holidays.financial_holidays(code)
    except NotImplementedError:
        pass
    try:
        return holidays.country_holidays(code)
    except NotImplementedError:
        raise UnknownCalendar(f"There is no calendar {code}.") from None


@cache
def days_off(code: str, year: int) -> frozenset[date]:
    """The holidays of one year, without weekends. Threads may share it. Raises UnknownCalendar."""
    return frozenset(type(calendar(code))(years=year))
