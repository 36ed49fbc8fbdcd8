"""What becomes of trades, orders, batches and legs is an event, written by the tables of their steps."""

from importlib import import_module

from django.db import migrations

tell = import_module("accounts.migrations.0075_events").tell

# By the statement, as these tables are written: a slice of a batch is a hundred thousand steps.
STEPS = """
CREATE TRIGGER tells_used AFTER INSERT ON trades_trade REFERENCING NEW TABLE AS made
    FOR EACH STATEMENT EXECUTE FUNCTION tell_quotes();
CREATE TRIGGER tells_made AFTER INSERT ON trades_tradeevent REFERENCING NEW TABLE AS made
    FOR EACH STATEMENT EXECUTE FUNCTION tell_trades();
CREATE TRIGGER tells_made AFTER INSERT ON trades_orderevent REFERENCING NEW TABLE AS made
    FOR EACH STATEMENT EXECUTE FUNCTION tell_orders();
CREATE TRIGGER tells_made AFTER INSERT ON trades_batchevent REFERENCING NEW TABLE AS made
    FOR EACH STATEMENT EXECUTE FUNCTION tell_batches();
CREATE TRIGGER tells_made AFTER INSERT ON trades_settlementleg FOR EACH ROW EXECUTE FUNCTION tell_leg();
CREATE TRIGGER tells_moved AFTER UPDATE OF status ON trades_settlementleg FOR EACH ROW
    WHEN (NEW.status <> OLD.status) EXECUTE FUNCTION tell_leg();
"""


class Migration(migrations.Migration):
    dependencies = [("trades", "0090_reasons_of_legs"), ("accounts", "0075_events")]

    operations = [
        tell(
            "tell_quotes",
            "SELECT here, 'quote.executed', quote_id, customer_id, '', created_at FROM made ORDER BY id",
        ),
        tell(
            "tell_trades",
            "SELECT here, 'trade.' || became, trade_id, customer_id, detail, at FROM made",
        ),
        tell(
            "tell_orders",
            "SELECT here, CASE WHEN kind IN ('margin_call', 'margin_call_over', 'stop_out') THEN 'margin_account.' || kind"
            " ELSE 'order.' || kind END, coalesce(order_id, customer_id), customer_id, '', at FROM made",
        ),
        tell(
            "tell_batches",
            "SELECT here, 'settlement_batch.' || became, batch_id, NULL::uuid, '', at FROM made",
        ),
        tell(
            "tell_leg",
            "SELECT here, 'settlement_leg.' || NEW.status, NEW.id, NULL::uuid, NEW.asset_id, NEW.updated_at",
        ),
        migrations.RunSQL(STEPS, migrations.RunSQL.noop),
    ]
