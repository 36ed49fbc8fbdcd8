"""The recount of corrections, legs' money and differences: each tampering is named by the check that sees it."""

from __future__ import annotations

import pytest
from django.db import connection

from tests.given import a_customer, a_settling_buy, btc, exits, what_the_audit_finds
from tests.trades.corrections.staff import a_break, a_completed_batch, applies, the_leg, why
from trades.corrections.propose import (
    propose_adjustment,
    propose_batch_reversal,
    propose_break_resolution,
    propose_leg_reversal,
    propose_trade_reversal,
)

pytestmark = pytest.mark.django_db

GUARDED = (
    "trades_trade",
    "trades_tradeevent",
    "trades_correction",
    "trades_settlementleg",
    "accounts_transfer",
    "accounts_break",
)


@pytest.fixture
def _history():
    """A reversed batch, a reversed trade with its exit, an open and a resolved difference, and an adjustment."""
    alice = a_customer(with_usd="50_000.00")
    a_settling_buy(alice, btc("0.1"), at_price="40_000.00")
    applies(propose_batch_reversal(a_completed_batch().pk, **why()))
    bought = a_settling_buy(alice, btc("0.2"))
    exits(bought)
    a_settling_buy(alice, btc("0.3"))
    batch = a_completed_batch()
    applies(propose_trade_reversal(bought.pk, **why()))
    for asset, missing in (("BTC", 1000), ("USD", -500)):
        applies(propose_leg_reversal(the_leg(batch, asset).pk, **why()))
        found = a_break(batch, asset, missing=missing)
    applies(propose_break_resolution(found.pk, "break_paid", **why()))
    propose_adjustment(alice.pk, "USD", 100, "credit", **why())
    assert what_the_audit_finds() == []


def tampered(sql: str) -> set[str]:
    """What the audit's checks say after somebody with the owner's rights went around every trigger."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table in GUARDED:
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        cursor.execute(sql)
        assert cursor.rowcount, "nothing was tampered with"
    return {finding.split(":")[0] for finding in what_the_audit_finds()}


ONE_OF = "WHERE id = (SELECT id FROM accounts_transfer WHERE kind = '{kind}' ORDER BY id LIMIT 1)"


@pytest.mark.usefixtures("_history")
@pytest.mark.parametrize(
    ("sql", "check"),
    [
        ("DELETE FROM accounts_transfer " + ONE_OF.format(kind="reversal"), "corrections"),
        ("DELETE FROM accounts_transfer " + ONE_OF.format(kind="reversal"), "reversals"),
        ("UPDATE accounts_transfer SET amount = amount + 1 " + ONE_OF.format(kind="reversal"), "reversals"),
        ("UPDATE accounts_transfer SET subject = gen_random_uuid() " + ONE_OF.format(kind="adjustment"), "corrections"),
        ("UPDATE accounts_transfer SET amount = amount + 1 " + ONE_OF.format(kind="adjustment"), "adjustments"),
        ("UPDATE accounts_transfer SET amount = amount + 1 " + ONE_OF.format(kind="break_paid"), "adjustments"),
        ("UPDATE trades_correction SET amount = amount + 1 WHERE kind = 'adjustment'", "adjustments"),
        ("UPDATE trades_correction SET direction = 'debit' WHERE kind = 'adjustment'", "adjustments"),
        ("UPDATE trades_correction SET movements_count = 9 WHERE kind = 'reverse_leg'", "corrections"),
        (
            "UPDATE trades_correction SET state = 'rejected', movements_count = 0 WHERE kind = 'reverse_trade'",
            "corrections",
        ),
        (
            "UPDATE trades_correction SET state = 'rejected', movements_count = 0, trades_count = 0, trades_done = 0,"
            " slices_done = 0, slice_ends = '{}' WHERE kind = 'reverse_batch'",
            "reversed trades",
        ),
        (
            "UPDATE trades_correction SET trades_count = 7, trades_done = 7 WHERE kind = 'reverse_batch'",
            "reversals under way",
        ),
        ("UPDATE trades_trade SET updated_at = created_at WHERE state = 'completed'", "trade events"),
        ("DELETE FROM trades_tradeevent WHERE became = 'reversed'", "reversed trades"),
        ("DELETE FROM trades_tradeevent WHERE became = 'completed'", "trade events"),
        ("UPDATE trades_tradeevent SET detail = 'nobody' WHERE became = 'reversed'", "reversals"),
        ("DELETE FROM accounts_transfer " + ONE_OF.format(kind="leg_settled"), "leg money"),
        ("DELETE FROM accounts_transfer " + ONE_OF.format(kind="leg_reopened"), "leg money"),
        ("DELETE FROM accounts_transfer " + ONE_OF.format(kind="leg_difference"), "leg money"),
        ("UPDATE trades_settlementleg SET actual = actual + 1 WHERE status = 'settled'", "leg money"),
        ("UPDATE trades_settlementleg SET status = 'pending' WHERE status = 'settled'", "leg money"),
        (
            "UPDATE accounts_break SET state = 'resolved', resolved_at = now(), resolution = 'x' WHERE state = 'open'",
            "differences",
        ),
        ("UPDATE accounts_break SET amount = amount - 1 WHERE state = 'open'", "differences"),
    ],
)
def test_the_audit_names_what_was_tampered_with(sql, check):
    assert check in tampered(sql)


@pytest.mark.usefixtures("_history")
def test_an_event_without_a_correction_is_found():
    invented = """
        INSERT INTO trades_tradeevent (id, trade_id, customer_id, became, detail, at)
        SELECT new_uuid7(), id, customer_id, 'reversed', 'x', now() FROM trades_trade t
        WHERE NOT EXISTS (SELECT FROM trades_tradeevent e WHERE e.trade_id = t.id AND e.became = 'reversed')"""

    assert {"reversed trades", "reversals"} <= tampered(invented)
