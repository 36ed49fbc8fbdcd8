"""What the firm is exposed to: open positions summed up by symbol, or by customer, at the latest prices however old.

Each sum is one statement over the open positions, exact. Money is base units of the account currency, rounded where it
is summed up: a position's own figure, rounded by itself, may differ by half a unit.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.db import connection

from accounts.arrays import array
from accounts.money import NEAREST, exact, to_base_units
from quotes.conversion import converted
from quotes.prices import Prices
from quotes.symbols import instruments
from trades.currency import decimals
from trades.spendable import rates_by

# A profit is converted at another rate than a loss, so each position is by itself; what a position is worth is
# converted as what has to be bought. Without a price, or a rate, there is no worth and no profit.
_SUMS: Final = """
WITH price AS (
    SELECT * FROM unnest(%(symbols)s::text[], %(bids)s::numeric[], %(asks)s::numeric[], %(gains)s::numeric[],
        %(losses)s::numeric[]) p(symbol, bid, ask, gain, loss)
),
hedges AS (
    SELECT {of} AS of, sum(o.hedged) AS hedged FROM (
        SELECT customer_id, instrument_id,
            least(sum(margin) FILTER (WHERE side = 'buy'), sum(margin) FILTER (WHERE side = 'sell')) AS hedged
        FROM trades_order
        WHERE status = 'OPEN' AND nets_margin AND (%(only)s::text IS NULL OR instrument_id = %(only)s)
        GROUP BY customer_id, instrument_id HAVING count(DISTINCT side) = 2
    ) o GROUP BY {of}
)
SELECT {of},
    count(*) FILTER (WHERE o.side = 'buy'), count(*) FILTER (WHERE o.side = 'sell'),
    coalesce(sum(o.quantity) FILTER (WHERE o.side = 'buy'), 0),
    coalesce(sum(o.quantity) FILTER (WHERE o.side = 'sell'), 0),
    coalesce(sum(o.quantity * p.bid * p.loss) FILTER (WHERE o.side = 'buy'), 0),
    coalesce(sum(o.quantity * p.ask * p.loss) FILTER (WHERE o.side = 'sell'), 0),
    coalesce(sum(r.result * CASE WHEN r.result < 0 THEN p.loss ELSE p.gain END), 0),
    sum(o.margin) - coalesce(min(h.hedged), 0), count(*) FILTER (WHERE p.symbol IS NULL OR p.loss IS NULL)
FROM trades_order o
LEFT JOIN price p ON p.symbol = o.instrument_id
LEFT JOIN hedges h ON h.of = {of}
CROSS JOIN LATERAL (SELECT o.quantity *
    CASE o.side WHEN 'buy' THEN p.bid - o.open_price ELSE o.open_price - p.ask END AS result) r
WHERE o.status = 'OPEN' AND (%(only)s::text IS NULL OR o.instrument_id = %(only)s)
GROUP BY {of} {order}
"""
_BY_SYMBOL: Final = _SUMS.format(of="o.instrument_id", order="ORDER BY o.instrument_id")
_BY_CUSTOMER: Final = _SUMS.format(
    of="o.customer_id",
    order="ORDER BY sum(o.quantity * CASE o.side WHEN 'buy' THEN p.bid ELSE p.ask END * p.loss) DESC NULLS LAST,"
    " o.customer_id LIMIT %(limit)s",
)


_UNIT: Final = Decimal(1)


@dataclass(frozen=True, slots=True)
class Exposure:
    """Of a symbol, or of a customer over their symbols. Quantities are of the base asset; money is base units of the
    account currency. `unpriced`: how many positions have no price, and count in neither worth nor profit."""

    of: Any
    longs: int
    shorts: int
    long_quantity: Decimal
    short_quantity: Decimal
    long_worth: int
    short_worth: int
    floating: int
    margin: int
    unpriced: int

    @property
    def net_quantity(self) -> Decimal:
        return self.long_quantity - self.short_quantity

    @property
    def net_worth(self) -> int:
        """What customers are long, less what they are short: the firm is the other side of it."""
        return self.long_worth - self.short_worth

    @property
    def gross_worth(self) -> int:
        return self.long_worth + self.short_worth


def by_symbol(prices: Prices | None) -> list[Exposure]:
    """Every symbol with open positions, by name."""
    return _asked(_BY_SYMBOL, prices, None, None)


def by_customer(prices: Prices | None, limit: int, symbol: str | None = None) -> list[Exposure]:
    """The customers with the largest positions, long and short together; in one symbol, or in all. `of` is the id."""
    return _asked(_BY_CUSTOMER, prices, symbol, limit)


@exact
def _asked(sql: str, prices: Prices | None, only: str | None, limit: int | None) -> list[Exposure]:
    known = list(prices.by_symbol.values()) if prices else []
    rates, counted_in = rates_by(prices.by_symbol if prices else {}), instruments()
    into = [rates.of(counted_in[one.symbol].counter_asset_id) if one.symbol in counted_in else None for one in known]
    with connection.cursor() as cursor:
        cursor.execute(
            sql,
            {
                "symbols": array(one.symbol for one in known),
                "bids": array(one.bid for one in known),
                "asks": array(one.ask for one in known),
                "gains": array(None if rate is None else converted(_UNIT, rate.gain) for rate in into),
                "losses": array(None if rate is None else converted(_UNIT, rate.loss) for rate in into),
                "only": only,
                "limit": limit,
            },
        )
        return [_exposure(*row) for row in cursor.fetchall()]


def _exposure(
    of: str | UUID,
    longs: int,
    shorts: int,
    long_quantity: Decimal,
    short_quantity: Decimal,
    long_worth: Decimal,
    short_worth: Decimal,
    floating: Decimal,
    margin: Decimal,
    unpriced: int,
) -> Exposure:
    worth = [to_base_units(one, decimals(), NEAREST) for one in (long_worth, short_worth)]
    profit = to_base_units(floating, decimals(), NEAREST)
    return Exposure(of, longs, shorts, long_quantity, short_quantity, worth[0], worth[1], profit, int(margin), unpriced)
