"""How a trade is found, and what it tells of its settlement, at the size of ten million."""

from __future__ import annotations

import pytest
from django.db import connection, transaction
from django.utils import timezone

from accounts.models import Customer
from quotes import prices
from quotes.services import quote_trading
from tests.given import a_customer, a_cut, a_settling_buy, a_trade, btc, btc_at, exits, settles, the_firm, usd
from trades import selectors
from trades.models import Trade, TradeEvent
from trades.spot.execute import execute

pytestmark = pytest.mark.django_db

CHANGES_WHILE_SETTLING = {"state", "batch_id", "taken_from_settling", "updated_at"}


@pytest.fixture
def alice() -> Customer:
    btc_at("42_000.00")
    return a_customer(with_usd="100_000.00")


def test_a_trade_tells_its_batch_and_when_it_settled_without_a_query_per_row(alice, django_assert_num_queries) -> None:
    first = [a_settling_buy(alice, btc("0.1")) for _ in range(5)]
    gone = exits(first[0])
    batch = settles(a_cut())
    waiting = a_settling_buy(alice, btc("0.1"))

    with django_assert_num_queries(1):
        told = {trade.pk: (trade.batch_id, trade.settled_at) for trade in selectors.trades()}

    at = dict(TradeEvent.objects.filter(became="completed").values_list("trade_id", "at"))
    assert told == {waiting.pk: (None, None)} | {one.pk: (batch.pk, at[one.pk]) for one in [*first, gone]}


def test_quote_and_trade_keep_what_the_partner_calls_them(alice) -> None:
    offered = quote_trading(
        customer_id=alice.pk,
        symbol="BTC-USD",
        side="buy",
        receive=btc("0.1"),
        deliver=None,
        fees=None,
        prices=prices.latest(),
        at=timezone.now(),
        external_id="q-1",
    )
    trade = execute(by=the_firm(), quote_id=offered.pk, external_id="t-1")

    trade.refresh_from_db()
    assert (offered.external_id, trade.external_id) == ("q-1", "t-1")
    assert a_trade(alice, deliver=usd("10.00")).external_id is None


def test_no_index_covers_what_changes_while_a_trade_settles() -> None:
    """Guard: an index on one of these columns would be rewritten for each trade of a batch (docs/decisions/0005)."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid"
            " WHERE i.indrelid = 'trades_trade'::regclass AND (a.attnum = ANY (i.indkey)"
            " OR pg_get_expr(i.indpred, i.indrelid) ~ ('\\m' || a.attname || '\\M'))"
        )
        indexed = {name for (name,) in cursor.fetchall()}

    assert {"labels", "external_id", "failure_code", "reference_trade_id"} <= indexed
    assert indexed.isdisjoint(CHANGES_WHILE_SETTLING)


@pytest.mark.django_db(transaction=True)
def test_a_trade_with_labels_settles_in_place(alice) -> None:
    """Guard: the same, as PostgreSQL does it: the row stays on its page, and no index gets an entry for it."""
    offered = quote_trading(
        customer_id=alice.pk,
        symbol="BTC-USD",
        side="buy",
        receive=btc("0.1"),
        deliver=None,
        fees=None,
        prices=prices.latest(),
        at=timezone.now(),
    )
    execute(by=the_firm(), quote_id=offered.pk, labels=["vip"], external_id="t-1")
    before = heap_only_updates()
    from tests.given import stores

    stores(Trade.objects.get())
    settles(a_cut())

    updates, in_place = (after - was for after, was in zip(heap_only_updates(), before, strict=True))
    assert updates == in_place >= 3  # settling, cut, completed; and what PostgreSQL counts late of the test before


def heap_only_updates() -> tuple[int, int]:
    """Of trades: updates so far, and those of them in place."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT 1")
        cursor.execute("SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'trades_trade'")
        updates, in_place = cursor.fetchone()
    return updates, in_place


@pytest.mark.parametrize(
    ("table", "condition", "index"),
    [
        ("trades_trade", "external_id IN ('a', 'b')", "trade_by_external_id"),
        ("trades_trade", "reference_trade_id IN (gen_random_uuid())", "trade_by_reference"),
        ("trades_trade", "failure_code IN ('expired_quote')", "trade_by_failure"),
        ("trades_trade", "quote_id IN (gen_random_uuid())", "quote_id"),
        ("quotes_quote", "external_id IN ('a')", "quote_by_external_id"),
        ("quotes_quote", "reference_trade_id IN (gen_random_uuid())", "quote_by_reference"),
        ("accounts_customer", "external_id IN ('a')", "customer_by_external_id"),
        ("accounts_customer", "state = 'storing'", "customer_storing"),
    ],
)
def test_each_lookup_has_an_index(table: str, condition: str, index: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN SELECT id FROM {table} WHERE {condition.replace('gen_random_uuid()', ANY_ID)}")
        plan = " ".join(line for (line,) in cursor.fetchall())

    assert index in plan, plan


ANY_ID = "'018f0000-0000-7000-8000-000000000001'::uuid"
