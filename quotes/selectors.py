"""Whose quotes a caller may see, the rows of instruments as they are now, and who holds which price."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final
from uuid import UUID

from django.db import connection
from django.db.models import Q, QuerySet

from accounts.identity import Caller
from quotes.models import Instrument, PriceHold, Quote
from quotes.prices import HoldState, Price, held_at

HELD_BY: Final = "operator"
"""Who holds a price, as everybody else is told."""

# By instrument the last row, found by the index: the history may be long.
_LAST: Final = """
SELECT i.symbol, h.number, h.bid, h.ask
FROM quotes_instrument i
LEFT JOIN LATERAL (
    SELECT number, bid, ask FROM quotes_pricehold WHERE instrument_id = i.symbol ORDER BY number DESC LIMIT 1
) h ON true
"""


def instruments_named(symbols: Sequence[str]) -> dict[str, Instrument]:
    """These instruments with their assets, switched off or not, read now (`symbols` may be a second old)."""
    found = Instrument.objects.select_related("base_asset", "counter_asset").filter(symbol__in=set(symbols))
    return {one.symbol: one for one in found}


def quotes() -> QuerySet[Quote]:
    """Newest first, each with the trade or the payment that used it."""
    return Quote.objects.select_related("instrument", "trade", "payment").order_by("-pk")


def quote_of(caller: Caller, quote_id: UUID) -> Quote | None:
    """A quote that this caller may use."""
    mine = quotes() if caller.customer_id is None else quotes().filter(customer_id=caller.customer_id)
    return mine.filter(pk=quote_id).first()


def hold_states(seen: Mapping[str, int]) -> dict[str, HoldState]:
    """Whether each instrument is held, by its last row. `seen` are the numbers that Redis knew before this call.

    A row is committed before Redis gets its number: one that isn't here is of before PostgreSQL was restored.
    """
    with connection.cursor() as cursor:
        cursor.execute(_LAST)
        rows: list[tuple[str, int | None, Decimal | None, Decimal | None]] = cursor.fetchall()
    states = {}
    for symbol, number, bid, ask in rows:
        price = "" if bid is None or ask is None else held_at(bid, ask)
        unknown = seen.get(symbol, 0)
        states[symbol] = HoldState(number or 0, price, unknown if unknown > (number or 0) else None)
    return states


def holds_behind(prices: Iterable[Price]) -> dict[str, PriceHold]:
    """By symbol who holds these prices, of those that are held and whose row is known. A query where one is held."""
    held = [Q(instrument_id=price.symbol, number=price.hold) for price in prices if price.hold]
    if not held:
        return {}
    found = PriceHold.objects.select_related("by", "by_client").filter(_any(held), bid__isnull=False)
    return {hold.instrument_id: hold for hold in found}


def holds_that_stand() -> list[PriceHold]:
    """The holds of now, by symbol: of each instrument its last row, where that is no release. One query."""
    last = PriceHold.objects.order_by("instrument_id", "-number").distinct("instrument_id")
    return [hold for hold in last if hold.is_held]


def who(hold: PriceHold) -> str:
    """Who holds a price, as the staff are told."""
    if hold.by_client is not None:
        return f"API client {hold.by_client.name}"
    return hold.by.email if hold.by else "the command line"


def _any(conditions: Sequence[Q]) -> Q:
    whole = Q()
    for condition in conditions:
        whole |= condition
    return whole
