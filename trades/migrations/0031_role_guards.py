"""What was agreed never changes, whoever asks; guards read what they name (docs/decisions/0042).

A trigger of named columns costs nothing where a statement doesn't name them: the plain close and the steps of a
trade don't. From `never_changed` the grants of the application's role are derived (brokerage/grants.py).
"""

from django.db import migrations

FUNCTIONS = """
ALTER FUNCTION refuse_alone() SET search_path = pg_catalog, pg_temp;
DO $do$
BEGIN
    EXECUTE pg_catalog.format($create$
CREATE OR REPLACE FUNCTION propose_correction() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NEW.state <> 'proposed' OR NEW.checked_by_id IS NOT NULL OR NEW.checked_by_client_id IS NOT NULL THEN
        RAISE EXCEPTION 'a correction begins as a proposal that nobody has checked'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF NOT NEW.needs_checker AND (NEW.kind <> 'adjustment' OR NOT coalesce(NEW.amount <= (
            SELECT a.adjustment_limit FROM %I.accounts_asset a WHERE a.code = NEW.asset_id), false)) THEN
        RAISE EXCEPTION 'this correction needs a second person'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$
    $create$, pg_catalog.current_schema());
END $do$;
"""

NEVER_CHANGED = """
CREATE TRIGGER never_changed AFTER UPDATE OF {columns} ON {table} FOR EACH ROW
    WHEN ({changed}) EXECUTE FUNCTION refuse_change();
"""

FIXED = {
    "trades_order": (
        "id",
        "customer_id",
        "code",
        "client_order_id",
        "command_id",
        "instrument_id",
        "side",
        "type",
        "leverage",
        "created_at",
        "parent_id",
    ),
    "trades_trade": (
        "id",
        "customer_id",
        "quote_id",
        "trade_type",
        "instrument_id",
        "side",
        "receive_asset_id",
        "deliver_asset_id",
        "receive_amount",
        "deliver_amount",
        "fee",
        "expected_error",
        "reference_trade_id",
        "created_at",
    ),
    "trades_settlementbatch": (
        "id",
        "window_id",
        "asset_kinds",
        "cut_at",
        "legs_are_automatic",
        "made_by_id",
        "made_by_client_id",
        "created_at",
    ),
    "trades_settlementleg": ("id", "batch_id", "asset_id"),
    "trades_correction": (
        "id",
        "kind",
        "subject",
        "customer_id",
        "asset_id",
        "amount",
        "direction",
        "reason",
        "reference",
        "needs_checker",
        "made_by_id",
        "made_by_client_id",
        "made_at",
    ),
    "trades_tradeflag": ("id", "trade_id", "reason", "flagged_by_id", "flagged_at"),
    "trades_swaprun": ("id", "partition", "night", "cutoff", "prices", "started_at"),
}

# An open order's quantity and margin only shrink, and together: by partial closes. One that waits opens with the quantity
# it was placed with (or less, if a part of it is closed at once), and has neither margin nor swap before.
ORDERS = """
DROP TRIGGER terms_never_change ON trades_order;
CREATE TRIGGER ended_for_good AFTER UPDATE ON trades_order FOR EACH ROW
    WHEN (OLD.status IN ('CLOSED', 'CANCELLED')) EXECUTE FUNCTION refuse_change();
CREATE TRIGGER open_terms_never_change AFTER UPDATE OF price, open_price, opened_at, quantity, margin
    ON trades_order FOR EACH ROW
    WHEN (OLD.status = 'OPEN' AND (
        NEW.open_price IS DISTINCT FROM OLD.open_price OR NEW.opened_at IS DISTINCT FROM OLD.opened_at
        OR NEW.price IS DISTINCT FROM OLD.price OR NEW.quantity > OLD.quantity OR NEW.margin > OLD.margin
        OR NEW.margin <> OLD.margin AND NEW.quantity = OLD.quantity))
    EXECUTE FUNCTION refuse_change();
CREATE TRIGGER waiting_terms_never_change AFTER UPDATE OF open_price, opened_at, quantity, margin, swap
    ON trades_order FOR EACH ROW
    WHEN (OLD.status = 'PENDING' AND (
        NEW.quantity > OLD.quantity OR NEW.swap <> OLD.swap
        OR NEW.status <> 'OPEN' AND (
            NEW.quantity <> OLD.quantity OR NEW.margin <> OLD.margin
            OR NEW.open_price IS NOT NULL OR NEW.opened_at IS NOT NULL)))
    EXECUTE FUNCTION refuse_change();
"""

TRADES = "DROP TRIGGER terms_never_change ON trades_trade"


def never_changed(table: str, columns: tuple[str, ...]) -> migrations.RunSQL:
    changed = " OR ".join(f"NEW.{name} IS DISTINCT FROM OLD.{name}" for name in columns)
    sql = NEVER_CHANGED.format(table=table, columns=", ".join(columns), changed=changed)
    return migrations.RunSQL(sql, migrations.RunSQL.noop)


class Migration(migrations.Migration):
    dependencies = [("trades", "0030_words"), ("accounts", "0013_role_guards")]

    operations = [
        migrations.RunSQL(FUNCTIONS, migrations.RunSQL.noop),
        migrations.RunSQL(ORDERS, migrations.RunSQL.noop),
        migrations.RunSQL(TRADES, migrations.RunSQL.noop),
        *(never_changed(table, columns) for table, columns in FIXED.items()),
    ]
