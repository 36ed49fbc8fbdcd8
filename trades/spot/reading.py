"""One reading of the prices, and until when what was judged by it may be committed.

A process may stand still between any two of its lines. So a reading counts from before it was asked for, and
PostgreSQL refuses the transaction that would end when a price in it is older than its limit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from accounts import clock
from quotes.models import Instrument
from quotes.prices import Prices

Source = Callable[[], Prices | None]
"""Reads the latest prices; None where nobody can, then trades wait."""

WRITTEN_WITHIN: Final = timedelta(seconds=30)  # of the time that stands in the rows; a set takes a fraction of a second


@dataclass(frozen=True, slots=True)
class PriceReading:
    """Prices, and PostgreSQL's clock before they were asked for."""

    prices: Prices | None
    asked: datetime

    def good_until(self, instruments: Iterable[Instrument]) -> datetime | None:
        """Until when all of these instruments' prices that may be used may still be; None where none is used."""
        if self.prices is None:
            return None
        ends = []
        for one in instruments:
            price = self.prices.usable(one.symbol, one.price_age_limit_seconds)
            if price is not None:
                left = timedelta(seconds=one.price_age_limit_seconds) - (self.prices.now - price.at)
                ends.append(self.asked + left)
        return min(ends, default=None)


def read(source: Source) -> PriceReading:
    """Ask for the prices. In this order: whatever the answer takes, the prices are older by it."""
    asked = clock.now()
    return PriceReading(source(), asked)
