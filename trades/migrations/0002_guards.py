"""Legal moves and append-only history as triggers; storage laid out for updates in place.

The moves are written out here and not imported, because a migration must say the same thing for ever;
`tests/trades/test_states.py` holds them equal to `trades/states.py`.
"""

from django.db import migrations

ORDER = (
    "OLD.status = 'PENDING' AND NEW.status IN ('OPEN', 'CANCELLED') OR OLD.status = 'OPEN' AND NEW.status = 'CLOSED'"
)
TRADE = "OLD.state = 'storing' AND NEW.state IN ('settling', 'failed') OR OLD.state = 'settling' AND NEW.state = 'completed'"
BATCH = (
    "OLD.state = 'cut' AND NEW.state IN ('confirmed', 'cancelled')"
    " OR OLD.state = 'confirmed' AND NEW.state IN ('settling', 'cancelled')"
    " OR OLD.state = 'settling' AND NEW.state IN ('partially_settled', 'completed')"
    " OR OLD.state = 'partially_settled' AND NEW.state IN ('settling', 'completed')"
)

# The condition stands in WHEN, so a legal move costs no function call: a million trades settle in one statement.
LEGAL_MOVES = """
CREATE TRIGGER legal_moves BEFORE UPDATE ON {table} FOR EACH ROW
    WHEN (OLD.{column} <> NEW.{column} AND NOT ({moves}))
    EXECUTE FUNCTION refuse_move('{column}');
CREATE TRIGGER never_deleted BEFORE DELETE ON {table}
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""

APPEND_ONLY = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {table}
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""

TERMS_NEVER_CHANGE = """
CREATE TRIGGER terms_never_change BEFORE UPDATE ON trades_trade FOR EACH ROW
    WHEN (NEW.id <> OLD.id OR NEW.customer_id <> OLD.customer_id OR NEW.quote_id <> OLD.quote_id
          OR NEW.receive_amount <> OLD.receive_amount OR NEW.deliver_amount <> OLD.deliver_amount
          OR NEW.fee <> OLD.fee OR NEW.reference_trade_id IS DISTINCT FROM OLD.reference_trade_id)
    EXECUTE FUNCTION refuse_change();
CREATE TRIGGER terms_never_change BEFORE UPDATE ON trades_order FOR EACH ROW
    WHEN (NEW.id <> OLD.id OR NEW.customer_id <> OLD.customer_id OR NEW.code <> OLD.code
          OR OLD.status = 'CLOSED')
    EXECUTE FUNCTION refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("trades", "0001_tables"), ("accounts", "0002_guards")]

    operations = [
        *(
            migrations.RunSQL(LEGAL_MOVES.format(table=table, column=column, moves=moves), migrations.RunSQL.noop)
            for table, column, moves in (
                ("trades_order", "status", ORDER),
                ("trades_trade", "state", TRADE),
                ("trades_settlementbatch", "state", BATCH),
            )
        ),
        *(
            migrations.RunSQL(APPEND_ONLY.format(table=table), migrations.RunSQL.noop)
            for table in ("trades_deal", "trades_tradeevent", "trades_idempotentanswer", "quotes_quote")
        ),
        migrations.RunSQL(TERMS_NEVER_CHANGE, migrations.RunSQL.noop),
        migrations.RunSQL("ALTER TABLE trades_trade SET (fillfactor = 50)", migrations.RunSQL.noop),
        migrations.RunSQL("ALTER TABLE trades_order SET (fillfactor = 80)", migrations.RunSQL.noop),
    ]
