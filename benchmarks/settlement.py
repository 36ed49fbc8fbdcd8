"""Settlement: storing -> settling drained, a batch cut, and completed, on real tables with real money behind it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from decimal import Decimal
from statistics import median
from uuid import UUID

from benchmarks import pgbench
from benchmarks.results import Row

TRADES, CUSTOMERS, EXITS_EVERY = 100_000, 5_000, 20
RECEIVED, DELIVERED, FEE = 1_000, 5_000, 12

_QUOTES = """
INSERT INTO quotes_quote (id, customer_id, product_type, instrument_id, side, price, receive_amount, deliver_amount,
    fee, reference_trade_id, issued_at, expires_at)
SELECT new_uuid7(), (%(customers)s::uuid[])[1 + n %% %(people)s], 'trading', (%(symbols)s::text[])[1 + n %% 5],
    'buy', 1, %(received)s, %(delivered)s, %(fee)s, NULL, now(), now() + interval '1 day'
FROM generate_series(1, %(count)s) AS n
"""

_EXIT_QUOTES = """
INSERT INTO quotes_quote (id, customer_id, product_type, instrument_id, side, price, receive_amount, deliver_amount,
    fee, reference_trade_id, issued_at, expires_at)
SELECT new_uuid7(), customer_id, 'trading_exit', instrument_id, 'sell', 1, deliver_amount - fee - fee, receive_amount,
    fee, id, now(), now() + interval '1 day'
FROM (SELECT *, row_number() OVER (ORDER BY id) AS n FROM trades_trade) t WHERE n %% %(every)s = 0
"""

_TRADES = """
WITH made AS (
    INSERT INTO trades_trade (id, customer_id, quote_id, trade_type, instrument_id, side, receive_asset_id,
        deliver_asset_id, receive_amount, deliver_amount, fee, labels, expected_error, reference_trade_id, state,
        failure_code, exiting_trade_id, taken_from_settling, batch_id, created_at, updated_at)
    SELECT new_uuid7(), q.customer_id, q.id, CASE q.product_type WHEN 'trading' THEN 'platform' ELSE 'exit' END,
        q.instrument_id, q.side, CASE q.side WHEN 'buy' THEN i.base_asset_id ELSE i.counter_asset_id END,
        CASE q.side WHEN 'buy' THEN i.counter_asset_id ELSE i.base_asset_id END, q.receive_amount, q.deliver_amount,
        q.fee, NULL, '', q.reference_trade_id, 'storing', NULL, NULL, 0, NULL, now(), now()
    FROM quotes_quote q JOIN quotes_instrument i ON i.symbol = q.instrument_id
    WHERE NOT EXISTS (SELECT FROM trades_trade t WHERE t.quote_id = q.id)
    ORDER BY q.id
    RETURNING id, customer_id, created_at
)
INSERT INTO trades_tradeevent (id, trade_id, customer_id, became, detail, at)
SELECT new_uuid7(), id, customer_id, 'storing', '', created_at FROM made
"""


def measure(trades: int = TRADES) -> list[Row]:
    """Settle a batch of `trades` trades and their exits, with pgbench before and after in the same run."""
    from django.utils import timezone

    from accounts import audit
    from accounts.identity import SYSTEM
    from benchmarks.cast import customers
    from brokerage.stack.where import embedded_urls
    from trades.settlement.approval import confirm
    from trades.settlement.cut import cut_now
    from trades.settlement.settle import settle

    url = embedded_urls()["DATABASE_URL"]
    people = [customer.pk for customer in customers(CUSTOMERS)]
    _store(trades, people)
    draining = _drain()
    tps = [pgbench.transactions_per_second(url, 5)]
    _sql("VACUUM ANALYZE trades_trade")
    started = time.perf_counter()
    batch = cut_now(at=timezone.now(), by=SYSTEM)
    cutting = time.perf_counter() - started
    confirm(batch.pk, by=SYSTEM, at=timezone.now())
    hot_before = _updates()
    started = time.perf_counter()
    for _ in settle(batch.pk, clock=timezone.now):
        pass
    settling = time.perf_counter() - started
    tps.append(pgbench.transactions_per_second(url, 5))
    batch.refresh_from_db()
    if batch.completed_count != batch.trades_count or not audit.run(timezone.now()).ok:
        raise RuntimeError("the batch is not complete, or the books don't balance")
    updates, hot = (after - before for after, before in zip(_updates(), hot_before, strict=True))
    now, count = median(tps), batch.trades_count
    return [
        Row("drain_storing_per_s", count / draining, "trades/s", "pgbench_tps", count / draining / now),
        Row("cut_trades_per_s", count / cutting, "trades/s", "pgbench_tps", count / cutting / now),
        Row("settle_trades_per_s", count / settling, "trades/s", "pgbench_tps", count / settling / now),
        Row("settle_hot_updates", hot, "rows", "updates of trades", hot / max(updates, 1)),
    ]


def _store(count: int, people: Sequence[UUID]) -> None:
    """Trades in storing, as the API would have written them."""
    _sql(
        _QUOTES,
        {
            "customers": list(people),
            "people": len(people),
            "symbols": ["BTC-USD", "ETH-USD", "SOL-USD", "EUR-USD", "XAU-USD"],
            "received": RECEIVED,
            "delivered": DELIVERED,
            "fee": FEE,
            "count": count,
        },
    )
    _sql(_TRADES)
    _sql("ANALYZE trades_trade")


def _drain() -> float:
    """Move everything from storing to settling, originals first and then their exits; the seconds it took."""
    from django.utils import timezone

    from trades.spot.sweep import sweep

    took = 0.0
    for step in (None, _EXIT_QUOTES):
        if step:
            _sql(step, {"every": EXITS_EVERY})
            _sql(_TRADES)
        started = time.perf_counter()
        sweep(low_water=None, at=timezone.now(), prices=None)
        took += time.perf_counter() - started
    return took


def _updates() -> tuple[int, int]:
    _sql("SELECT pg_stat_force_next_flush()")
    ((updates, hot),) = _sql("SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'trades_trade'")
    return int(updates), int(hot)


def _sql(text: str, given: dict[str, object] | None = None) -> list[tuple[Decimal, ...]]:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute(text, given)
        return list(cursor.fetchall()) if cursor.description else []
