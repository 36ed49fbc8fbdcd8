"""Prices of markets that rest are kept from what they would fire, until one comes that was said after the gap.

They still move margin levels: a position is worth what its market says last. A pending order, a stop and a trailing
stop see nothing of them, so what a market did while it was halted, or told before its opening, fires nothing
afterwards, and moves no trailing stop. The tick decides once more, by its own time (`trades/margin/market.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from quotes.hours import NEVER_CLOSES, MarketHours, is_after_gap
from quotes.prices import Price

A_LITTLE: Final = timedelta(milliseconds=20)
"""How much later than by its estimate of the time a market opens for this process, so that the tick which follows finds
it open, too: what is said still earlier counts for nothing."""


class Parted(NamedTuple):
    """Prices at which something may execute, and others; and the symbols of the former where nothing opens."""

    trading: list[Price]
    resting: list[Price]
    close_only: set[str]


class Withheld:
    """The latest price of each market that rests, or has not said one since it opened."""

    def __init__(self) -> None:
        self._prices: dict[str, Price] = {}

    def waits_for_a_price(self, hours: Mapping[str, MarketHours], at: datetime) -> bool:
        """Whether a market executes at `at` of which no price has counted since it does. Then a reading is worth having
        whose clock is exact: one that waited for its answer makes every price older by as long."""
        return any(hours.get(symbol, NEVER_CLOSES).state_at(at).closes for symbol in self._prices)

    def parted(self, moved: Iterable[Price], hours: Mapping[str, MarketHours], at: datetime, clock: datetime) -> Parted:
        """Prices that moved, and those withheld before that count now. `at` is the firm's time, `clock` Redis'."""
        parted = Parted([], [], set())
        at -= A_LITTLE
        moved = list(moved)
        for price in moved:
            self._prices[price.symbol] = price
        for price in list(self._prices.values()):
            state = hours.get(price.symbol, NEVER_CLOSES).state_at(at)
            if is_after_gap(price.at, state, at, clock):
                del self._prices[price.symbol]
                parted.trading.append(price)
                if not state.opens:
                    parted.close_only.add(price.symbol)
        parted.resting.extend(price for price in moved if price.symbol in self._prices)
        return parted
