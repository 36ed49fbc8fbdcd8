"""Settlement: storing -> settling drained, a batch cut, and completed, on real tables with real money behind it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any
from uuid import UUID

import psycopg

from benchmarks import pgbench
from benchmarks.bare import Bare
from benchmarks.results import Row
from benchmarks.system import CHECKOUT, System, superuser_url

EXITS_EVERY, SECONDS = 20, 5
SYMBOLS = ["BTC-USD", "ETH-USD", "SOL-USD", "EUR-USD", "XAU-USD"]
RECEIVED, DELIVERED, FEE = 1_000, 5_000, 12

_QUOTES = """
INSERT INTO quotes_quote (id, customer_id, product_type, instrument_id, side, price, receive_amount, deliver_amount,
    fee, reference_trade_id, issued_at, expires_at)
SELECT new_uuid7(), (%(customers)s::uuid[])[1 + n %% %(people)s], 'trading', i.symbol,
    'buy', (%(delivered)s - %(fee)s) * 10::numeric ^ b.decimals / (%(received)s * 10::numeric ^ c.decimals),
    %(received)s, %(delivered)s, %(fee)s, NULL, now(), now() + interval '1 day'
FROM generate_series(1, %(count)s) AS n
JOIN quotes_instrument i ON i.symbol = (%(symbols)s::text[])[1 + n %% 5]
JOIN accounts_asset b ON b.code = i.base_asset_id
JOIN accounts_asset c ON c.code = i.counter_asset_id
ORDER BY n
"""

_EXIT_QUOTES = """
INSERT INTO quotes_quote (id, customer_id, product_type, instrument_id, side, price, receive_amount, deliver_amount,
    fee, reference_trade_id, issued_at, expires_at)
SELECT new_uuid7(), t.customer_id, 'trading_exit', t.instrument_id, 'sell', q.price, t.deliver_amount - t.fee - t.fee,
    t.receive_amount, t.fee, t.id, now(), now() + interval '1 day'
FROM (SELECT *, row_number() OVER (ORDER BY id) AS n FROM trades_trade) t
JOIN quotes_quote q ON q.id = t.quote_id
WHERE n %% %(every)s = 0
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


@dataclass(frozen=True)
class Sizes:
    """How much is settled, and how many rounds pgbench gets."""

    trades: int = 100_000
    customers: int = 5_000


def measure(system: System, sizes: Sizes = Sizes()) -> list[Row]:
    """Settle a batch of so many trades and their exits, pgbench and the bare statements taken in turns with it."""
    from django.utils import timezone

    from accounts import audit
    from accounts.identity import SYSTEM
    from benchmarks.data import FreshPrices, customers
    from quotes import prices
    from trades.models import SettlementBatch
    from trades.settlement.approval import confirm
    from trades.settlement.cut import cut_now

    people = [customer.pk for customer in customers(sizes.customers)]
    prices.forget()  # the quotes below have made-up prices, and an earlier part another market
    _store(sizes.trades, people)
    with FreshPrices(_prices_of_the_quotes()), Worker(system) as worker:
        draining = _drain(worker)
        tps = [pgbench.transactions_per_second(superuser_url(), SECONDS)]
        bare = Bare()
        bare_seconds = [bare.seconds()]
        _sql("VACUUM ANALYZE trades_trade")
        _sql("CHECKPOINT")  # else the copies bring about one between cut and settlement, or in the middle of either
        started = time.perf_counter()
        batch = cut_now(at=timezone.now(), by=SYSTEM)
        cutting = time.perf_counter() - started
        confirm(batch.pk, by=SYSTEM, at=timezone.now())
        hot_before = _updates()
        settling = worker.seconds_for("trades.tasks.settle_open", 1, lambda: _is_completed(batch.pk))
        peak = worker.peak_memory_mb
    bare_seconds.append(bare.seconds())
    tps.append(pgbench.transactions_per_second(superuser_url(), SECONDS))
    time.sleep(2)  # a worker reports its statistics when it has been idle for a second
    updates, hot = (after - before for after, before in zip(_updates(), hot_before, strict=True))
    started = time.perf_counter()
    books = audit.run(timezone.now())
    auditing = time.perf_counter() - started
    verifying = _verify()
    batch = SettlementBatch.objects.get(pk=batch.pk)
    if batch.completed_count != sizes.trades + sizes.trades // EXITS_EVERY or not books.ok:
        raise RuntimeError(f"the batch is not complete, or the books don't balance: {books.findings[:3]}")
    reversing = _reverse(batch.pk)
    now, count, audited = median(tps), batch.trades_count, int(books.counted["sides"])
    return [
        Row("pgbench_tps", now, "transactions/s"),
        Row("drain_storing_per_s", count / draining, "trades/s", "pgbench_tps", count / draining / now),
        Row("cut_trades_per_s", count / cutting, "trades/s", "pgbench_tps", count / cutting / now),
        Row("settle_trades_per_s", count / settling, "trades/s", "pgbench_tps", count / settling / now),
        Row(
            "settle_over_bare_sql",
            settling / median(bare_seconds),
            "times",
            "bare SQL",
            settling / median(bare_seconds),
        ),
        Row("reverse_over_settle", reversing / settling, "times", "settling", reversing / settling),
        Row("settle_hot_updates", hot, "rows", "updates of trades", hot / max(updates, 1)),
        Row("audit_transfers_per_s", audited / auditing, "transfers/s", "pgbench_tps", audited / auditing / now),
        Row("verify_transfers_per_s", audited / verifying, "transfers/s", "pgbench_tps", audited / verifying / now),
        Row("peak_memory_mb", peak, "MB"),
    ]


def _reverse(batch_id: UUID) -> float:
    """Take the whole batch back, as two persons decide it; the seconds from the second one's word to the end."""
    from django.utils import timezone

    from accounts import audit
    from accounts.identity import Actor
    from accounts.models import User
    from trades.corrections import decide
    from trades.corrections.batch_reversal import carry_on
    from trades.corrections.propose import propose_batch_reversal

    maker, checker = (
        Actor(user_id=User.objects.create_user(f"{name}@bench.example", is_staff=True).pk)
        for name in ("maker", "checker")
    )
    proposed = propose_batch_reversal(batch_id, reason="a benchmark", by=maker, at=timezone.now())
    _sql("CHECKPOINT")
    started = time.perf_counter()
    decide.apply(proposed.pk, by=checker, at=timezone.now())
    for _ in carry_on(proposed.pk, clock=timezone.now):
        pass
    took = time.perf_counter() - started
    proposed.refresh_from_db()
    if proposed.state != "applied" or not audit.run(timezone.now()).ok:
        raise RuntimeError(f"the batch isn't reversed, or the books don't balance: {proposed.state}")
    return took


def _verify() -> float:
    """Seal everything there is, as if ten minutes had passed; the seconds it then takes to recount and verify it."""
    from django.utils import timezone

    from accounts import audit, seals

    seals.seal(timezone.now() + seals.ID_LAG)
    started = time.perf_counter()
    books = audit.run(timezone.now(), verify=True)
    if not books.ok:
        raise RuntimeError(f"the books don't verify: {books.findings[:3]}")
    return time.perf_counter() - started


class Worker:
    """The system's Celery worker, as `manage.py up` would start it."""

    def __init__(self, system: System) -> None:
        from brokerage.stack.processes import children

        command = next(c.command for c in children("", 0, system.environment) if c.name == "worker")
        self._process = subprocess.Popen(command, cwd=CHECKOUT, env=system.environment)

    def __enter__(self) -> Worker:
        from celery import current_app

        try:
            _until_it_works(current_app)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(20)

    @staticmethod
    def seconds_for(task: str, times: int, is_done: Callable[[], bool]) -> float:
        """Send a task so many times; the seconds until what it is for is done."""
        from celery import current_app

        started = time.perf_counter()
        for _ in range(times):
            current_app.send_task(task, ignore_result=True)
        while not is_done():
            time.sleep(0.1)
        return time.perf_counter() - started

    @property
    def peak_memory_mb(self) -> float:
        """The highest resident size that one of its processes ever had."""
        pid = self._process.pid
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        sizes = [
            int(line.split()[1])
            for one in (str(pid), *found)
            for line in Path(f"/proc/{one}/status").read_text().splitlines()
            if line.startswith("VmHWM")
        ]
        return max(sizes) / 1024


def _until_it_works(app: Any) -> None:
    """Workers take no orders by broadcast, so none is asked: one works when it has taken a task."""
    give_up = time.monotonic() + 60
    app.send_task("trades.tasks.settle_open", ignore_result=True)
    with app.connection_for_read() as connection:
        queue = app.amqp.queues[app.conf.task_default_queue](connection.default_channel)
        while queue.queue_declare().message_count:
            if time.monotonic() > give_up:
                raise RuntimeError("the worker takes no task")
            time.sleep(0.1)


def _store(count: int, people: Sequence[UUID]) -> None:
    """Trades in storing, as the API would have written them."""
    _sql(
        _QUOTES,
        {
            "customers": list(people),
            "people": len(people),
            "symbols": SYMBOLS,
            "received": RECEIVED,
            "delivered": DELIVERED,
            "fee": FEE,
            "count": count,
        },
    )
    _sql(_TRADES)
    _sql("ANALYZE trades_trade")


def _prices_of_the_quotes() -> list[tuple[str, Decimal, Decimal]]:
    """The market as the quotes have it: a trade waits for a price, and fails where it moved."""
    return [(symbol, price, price) for symbol, price in _sql("SELECT DISTINCT instrument_id, price FROM quotes_quote")]


def _drain(worker: Worker) -> float:
    """Have the worker's two processes move everything from storing to settling, originals first and then their
    exits; the seconds it took."""
    took = 0.0
    for step in (None, _EXIT_QUOTES):
        if step:
            _sql(step, {"every": EXITS_EVERY})
            _sql(_TRADES)
        took += worker.seconds_for("trades.tasks.sweep", 2, _nothing_is_stored)
    return took


def _nothing_is_stored() -> bool:
    ((any_left,),) = _sql("SELECT EXISTS (SELECT FROM trades_trade WHERE state = 'storing')")
    return not any_left


def _is_completed(batch_id: UUID) -> bool:
    ((state,),) = _sql("SELECT state FROM trades_settlementbatch WHERE id = %(id)s", {"id": batch_id})
    return state == "completed"


def _updates() -> tuple[int, int]:
    _sql("SELECT pg_stat_force_next_flush()")
    ((updates, hot),) = _sql(
        "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relid = 'public.trades_trade'::regclass"
    )
    return int(updates), int(hot)


def _sql(text: str, given: dict[str, object] | None = None) -> list[tuple[Any, ...]]:
    """As the owner: the application may not write what is written here."""
    with psycopg.connect(superuser_url(), autocommit=True) as connection:
        cursor = connection.execute(text, given)
        return list(cursor.fetchall()) if cursor.description else []
