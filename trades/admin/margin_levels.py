"""Margin accounts from the lowest level on, for the admin: ranked in one statement, shown with the API's own figures.

The rank is reckoned in floating point, because it only says who comes first. What is shown of the accounts of a page is
exact: the functions of `trades.margin.levels`, as the customers see it. A million open orders of a hundred thousand
customers are ranked in one to two seconds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from uuid import UUID

from django.db import connection

from accounts.arrays import array
from accounts.models import Asset
from quotes.prices import Prices
from quotes.symbols import instruments
from trades.cash import CASH
from trades.engine.queries import cash_of
from trades.margin.pricing import NOTHING
from trades.models import MarginAccount, Position
from trades.reads.figures import Figures, floating
from trades.spendable import rates_by

_RANKED = f"""
WITH price AS (
    SELECT * FROM unnest(%(symbols)s::text[], %(bids)s::float8[], %(asks)s::float8[], %(gains)s::float8[],
        %(losses)s::float8[]) p(symbol, bid, ask, gain, loss)
),
held AS (
    SELECT o.customer_id, sum(o.margin)::float8 - coalesce(min(m.hedged), 0)::float8 AS margin,
        %(unit)s * coalesce(sum(r.result * CASE WHEN r.result < 0 THEN p.loss ELSE p.gain END), 0) AS floating
    FROM trades_order o LEFT JOIN price p ON p.symbol = o.instrument_id
    LEFT JOIN trades_marginaccount m ON m.customer_id = o.customer_id
    CROSS JOIN LATERAL (SELECT o.quantity::float8 *
        CASE o.side WHEN 'buy' THEN p.bid - o.open_price::float8 ELSE o.open_price::float8 - p.ask END AS result) r
    WHERE o.status = 'OPEN' AND (%(only)s::uuid[] IS NULL OR o.customer_id = ANY(%(only)s::uuid[]))
    GROUP BY o.customer_id
),
cash AS ({CASH.format(whose="r.customer_id IN (SELECT customer_id FROM held)")})
SELECT customer_id, count(*) OVER () FROM held LEFT JOIN cash USING (customer_id)
ORDER BY (coalesce(cash::float8, 0) + floating) / nullif(margin, 0) NULLS LAST, customer_id
LIMIT %(limit)s OFFSET %(offset)s
"""  # noqa: S608 - our own text


def lowest_first(
    currency: Asset, now: Prices | None, limit: int, offset: int, only: Iterable[UUID] | None = None
) -> tuple[list[UUID], int]:
    """A page of the customers with open positions, or of those among `only`, and how many there are in all."""
    known = list(now.by_symbol.values()) if now else []
    into, counted_in = rates_by(now.by_symbol if now else {}), {s: i.counter_asset_id for s, i in instruments().items()}
    rates = [into.of(counted_in.get(price.symbol, "")) for price in known]
    with connection.cursor() as cursor:
        cursor.execute(
            _RANKED,
            {
                "symbols": [price.symbol for price in known],
                "bids": [float(price.bid) for price in known],
                "asks": [float(price.ask) for price in known],
                "gains": [rate and float(rate.gain.multiplier / rate.gain.divisor) for rate in rates],
                "losses": [rate and float(rate.loss.multiplier / rate.loss.divisor) for rate in rates],
                "unit": 10**currency.decimals,
                "only": None if only is None else array(only),
                "limit": limit,
                "offset": offset,
            },
        )
        rows = cursor.fetchall()
    return [customer for customer, _ in rows], rows[0][1] if rows else 0


def figures_of(
    customers: Collection[UUID], currency: Asset, now: Prices | None
) -> dict[UUID, tuple[MarginAccount, Figures]]:
    """What the engine notes about each of these margin accounts, and its exact figures. Three queries.

    Who has no row has nothing noted: they get one that isn't saved.
    """
    noted = {row.customer_id: row for row in MarginAccount.objects.filter(pk__in=customers)}
    margin: defaultdict[UUID, int] = defaultdict(int)
    unrealized: defaultdict[UUID, int] = defaultdict(int)
    rates = rates_by(now.by_symbol if now else {})
    held = Position.objects.filter(customer_id__in=customers)
    for customer, symbol, side, quantity, open_price, reserved, realized in held.values_list(
        "customer_id", "instrument_id", "side", "quantity", "open_price", "margin", "realized"
    ):
        assert open_price is not None, "an open order has its price"
        margin[customer] += int(reserved)
        unrealized[customer] += floating(symbol, side, quantity, open_price, realized or NOTHING, now, rates)[1] or 0
    cash = cash_of(customers)
    found = {}
    for customer in customers:
        row = noted.get(customer) or MarginAccount(customer_id=customer)
        is_called = row.called_at is not None
        used = margin[customer] - int(row.hedged)
        figures = Figures(cash.get(customer, 0), used, unrealized[customer], is_called, int(row.hedged))
        found[customer] = (row, figures)
    return found
