"""What the book is rebuilt from: a partition's live orders and their customers' accounts, out of PostgreSQL as arrays.

A column whose values all have one width and are never null is, as PostgreSQL sends it in binary, an array already: a
million orders need no million objects. A missing number is NaN.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import psycopg
from django.db import connection

from accounts.ids import PARTITIONS
from trades.cash import CASH
from trades.margin.triggers import Bound, level

_ARRAY_HEADER_BYTES = 20
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_MICROSECONDS = "coalesce((extract(epoch FROM {}) * 1000000)::bigint, 0)"
_NUMBER = "coalesce(({})::float8, 'NaN')"


_ORDER_COLUMNS = {
    "id": ("V16", "o.id"),
    "customer": ("V16", "o.customer_id"),
    "symbol": (">i4", "s.number::int"),
    "is_buy": ("?", "o.side = 'buy'"),
    "is_open": ("?", "o.status = 'OPEN'"),
    "trails": ("?", "o.status = 'OPEN' AND o.trailing_stop IS NOT NULL"),
    "quantity": (">f8", "(CASE WHEN o.status = 'OPEN' THEN o.quantity ELSE 0 END)::float8"),
    "open_price": (">f8", "coalesce(o.open_price, 0)::float8"),
    "margin": (">f8", "o.margin::float8"),
    "lower": (">f8", _NUMBER.format(level(Bound.AT_OR_BELOW))),
    "upper": (">f8", _NUMBER.format(level(Bound.AT_OR_ABOVE))),
    "peak": (">f8", _NUMBER.format("o.trail_peak")),
    "distance": (">f8", _NUMBER.format("o.trailing_stop")),
    "trail_at": (">i8", _MICROSECONDS.format("o.trail_at")),
    "code": ("S20", "o.code::character(20)"),
}
_ORDERS = """
FROM trades_order o
JOIN accounts_customer c ON c.id = o.customer_id
JOIN unnest(%(symbols)s::text[]) WITH ORDINALITY AS s(symbol, number) ON s.symbol = o.instrument_id
WHERE o.status IN ('OPEN', 'PENDING') AND c.partition = ANY(%(buckets)s::int[])
GROUP BY c.partition
"""

_ACCOUNT_COLUMNS = {
    "customer": ("V16", "c.id"),
    "cash": (">f8", "coalesce(l.cash, 0)::float8"),
    "hedged": (">f8", "coalesce(m.hedged, 0)::float8"),
    "called": ("?", "m.called_at IS NOT NULL"),
}
_ACCOUNTS = f"""
FROM accounts_customer c
LEFT JOIN trades_marginaccount m ON m.customer_id = c.id
LEFT JOIN ({CASH.format(whose="r.customer_id IS NOT NULL")}) l ON l.customer_id = c.id
WHERE c.partition = ANY(%(buckets)s::int[]) AND c.id IN (
    SELECT customer_id FROM trades_order WHERE status IN ('OPEN', 'PENDING')
    UNION SELECT customer_id FROM trades_marginaccount WHERE called_at IS NOT NULL
)
GROUP BY c.partition
"""  # noqa: S608 - our own text

_EXTREME_COLUMNS = {
    "symbol": (">i4", "s.number::int"),
    "at": (">i8", _MICROSECONDS.format("e.at")),
    "highest_bid": (">f8", "e.highest_bid::float8"),
    "lowest_ask": (">f8", "e.lowest_ask::float8"),
}
_EXTREMES = """
FROM trades_priceextreme e
JOIN unnest(%(symbols)s::text[]) WITH ORDINALITY AS s(symbol, number) ON s.symbol = e.instrument_id
GROUP BY e.partition
"""


def microseconds(at: datetime | None) -> int:
    """A moment as the arrays have it: whole microseconds since 1970, 0 for none."""
    return 0 if at is None else (at - _EPOCH) // timedelta(microseconds=1)


def live_orders(partition: int, partitions: int, symbols: list[str]) -> npt.NDArray[Any]:
    """Open and pending orders, a record each; `symbol` counts `symbols` from 1, quantities of pending ones are 0.

    Only the engine writes orders, and it holds the partition's lease, so they and `accounts` fit together.
    """
    return _selected(_ORDER_COLUMNS, _ORDERS, {"buckets": _buckets(partition, partitions), "symbols": symbols})


def accounts(partition: int, partitions: int) -> npt.NDArray[Any]:
    """The customers that have live orders, or are called: all their cash, less what they owe, and what is
    hedged of their margins; base units."""
    return _selected(_ACCOUNT_COLUMNS, _ACCOUNTS, {"buckets": _buckets(partition, partitions)})


def _buckets(partition: int, partitions: int) -> list[int]:
    """The customers' partitions that this engine serves: by name, so that the planner knows how many they are."""
    return [bucket for bucket in range(PARTITIONS) if bucket % partitions == partition]


def extremes(symbols: list[str]) -> npt.NDArray[Any]:
    """All rows of `price_extremes.py`, oldest first."""
    rows = _selected(_EXTREME_COLUMNS, _EXTREMES, {"symbols": symbols})
    return rows[np.argsort(rows["at"], kind="stable")]


def peaks_since(
    rows: npt.NDArray[Any], side: str, peaks: npt.NDArray[Any], set_at: npt.NDArray[Any]
) -> npt.NDArray[np.float64]:
    """The best exit prices of trailing orders of one symbol and side, as `extremes.peaks` finds them one by one."""
    further, name = (np.fmax, "highest_bid") if side == "buy" else (np.fmin, "lowest_ask")
    best_from = np.append(further.accumulate(rows[name][::-1])[::-1], np.nan)
    found: npt.NDArray[np.float64] = further(peaks, best_from[np.searchsorted(rows["at"], set_at, side="left")])
    return found


def _selected(columns: dict[str, tuple[str, str]], source: str, given: dict[str, Any]) -> npt.NDArray[Any]:
    """The rows of a statement that ends in GROUP BY: an array of each column and group, a row may not exceed 1 GB."""
    selected = ", ".join(f"array_agg({expression})" for _, expression in columns.values())
    connection.ensure_connection()
    with connection.wrap_database_errors:
        cursor = psycopg.Cursor(cast("psycopg.Connection[Any]", connection.connection))
        cursor.execute(f"SELECT {selected} {source}".encode(), given, binary=True)
    result = cursor.pgresult
    assert result is not None
    as_sent = [np.dtype([("length", ">i4"), ("value", type_)]) for type_, _ in columns.values()]
    parts = []
    for group in range(result.ntuples):
        arrays = [memoryview(result.get_value(group, n) or b"")[_ARRAY_HEADER_BYTES:] for n in range(len(columns))]
        parts.append([np.frombuffer(data, sent) for data, sent in zip(arrays, as_sent, strict=True)])
    rows = np.empty(
        sum(len(part[0]) for part in parts),
        [(name, np.dtype(type_).newbyteorder("=")) for name, (type_, _) in columns.items()],
    )
    for n, name in enumerate(columns):
        if parts:
            np.concatenate([part[n]["value"] for part in parts], out=rows[name])
    return rows
