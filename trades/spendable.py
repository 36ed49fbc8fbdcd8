"""What a customer can spend: open orders with, withdraw, deliver, pay. One rule, one figure.

    spendable = available cash - what losses have drawn - what is owed - what open positions have lost

The losses are those of the positions that would lose if they were closed now, at the exit side of the latest prices;
the profits of others don't count, for they are no money yet. `drawn` is by how much less is reserved than the open
orders need. So it is free margin without profits, and never more than the available cash, for none of the three that
are taken off is below zero. It is a rule of the account currency alone: other assets carry no margin.

A closed market's last price counts as the latest one. Where a position has no price at all, what it has lost is
unknown, and nothing can be spent until there is one.

Whoever spends holds the lock of the customer's available account: the engine takes it, too, before it opens or closes
anything of theirs, so what is read here stays true until the transaction ends.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import connection

from accounts import clock
from accounts.arrays import array
from accounts.errors import InsufficientFunds
from accounts.ledger import Locked
from accounts.money import UP, exact, printed_amount, to_base_units
from quotes import prices as markets
from quotes.prices import Price
from trades.currency import decimals

# Exact: rounded once, at the end. `unpriced` names a symbol that has no price.
LOSSES: Final = """
SELECT o.customer_id,
       coalesce(sum(greatest(0, CASE o.side WHEN 'buy' THEN o.open_price - p.bid ELSE p.ask - o.open_price END
                                * o.quantity)), 0),
       min(CASE WHEN p.symbol IS NULL THEN o.instrument_id END)
FROM trades_order o
LEFT JOIN unnest(%s::text[], %s::numeric[], %s::numeric[]) AS p(symbol, bid, ask) ON p.symbol = o.instrument_id
WHERE o.customer_id = ANY(%s::uuid[]) AND o.status = 'OPEN'
GROUP BY o.customer_id
"""
_NOTED: Final = """
SELECT customer_id, drawn + owed FROM trades_marginaccount
WHERE customer_id = ANY(%s::uuid[]) AND (drawn > 0 OR owed > 0)
"""

_ANY: Final = """
SELECT EXISTS (SELECT FROM trades_order WHERE customer_id = ANY(%s::uuid[]) AND status = 'OPEN')
    OR EXISTS (SELECT FROM trades_marginaccount WHERE customer_id = ANY(%s::uuid[]) AND (drawn > 0 OR owed > 0))
"""
LONGEST: Final = timedelta(seconds=3)  # from the reading of prices to the commit of what was decided by them


@dataclass(frozen=True, slots=True)
class Held:
    """What a customer's open positions keep from being spent, in base units; `unpriced` is a symbol without a price."""

    amount: int
    unpriced: str | None


NOTHING: Final = Held(0, None)


def spendable(available: int, held: Held) -> int:
    """Of an available balance; never below zero."""
    return 0 if held.unpriced is not None else max(0, available - held.amount)


def held_by_positions(customers: Collection[UUID], prices: Mapping[str, Price]) -> dict[UUID, Held]:
    """By customer, those from whom nothing is held left out. Two statements, however many they are.

    Call it with the customers' available accounts locked, at prices read for this decision.
    """
    with connection.cursor() as cursor:
        cursor.execute(LOSSES, [*columns(prices), array(customers)])
        losses = {customer: Held(lost(exactly), unpriced) for customer, exactly, unpriced in cursor.fetchall()}
        cursor.execute(_NOTED, [array(customers)])
        for customer, noted in cursor.fetchall():
            before = losses.get(customer, NOTHING)
            losses[customer] = replace(before, amount=before.amount + int(noted))
    return losses


def refuse_beyond(debited: Sequence[Locked]) -> None:
    """Refuse a transaction that took more out of these available accounts than could be spent. Call it last, once.

    Their rows are locked and up to date with what was posted; those of other assets than the account currency don't
    matter. Prices are read here, and the transaction must be committed soon after.
    Raises InsufficientFunds, redis.RedisError where positions are open and no price can be read, clock.TooLate.
    """
    own = {row.account.customer_id: row for row in debited if row.account.asset == settings.ACCOUNT_CURRENCY}
    customers = [customer for customer in own if customer is not None]
    if not has_something_held(customers):
        return
    asked = clock.now()
    held = held_by_positions(customers, markets.latest().by_symbol)
    for customer in customers:
        left, kept = own[customer].balance, held.get(customer, NOTHING)
        if kept.unpriced is not None or left < kept.amount:
            raise InsufficientFunds(_sentence(kept))
    clock.must_commit_by(asked + LONGEST)


def has_something_held(customers: Sequence[UUID]) -> bool:
    """Whether any of these has an open position, or a loss that was drawn or advanced."""
    with connection.cursor() as cursor:
        cursor.execute(_ANY, [array(customers), array(customers)])
        return bool(cursor.fetchone()[0])


def _sentence(kept: Held) -> str:
    if kept.unpriced is not None:
        return f"What can be spent isn't known: there is no price of {kept.unpriced}."
    return f"Open positions need {printed_amount(kept.amount, decimals())} {settings.ACCOUNT_CURRENCY} of the balance."


def columns(prices: Mapping[str, Price]) -> tuple[str, str, str]:
    """Symbols, bids and asks, as array literals."""
    rows = list(prices.values())
    return array([p.symbol for p in rows]), array([p.bid for p in rows]), array([p.ask for p in rows])


@exact
def loss_of(side: str, open_price: Decimal, quantity: Decimal, latest: Price) -> Decimal:
    """What one position has lost, exactly; 0 for one that has not."""
    price = latest.exit(side)
    return max(Decimal(0), (open_price - price if side == "buy" else price - open_price) * quantity)


@exact
def lost(exactly: Decimal) -> int:
    """The losses of all positions together, in base units, rounded up."""
    return to_base_units(exactly, decimals(), UP)
