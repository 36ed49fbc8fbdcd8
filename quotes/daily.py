"""What each market closed at, day by day."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import connection

from accounts.export import ExportedPrice
from quotes.models import Instrument

# One market at a time, along its index; a row a day comes out.
_CLOSES = """
SELECT DISTINCT ON (1) (minute AT TIME ZONE 'UTC')::date, close
FROM quotes_candle WHERE instrument_id = %s ORDER BY 1, minute DESC
"""


def closes() -> Iterator[ExportedPrice]:
    """The mid price at each day's end (UTC) of every instrument, in the order of symbols and days."""
    pairs = Instrument.objects.order_by("symbol").values_list("symbol", "base_asset_id", "counter_asset_id")
    for symbol, base, counter in list(pairs):
        with connection.cursor() as cursor:
            cursor.execute(_CLOSES, [symbol])
            rows = cursor.fetchall()
        for day, close in rows:
            yield ExportedPrice(day, base, counter, close)
