"""A margin account's figures, as /account and /balance show them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection

from quotes.conversion import Rates
from quotes.prices import Prices
from quotes.symbols import instruments
from trades.cash import SUM
from trades.currency import decimals, in_currency
from trades.margin import levels as figure
from trades.margin import pricing
from trades.spendable import Held, loss_of, lost, rates_by, spendable

# One statement, so that money and orders are of one moment: between two of them the engine may close an order.
_ACCOUNT = f"""
SELECT c.id, h.balance, h.is_called, h.available, h.held, h.hedged, o.instrument_id, o.side, o.quantity, o.open_price,
    o.margin, o.realized
FROM unnest(%(customers)s::uuid[]) c (id)
CROSS JOIN LATERAL (
    SELECT {SUM} AS balance,
        coalesce(bool_or(m.called_at IS NOT NULL), false) AS is_called,
        coalesce(sum(l.credits - l.debits) FILTER (WHERE l.type = 'available'), 0) AS available,
        coalesce(min(m.drawn + m.owed), 0) AS held,
        coalesce(min(m.hedged), 0) AS hedged
    FROM accounts_ledgeraccount l
    LEFT JOIN trades_marginaccount m ON m.customer_id = l.customer_id
    WHERE l.customer_id = c.id AND l.asset_id = %(currency)s AND l.type IN ('available', 'margin')
) h
LEFT JOIN trades_order o ON o.customer_id = c.id AND o.status = 'OPEN'
"""  # noqa: S608 - our own text


@dataclass(frozen=True, slots=True)
class Figures:
    """Base units of the account currency.

    `balance` is all the cash, reserved or not, less what the house has advanced; `margin` is what the open orders need
    together, their margins less what is `hedged` of them; `unrealized` what closing everything at the latest prices
    would bring.
    """

    balance: int
    margin: int
    unrealized: int
    is_called: bool
    hedged: int = 0  # of the open orders' margins: what positions against each other save
    withdrawable: int = field(default=0, compare=False)  # what can be spent; not reckoned for lists of many accounts

    @property
    def free_cash(self) -> int:
        return figure.free_cash(self.balance, self.margin)

    @property
    def equity(self) -> int:
        return figure.equity(self.balance, self.unrealized)

    @property
    def free_margin(self) -> int:
        return figure.free_margin(self.equity, self.margin)

    @property
    def level(self) -> Decimal | None:
        return figure.margin_level(self.equity, self.margin)

    @property
    def closeout_percent(self) -> Decimal:
        return figure.closeout_percent(self.equity, self.margin, settings.STOP_OUT_PERCENT)


def figures(customer_id: UUID, prices: Prices | None) -> Figures:
    """The customer's margin account, in one query; as `figures_of` has it."""
    return figures_of([customer_id], prices)[customer_id]


def figures_of(customer_ids: Collection[UUID], prices: Prices | None) -> dict[UUID, Figures]:
    """The margin accounts of these customers, in one query.

    Positions are valued at the latest price of their symbol, however old: a market that rests must not hide a loss, and
    the margin call and the stop-out reckon the same way. Without any price a position counts as unmoved.
    """
    with connection.cursor() as cursor:
        cursor.execute(_ACCOUNT, {"customers": [*customer_ids], "currency": settings.ACCOUNT_CURRENCY})
        rows = cursor.fetchall()
    by_customer: dict[UUID, list[Sequence[Any]]] = {}
    for customer_id, *row in rows:
        by_customer.setdefault(customer_id, []).append(row)
    return {customer_id: _figures(its, prices) for customer_id, its in by_customer.items()}


def _figures(rows: Sequence[Sequence[Any]], prices: Prices | None) -> Figures:
    """Of the rows of one customer, which begin alike and end in an open order each, or in none."""
    balance, is_called, available, held, hedged = rows[0][:5]
    known, rates = instruments(), rates_by(prices.by_symbol if prices else {})
    margin, unrealized = -int(hedged), 0
    losses, unpriced = Decimal(0), None
    for *_, symbol, side, quantity, open_price, reserved, realized in rows:
        if symbol is None:
            continue
        margin += int(reserved)
        unrealized += floating(symbol, side, quantity, open_price, realized, prices, rates)[1] or 0
        counted_in = known[symbol].counter_asset_id
        conversion, latest = rates.of(counted_in), prices.by_symbol.get(symbol) if prices else None
        if latest is not None and conversion is not None:
            losses += loss_of(side, open_price, quantity, latest, conversion.loss)
        else:
            unpriced = symbol if latest is None else rates.lacking(counted_in)
    withdrawable = spendable(int(available), Held(int(held) + lost(losses, decimals()), unpriced))
    return Figures(int(balance), margin, unrealized, is_called, int(hedged), withdrawable)


def floating(
    symbol: str,
    side: str,
    quantity: Decimal,
    open_price: Decimal,
    realized: Decimal,
    prices: Prices | None,
    rates: Rates,
) -> tuple[Decimal | None, int | None]:
    """The latest price that a position would close at, and the profit that would bring; None where there is none.

    `realized` is what its closed parts have brought, exactly; `rates` are those of `prices`.
    """
    latest = prices.by_symbol.get(symbol) if prices else None
    if latest is None:
        return None, None
    current, conversion = latest.exit(side), rates.of(instruments()[symbol].counter_asset_id)
    if conversion is None:
        return current, None
    return current, pricing.profit(side, open_price, current, quantity, decimals(), realized, conversion)


def shown_figures(found: Figures) -> dict[str, Any]:
    return {
        "currency": settings.ACCOUNT_CURRENCY,
        "balance": in_currency(found.balance),
        "equity": in_currency(found.equity),
        "margin": in_currency(found.margin),
        "hedgedMargin": in_currency(found.hedged),
        "freeMargin": in_currency(found.free_margin),
        "marginLevel": found.level,
        "unrealizedProfit": in_currency(found.unrealized),
        "marginCall": found.is_called,
        "closeoutPercent": found.closeout_percent,
        "withdrawable": in_currency(found.withdrawable),
    }
