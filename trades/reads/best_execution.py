"""Best execution: what a day's deals cost beside the middle, and beside each source of their prices.

PostgreSQL counts: a line a symbol, side and what is compared with comes out, however many deals there were. Sums are
exact. Slippage is as in `slippage.py`: positive where the customer did worse.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple

from django.db import connection

from accounts import clock
from accounts.csv_cells import cell, written
from accounts.errors import Malformed
from accounts.ids import ID_LAG, floor_of
from accounts.money import NEAREST, at_scale, exact, rounded
from quotes import symbols
from trades.reads.slippage import BPS_DECIMALS
from trades.rounding import nearest

FIRST: Final = date(2000, 1, 1)
LAST: Final = date(2199, 12, 31)
MEAN_DECIMALS: Final = 4  # more than prices have
MIDDLE: Final = "mid"
COLUMNS: Final = (
    *("day", "symbol", "side", "against", "deals", "held", "not_kept", "quantity", "value", "cost"),
    *("mean", "median", "worst", "mean_bps", "median_bps", "worst_bps"),
)

# In tens of thousandths of a basis point, whole. Sixty decimals tell every half from what is only near to one.
_BPS = nearest("((slipped * 10000 * 10000)::numeric(200, 60) / other)").replace("%", "%%")

_REPORT = f"""
WITH done AS (
    SELECT o.instrument_id AS symbol, CASE WHEN (o.side = 'buy') = (d.kind = 'open') THEN 'buy' ELSE 'sell' END AS side,
        d.price, d.quantity, d.bid, d.ask, d.hold, d.sources
    FROM trades_deal d JOIN trades_order o ON o.id = d.order_id
    WHERE d.id >= %(first)s AND d.id < %(last)s AND d.at >= %(since)s AND d.at < %(until)s
        AND (%(symbol)s::text IS NULL OR o.instrument_id = %(symbol)s)
), compared AS (
    SELECT symbol, side, '' AS against, price, quantity, hold, (bid + ask) * 0.5 AS other FROM done
    UNION ALL
    SELECT symbol, side, split_part(one, ',', 1), price, quantity, hold,
        split_part(one, ',', CASE side WHEN 'buy' THEN 3 ELSE 2 END)::numeric
    FROM done, unnest(string_to_array(nullif(sources, ''), ';')) AS one
    WHERE split_part(one, ',', 2)::numeric > 0 AND split_part(one, ',', 3)::numeric > 0
), slipped AS (
    SELECT *, CASE side WHEN 'buy' THEN price - other ELSE other - price END AS slipped FROM compared
), measured AS (
    SELECT *, {_BPS} AS bps FROM slipped
)
SELECT symbol, side, against, count(other), count(hold), count(*) - count(other),
    sum(quantity) FILTER (WHERE other IS NOT NULL), sum(price * quantity) FILTER (WHERE other IS NOT NULL),
    sum(slipped * quantity), sum(slipped),
    percentile_disc(0.5) WITHIN GROUP (ORDER BY slipped), max(slipped),
    sum(bps), percentile_disc(0.5) WITHIN GROUP (ORDER BY bps), max(bps)
FROM measured GROUP BY symbol, side, against ORDER BY symbol, side, against
"""  # noqa: S608 - our own names


class Line(NamedTuple):
    """Of one symbol and side, beside the middle (`mid`) or one source; None where no deal has its price.

    `held`: how many of the deals were at a held price; `not_kept`: how many deals more have no price. `quantity` in the
    base asset; `value`, `cost` (slippage by quantity), `mean`, `median` and `worst` (a deal's, per whole unit) in the
    counter asset. The median of an even number of deals is the lower one of the middle two.
    """

    day: date
    symbol: str
    side: str
    against: str
    deals: int
    held: int
    not_kept: int
    quantity: Decimal | None
    value: Decimal | None
    cost: Decimal | None
    mean: Decimal | None
    median: Decimal | None
    worst: Decimal | None
    mean_bps: Decimal | None
    median_bps: Decimal | None
    worst_bps: Decimal | None


def day_of(text: str) -> date:
    """A day as it is given, YYYY-MM-DD. Raises ValueError."""
    day = date.fromisoformat(text)
    if not FIRST <= day <= LAST:
        raise ValueError(f"days are from {FIRST} to {LAST}")
    return day


def yesterday() -> date:
    """The firm's last whole day (UTC)."""
    return clock.firm_now().date() - timedelta(days=1)


def report(day: date, symbol: str = "") -> list[Line]:
    """A day of the firm's time (UTC), of all symbols or one. One query. Raises Malformed, UnknownSymbol."""
    if not FIRST <= day <= LAST:
        raise Malformed(f"Days are from {FIRST} to {LAST}.")
    since = datetime.combine(day, datetime.min.time(), UTC)
    until = since + timedelta(days=1)
    wanted: dict[str, Any] = {
        "since": since,
        "until": until,
        "first": floor_of(clock.real_of(since) - ID_LAG),
        "last": floor_of(clock.real_of(until) + ID_LAG),
        "symbol": symbols.instrument(symbol).symbol if symbol else None,
    }
    with connection.cursor() as cursor:
        cursor.execute(_REPORT, wanted)
        rows = cursor.fetchall()
    decimals = {one.symbol: one.price_decimals for one in symbols.instruments().values()}
    return [_line(day, row, decimals[row[0]]) for row in rows]


@exact
def _line(day: date, row: Sequence[Any], decimals: int) -> Line:
    symbol, side, against, deals, held, not_kept, quantity, value, cost, slipped, median, worst, *bps = row
    if not deals:
        return Line(day, symbol, side, against or MIDDLE, 0, held, not_kept, *(None,) * 9)
    total_bps, median_bps, worst_bps = (of.scaleb(-BPS_DECIMALS) for of in bps)
    return Line(
        day,
        symbol,
        side,
        against or MIDDLE,
        deals,
        held,
        not_kept,
        at_scale(quantity),
        at_scale(value, decimals),
        at_scale(cost, decimals),
        at_scale(rounded(slipped / deals, decimals + MEAN_DECIMALS, NEAREST), decimals),
        at_scale(median, decimals),
        at_scale(worst, decimals),
        at_scale(rounded(total_bps / deals, BPS_DECIMALS, NEAREST)),
        at_scale(median_bps),
        at_scale(worst_bps),
    )


def as_csv(lines: Sequence[Line]) -> str:
    """A header, and a row a line; nothing in it is taken for a formula."""
    return written([COLUMNS, *([cell(value) for value in line] for line in lines)])


def told(line: Line) -> dict[str, Any]:
    """For JSON."""
    return line._asdict() | {"day": line.day.isoformat()}
