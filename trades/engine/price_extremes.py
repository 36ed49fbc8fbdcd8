"""How far prices went while trailing stops watched them: a row an instrument, so that no price is a write an order.

A trailing stop follows the best exit price since it was set. Its own row keeps the price of that moment
(`trail_peak`, `trail_at`); everything after it is in here. A row of extremes holds the highest bid and the lowest ask
of the prices that an engine has judged since the row's `at`, so it counts for the orders whose `trail_at` is no
later. Setting a trailing stop therefore ends the row at hand: the next judged price begins another, which counts for
the new order and the old ones alike.

Rows of every partition count, for the number of engines may have changed since they were written: each holds
prices that an engine of the firm has judged, and that were on offer after the stop was set.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from django.db import connection

from accounts.arrays import array, new_ids
from accounts.db.pipeline import Pipeline
from quotes.prices import Price
from trades.margin.rows import OrderRow


class ExtremeRow(NamedTuple):
    """The extremes of the prices that a partition's engine has judged since `at` (PostgreSQL's clock).

    `at` is None for a row that the tick at hand begins: it gets the tick's own time.
    """

    partition: int
    symbol: str
    at: datetime | None
    highest_bid: Decimal
    lowest_ask: Decimal


class Extremes:
    """The rows at hand of one engine. It starts with none: the first judged price of a symbol begins its row."""

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self._current: dict[str, ExtremeRow] = {}
        self._unwritten: dict[tuple[str, datetime | None], ExtremeRow] = {}

    def restart(self, symbols: Iterable[str]) -> None:
        """A trailing stop of these symbols was set: the row at hand began before it and may not count for it."""
        for symbol in symbols:
            self._current.pop(symbol, None)

    def judged(self, prices: Iterable[Price], symbols: set[str], at: datetime | None = None) -> list[ExtremeRow]:
        """The rows to write for prices judged at `at`, or in the tick to come; [] where nothing went further than
        what is written.

        `symbols` are those with open trailing stops. Asking again gives what is unwritten again: a transaction that
        was rolled back loses nothing, and it is the whole row each time, so it may be written twice.
        """
        for symbol in self._current.keys() - symbols:
            del self._current[symbol]
        for price in prices:
            if price.symbol not in symbols:
                continue
            row = self._current.get(price.symbol)
            if row is None:
                further = ExtremeRow(self.partition, price.symbol, at, price.bid, price.ask)
            else:
                further = row._replace(
                    highest_bid=max(row.highest_bid, price.bid), lowest_ask=min(row.lowest_ask, price.ask)
                )
            if further != row:
                self._current[price.symbol] = self._unwritten[price.symbol, further.at] = further
        return list(self._unwritten.values())

    def written(self, at: datetime | None = None) -> None:
        """The transaction with the rows that `judged` gave last is committed, as of `at`."""
        for symbol, row in self._current.items():
            if row.at is None:
                self._current[symbol] = row._replace(at=at)
        self._unwritten.clear()


def write(p: Pipeline, rows: Sequence[ExtremeRow], at: datetime | None = None) -> None:
    """Begin these rows (as of `at`, those without a time of their own) or raise them, in the caller's transaction."""
    if not rows:
        return
    rows = [row if row.at is not None else row._replace(at=at) for row in rows]
    p.send(
        "INSERT INTO trades_priceextreme AS e (id, partition, instrument_id, at, highest_bid, lowest_ask)"
        " SELECT * FROM unnest(%s::uuid[], %s::int[], %s::text[], %s::timestamptz[], %s::numeric[], %s::numeric[])"
        " ON CONFLICT (partition, instrument_id, at) DO UPDATE SET"
        " highest_bid = greatest(e.highest_bid, excluded.highest_bid),"
        " lowest_ask = least(e.lowest_ask, excluded.lowest_ask)",
        [new_ids(len(rows)), *(array(column) for column in zip(*rows, strict=True))],
    )


def peaks(p: Pipeline, orders: Sequence[OrderRow], unwritten: Sequence[ExtremeRow] = ()) -> dict[UUID, Decimal]:
    """The best exit price of each trailing order since it was set, exactly: the highest bid of a buy, the lowest ask
    of a sell. `unwritten` are rows that the caller's transaction is going to write.
    """
    best = {order.id: order.trail_peak for order in orders if order.trail_peak is not None}
    trailing = {order.id: order for order in orders if order.id in best and order.trail_at is not None}
    if not trailing:
        return best
    rows = p.send(
        "SELECT w.id, max(e.highest_bid), min(e.lowest_ask)"
        " FROM unnest(%s::uuid[], %s::text[], %s::timestamptz[]) AS w(id, symbol, since)"
        " JOIN trades_priceextreme e ON e.instrument_id = w.symbol AND e.at >= w.since GROUP BY w.id",
        [
            array(trailing),
            array(order.instrument_id for order in trailing.values()),
            array(order.trail_at for order in trailing.values()),
        ],
    ).result()
    reached = [(trailing[id_], bid, ask) for id_, bid, ask in rows]
    for row in unwritten:
        counts = [o for o in trailing.values() if o.instrument_id == row.symbol and _counts(row, o)]
        reached += [(order, row.highest_bid, row.lowest_ask) for order in counts]
    for order, bid, lowest_ask in reached:
        best[order.id] = max(best[order.id], bid) if order.side == "buy" else min(best[order.id], lowest_ask)
    return best


def _counts(row: ExtremeRow, order: OrderRow) -> bool:
    """Whether a row began no earlier than the order's trailing stop was set."""
    return row.at is None or (order.trail_at is not None and order.trail_at <= row.at)


def forget_old() -> int:
    """Delete the rows that decide nothing any more; how many they were. For the engine's maintenance, now and then.

    A row is idle when no open trailing stop was set by its beginning, or when later rows of its partition went
    at least as far both ways: whoever counts the row counts those, too.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH later AS ("
            "  SELECT id, max(highest_bid) OVER later AS highest_bid, min(lowest_ask) OVER later AS lowest_ask"
            "  FROM trades_priceextreme"
            "  WINDOW later AS (PARTITION BY partition, instrument_id ORDER BY at DESC"
            "                   ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"
            "), watching AS ("
            "  SELECT instrument_id, min(trail_at) AS since FROM trades_order"
            "  WHERE status = 'OPEN' AND trailing_stop IS NOT NULL GROUP BY instrument_id"
            ")"
            "DELETE FROM trades_priceextreme e USING later l WHERE l.id = e.id"
            " AND ((l.highest_bid >= e.highest_bid AND l.lowest_ask <= e.lowest_ask)"
            "      OR NOT EXISTS (SELECT FROM watching w WHERE w.instrument_id = e.instrument_id AND w.since <= e.at))"
        )
        return int(cursor.rowcount)
