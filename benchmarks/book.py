"""The book at a million open orders of a hundred thousand accounts: what a price costs, and what a restart costs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from statistics import median
from typing import TYPE_CHECKING
from uuid import UUID

import psycopg

from benchmarks import pgbench
from benchmarks.results import Row
from benchmarks.system import System, superuser_url

if TYPE_CHECKING:
    from trades.book.book import Book
    from trades.margin.rows import OrderRow

SYMBOLS = ("BTC-USD", "ETH-USD", "SOL-USD", "EUR-USD", "XAU-USD")
PRICES, TICKS, CLOSES, SECONDS = 200, 40, 256, 5
MIDDLE = Decimal(1000)
LATENCY = "pgbench's mean latency"
BARE = "bare SQL"

# Both sides; stop loss and take profit far enough that a price fires a handful. A tenth trails, a tenth is pending.
_ORDERS = """
INSERT INTO trades_order (id, code, customer_id, instrument_id, side, type, quantity, leverage, margin, price,
    open_price, take_profit, stop_loss, trailing_stop, trail_peak, trail_at, status, created_at, opened_at,
    swap, fee, close_reason)
SELECT new_uuid7(), 'ord_' || lpad(to_hex(n), 16, '0'), (%(customers)s::uuid[])[1 + n %% %(people)s],
    (%(symbols)s::text[])[1 + (n / %(people)s) %% %(markets)s], side, CASE WHEN pending THEN 'limit' ELSE 'market' END,
    0.01, 10, CASE WHEN pending THEN 0 ELSE 100 END, CASE WHEN pending THEN 1000 - away END,
    CASE WHEN NOT pending THEN 1000 + s * move END, 1000 + away, 1000 - away, CASE WHEN trails THEN abs(away) END,
    CASE WHEN trails THEN 1000 END, CASE WHEN trails THEN now() END, CASE WHEN pending THEN 'PENDING' ELSE 'OPEN' END,
    now(), CASE WHEN NOT pending THEN now() END, 0, 0, ''
FROM (
    SELECT n, s, CASE s WHEN 1 THEN 'buy' ELSE 'sell' END AS side, n %% 10 = 7 AS pending, n %% 10 = 3 AS trails,
        s * (5 + (n::bigint * 7919 %% 1000000)::numeric / 10000) AS away, (n %% 200 - 100)::numeric / 100 AS move
    FROM (SELECT n, 1 - 2 * (n %% 2) AS s FROM generate_series(1, %(count)s) AS n) numbered
) made
"""


@dataclass(frozen=True)
class Sizes:
    orders: int = 1_000_000
    customers: int = 100_000


def measure(system: System, sizes: Sizes = Sizes()) -> list[Row]:
    """Rebuild and judge, over five symbols and then all on one. Makes orders behind the engine's back: run it last."""
    from benchmarks.data import customers

    people = [customer.pk for customer in customers(sizes.customers)]
    tps = [pgbench.transactions_per_second(superuser_url(), SECONDS)]
    rows = _on(SYMBOLS, people, sizes.orders, "")
    rows += _on(SYMBOLS[:1], people, sizes.orders, "_one_symbol")
    tps.append(pgbench.transactions_per_second(superuser_url(), SECONDS))
    latency = pgbench.CLIENTS / median(tps) * 1000
    compared = [row if row.ratio is not None else _beside(row, latency) for row in rows]
    return [Row("pgbench_tps", median(tps), "transactions/s"), *compared]


def _beside(row: Row, latency: float) -> Row:
    return Row(row.measure, row.value, row.unit, LATENCY, row.value / latency)


def _on(symbols: Sequence[str], people: Sequence[UUID], count: int, suffix: str) -> list[Row]:
    from trades.book.book import Book

    _store(symbols, people, count)
    bare = _seconds(_read_bare)
    started = time.perf_counter()
    book = Book.load(0, 1)
    rebuilding = time.perf_counter() - started
    if len(book) != count:
        raise RuntimeError(f"the book has {len(book)} orders instead of {count}")
    ticks = [1000 * _seconds(lambda: book.fired([price])) for price in _walk(symbols)]  # noqa: B023 - called at once
    changes = _changes(book)
    return [
        Row(f"book_rebuild_s_1m{suffix}", rebuilding, "s", BARE, rebuilding / bare),
        Row(f"book_tick_ms_1m{suffix}", median(ticks), "ms"),
        Row(f"book_tick_worst_ms_1m{suffix}", max(ticks), "ms"),
        Row(f"book_change_256_ms_1m{suffix}", median(changes), "ms"),
    ]


def _walk(symbols: Sequence[str]) -> Iterator[object]:
    """Prices that wander around the middle, and now and then go further than ever, so that stops trail and fire."""
    from quotes.prices import Price

    for n in range(PRICES):
        bid = MIDDLE + Decimal((n * 37) % 101 - 50) / 20 + Decimal(n) / 100
        yield Price(symbols[n % len(symbols)], bid, bid + Decimal("0.01"), datetime.now(UTC))


def _changes(book: Book) -> list[float]:
    """What a tick's worth of closes and of openings costs the book, each with its customers' cash, and judging them."""
    taken = []
    for n in range(TICKS):
        orders = _some_orders(n * CLOSES)
        cash = {order.customer_id: 100_000_000 for order in orders}

        def close_and_open() -> None:
            book.let_go(orders)  # noqa: B023 - called at once
            book.set_cash(cash)  # noqa: B023
            book.fired([])
            book.take_up(orders)  # noqa: B023
            book.set_cash(cash)  # noqa: B023
            book.fired([])

        taken.append(1000 * _seconds(close_and_open) / 2)
    return taken


def _some_orders(first: int) -> list[OrderRow]:
    from trades.margin.rows import OrderRow
    from trades.models import Order

    names = list(OrderRow.__slots__)
    live = Order.objects.filter(status__in=["OPEN", "PENDING"]).order_by("pk")
    found = live.values_list(*names)[first : first + CLOSES]
    return [OrderRow(*row) for row in found]


def _seconds(what: Callable[[], object]) -> float:
    started = time.perf_counter()
    what()
    return time.perf_counter() - started


def _store(symbols: Sequence[str], people: Sequence[UUID], count: int) -> None:
    _sql("TRUNCATE trades_order CASCADE")
    _sql(
        _ORDERS,
        {
            "customers": list(people),
            "people": len(people),
            "symbols": list(symbols),
            "markets": len(symbols),
            "count": count,
        },
    )
    _sql("VACUUM ANALYZE trades_order")


def _read_bare() -> None:
    _sql("SELECT sum(quantity * coalesce(open_price, price)) FROM trades_order WHERE status IN ('OPEN', 'PENDING')")


def _sql(text: str, given: dict[str, object] | None = None) -> None:
    """As the owner and without the tables' guards: the application may not write what is written here."""
    with psycopg.connect(superuser_url(), autocommit=True, options="-c session_replication_role=replica") as connection:
        connection.execute(text, given)
