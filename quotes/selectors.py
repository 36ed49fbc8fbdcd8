"""Whose quotes a caller may see, and the rows of instruments as they are now."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.db.models import QuerySet

from accounts.identity import Caller
from quotes.models import Instrument, Quote


def instruments_named(symbols: Sequence[str]) -> dict[str, Instrument]:
    """These instruments with their assets, switched off or not, read now (`symbols` may be a second old)."""
    found = Instrument.objects.select_related("base_asset", "counter_asset").filter(symbol__in=set(symbols))
    return {one.symbol: one for one in found}


def quotes_of(caller: Caller) -> QuerySet[Quote]:
    """The quotes this caller may see, newest first, each with the trade that used it."""
    mine = Quote.objects.select_related("instrument", "trade").order_by("-pk")
    if caller.customer_id is not None:
        mine = mine.filter(customer_id=caller.customer_id)
    return mine


def quote_of(caller: Caller, quote_id: UUID) -> Quote | None:
    return quotes_of(caller).filter(pk=quote_id).first()
