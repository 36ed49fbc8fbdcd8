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
from quotes.conversion import ONE, Rate, Rates, converted_down
from quotes.prices import Price
from quotes.symbols import instruments
from trades.currency import decimals

# Exact: rounded once, at the end; what is converted is cut off after 36 decimals, as `loss_of` has it. The last columns
# name a symbol that has no price, and say how many positions there are.
LOSSES: Final = """
SELECT o.customer_id,
       coalesce(sum(greatest(0, CASE WHEN p.divisor IS NULL THEN l.loss
           ELSE trunc(round(l.loss * p.multiplier, 100) / p.divisor, 36) END)), 0),
       min(CASE WHEN p.symbol IS NULL THEN o.instrument_id ELSE p.lacks END),
       count(*)
FROM trades_order o
LEFT JOIN unnest(%s::text[], %s::numeric[], %s::numeric[], %s::numeric[], %s::numeric[], %s::text[])
    AS p(symbol, bid, ask, multiplier, divisor, lacks) ON p.symbol = o.instrument_id
CROSS JOIN LATERAL (SELECT
    CASE o.side WHEN 'buy' THEN o.open_price - p.bid ELSE p.ask - o.open_price END * o.quantity AS loss) l
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
        losses = {
            customer: Held(lost(exactly, decimals()), unpriced) for customer, exactly, unpriced, _ in cursor.fetchall()
        }
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
    for kept in beyond(debited).values():
        raise InsufficientFunds(sentence(kept))


def beyond(debited: Sequence[Locked]) -> dict[UUID, Held]:
    """Of whose available accounts more was taken than could be spent, and what their positions keep.

    As `refuse_beyond`, which refuses where there is any.
    """
    own = {row.account.customer_id: row for row in debited if row.account.asset == settings.ACCOUNT_CURRENCY}
    customers = [customer for customer in own if customer is not None]
    if not has_something_held(customers):
        return {}
    asked = clock.now()
    held = held_by_positions(customers, markets.latest().by_symbol)
    found = {customer: held.get(customer, NOTHING) for customer in customers}
    spent = {customer: kept for customer, kept in found.items() if not covers(own[customer].balance, kept)}
    if not spent:
        clock.must_commit_by(asked + LONGEST)
    return spent


def spendable_now(row: Locked) -> int:
    """What can be spent of a locked available account. The transaction must be committed soon after.

    Raises InsufficientFunds where a position has no price, so that nobody knows; redis.RedisError where positions are
    open and no price can be read.
    """
    customer = row.account.customer_id
    if customer is None or row.account.asset != settings.ACCOUNT_CURRENCY or not has_something_held([customer]):
        return row.balance
    asked = clock.now()
    kept = held_by_positions([customer], markets.latest().by_symbol).get(customer, NOTHING)
    if kept.unpriced is not None:
        raise InsufficientFunds(sentence(kept))
    clock.must_commit_by(asked + LONGEST)
    return spendable(row.balance, kept)


def covers(available: int, held: Held) -> bool:
    """Whether an available balance is no less than what positions keep, as far as that is known."""
    return held.unpriced is None and available >= held.amount


def has_something_held(customers: Sequence[UUID]) -> bool:
    """Whether any of these has an open position, or a loss that was drawn or advanced."""
    with connection.cursor() as cursor:
        cursor.execute(_ANY, [array(customers), array(customers)])
        return bool(cursor.fetchone()[0])


def sentence(kept: Held) -> str:
    """Why a balance that is less, or nobody knows how much less, is refused."""
    if kept.unpriced is not None:
        return f"What can be spent isn't known: there is no price of {kept.unpriced}."
    return f"Open positions need {printed_amount(kept.amount, decimals())} {settings.ACCOUNT_CURRENCY} of the balance."


def columns(prices: Mapping[str, Price]) -> tuple[str, str, str, str, str, str]:
    """Symbols, bids, asks, and of those counted in another currency the rate of a loss, multiplier and divisor, or the
    symbol whose price lacks for it; as array literals."""
    rows, known = list(prices.values()), instruments()
    rates = rates_by(prices)
    counted_in = [known[p.symbol].counter_asset_id if p.symbol in known else rates.target for p in rows]
    found = [rates.of(currency) for currency in counted_in]
    converted = [None if one is None or one.loss.is_one else one.loss for one in found]
    return (
        array([p.symbol for p in rows]),
        array([p.bid for p in rows]),
        array([p.ask for p in rows]),
        array([None if rate is None else rate.multiplier for rate in converted]),
        array([None if rate is None else rate.divisor for rate in converted]),
        array(
            [rates.lacking(currency) if one is None else None for one, currency in zip(found, counted_in, strict=True)]
        ),
    )


def rates_by(prices: Mapping[str, Price]) -> Rates:
    """The rates into the account currency at these prices, however old."""
    return Rates(instruments(), settings.ACCOUNT_CURRENCY, prices.get)


@exact
def loss_of(side: str, open_price: Decimal, quantity: Decimal, latest: Price, rate: Rate = ONE) -> Decimal:
    """What one position has lost, exactly, in the account currency; 0 for one that has not.

    What is converted, at the rate of a loss, is cut off after 36 decimals: all losses together are rounded up.
    """
    price = latest.exit(side)
    return max(
        Decimal(0), converted_down((open_price - price if side == "buy" else price - open_price) * quantity, rate)
    )


@exact
def lost(exactly: Decimal, decimals: int) -> int:
    """The losses of all positions together, in base units of a currency with so many decimals, rounded up."""
    return to_base_units(exactly, decimals, UP)
