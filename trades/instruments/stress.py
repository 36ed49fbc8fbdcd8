"""What would fire if a symbol's price were another by some percent: the book and the rules run at those prices.

As with a change of an instrument (`preview.py`) nothing is written or locked, and the market counts as open.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final
from uuid import UUID

import redis

from accounts.errors import Unavailable
from accounts.money import exact
from quotes import prices as markets
from quotes.errors import UnknownSymbol
from quotes.models import Instrument
from quotes.prices import Price, Prices
from quotes.selectors import instruments_named
from trades.engine.rehearsal import Rehearsed, rehearse
from trades.instruments.errors import NoPriceToStateBy
from trades.instruments.preview import as_if_open
from trades.instruments.statement import ChangeStatement, stated
from trades.states import CloseReason, OrderStatus

PERCENTS: Final = tuple(map(Decimal, (-10, -5, -1, 1, 5, 10)))


@dataclass(frozen=True, slots=True)
class Stressed:
    """At one price: what fires, and of each customer how many positions a stop-out closes and what that brings them,
    base units of the account currency."""

    percent: Decimal
    statement: ChangeStatement
    positions: dict[UUID, int]
    results: dict[UUID, int]

    @property
    def result(self) -> int:
        """What the stop-outs bring customers, all together: below zero what they lose."""
        return sum(self.results.values())


def stress(symbol: str) -> list[Stressed]:
    """A symbol's price moved by each of PERCENTS, one run of the book each. Seconds, where there are many orders.

    Raises UnknownSymbol, NoPriceToStateBy, Unavailable.
    """
    instrument = instruments_named([symbol]).get(symbol)
    if instrument is None:
        raise UnknownSymbol
    try:
        now = markets.latest()
    except redis.RedisError as error:
        raise Unavailable("Redis can't be reached: nobody can say what would fire.") from error
    price = now.by_symbol.get(symbol)
    if price is None:
        raise NoPriceToStateBy
    return [_at(percent, _moved(price, percent, instrument, now), now, instrument) for percent in PERCENTS]


def _at(percent: Decimal, price: Price, now: Prices, instrument: Instrument) -> Stressed:
    positions: Counter[UUID] = Counter()
    results: defaultdict[UUID, int] = defaultdict(int)
    parts = _counted(rehearse(now, as_if_open(now, price), instrument), positions, results)
    return Stressed(percent, stated(price, parts), dict(positions), dict(results))


def _counted(
    parts: Iterable[Rehearsed], positions: Counter[UUID], results: defaultdict[UUID, int]
) -> Iterator[Rehearsed]:
    for part in parts:
        for change in part.changed:
            order = change.order
            if order.status == OrderStatus.CLOSED and order.close_reason == CloseReason.STOP_OUT:
                positions[order.customer_id] += 1
                results[order.customer_id] += order.profit or 0
        yield part


@exact
def _moved(price: Price, percent: Decimal, instrument: Instrument, now: Prices) -> Price:
    """Bid and ask moved alike, as fresh as can be; a price has its instrument's decimals."""
    factor = 1 + percent / 100
    unit = Decimal(1).scaleb(-instrument.price_decimals)
    bid, ask = (max(unit, (side * factor).quantize(unit)) for side in (price.bid, price.ask))
    return replace(price, bid=bid, ask=max(bid, ask), at=now.now)
