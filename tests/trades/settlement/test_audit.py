"""The recount of trades and batches: right books find nothing, each tampering is named by the check that sees it."""

from __future__ import annotations

import pytest
from django.db import connection

from accounts.models import Customer
from tests.given import a_customer, a_cut, a_settling_buy, btc, btc_at, exits, settles, what_the_audit_finds
from trades.models import SettlementBatch, SettlementLeg, Trade

pytestmark = pytest.mark.django_db

GUARDED = ("trades_trade", "trades_tradeevent", "trades_settlementbatch", "trades_settlementleg", "accounts_transfer")


@pytest.fixture
def batch() -> SettlementBatch:
    """A completed batch of two buys and an exit; one more trade waits in settling."""
    btc_at("40_000.00")
    alice: Customer = a_customer(with_usd="50_000.00")
    a_settling_buy(alice, btc("0.1"))
    exits(a_settling_buy(alice, btc("0.2")))
    batch = settles(a_cut())
    a_settling_buy(alice, btc("0.3"))
    assert what_the_audit_finds() == []
    return batch


def tampered(sql: str) -> set[str]:
    """What the audit's checks say after somebody with the owner's rights went around every trigger."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table in GUARDED:
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        cursor.execute(sql)
    return {finding.split(":")[0] for finding in what_the_audit_finds()}


@pytest.mark.parametrize(
    ("sql", "check"),
    [
        ("UPDATE trades_trade SET state = 'settling' WHERE trade_type = 'exit'", "trade exits"),
        ("UPDATE trades_trade SET state = 'settling' WHERE trade_type = 'exit'", "batches"),
        ("UPDATE trades_trade SET receive_amount = receive_amount + 1 WHERE state = 'settling'", "trade money"),
        ("UPDATE trades_trade SET receive_amount = receive_amount + 1 WHERE state = 'settling'", "trade settling"),
        ("UPDATE trades_trade SET fee = fee + 1 WHERE state = 'settling'", "trade money"),
        ("DELETE FROM accounts_transfer WHERE kind = 'trade_settled'", "trade payouts"),
        ("DELETE FROM trades_tradeevent WHERE became = 'completed'", "trade events"),
        ("UPDATE trades_settlementbatch SET trades_count = trades_count + 1", "batches"),
        ("UPDATE trades_settlementleg SET expected = expected + 1", "batch legs"),
        ("DELETE FROM trades_settlementleg WHERE asset_id = 'BTC'", "batch legs"),
    ],
)
def test_the_audit_names_what_was_tampered_with(batch, sql, check):
    assert check in tampered(sql)


def test_the_audit_sees_a_trade_without_a_batch_row(batch):
    nobody = "UPDATE trades_trade SET batch_id = gen_random_uuid() WHERE state = 'settling'"

    assert "batches" in tampered(nobody)
    assert Trade.objects.count() == 4
    assert SettlementLeg.objects.filter(batch=batch).count() == 2
