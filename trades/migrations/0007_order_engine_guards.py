"""The order engine's history is append-only; an order that has ended, closed or cancelled, never changes again."""

from django.db import migrations

APPEND_ONLY = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON trades_orderevent
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON trades_orderevent
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""

NEVER_DELETED = """
CREATE TRIGGER never_deleted BEFORE DELETE ON {table}
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""

ENDED_FOR_GOOD = """
DROP TRIGGER terms_never_change ON trades_order;
CREATE TRIGGER terms_never_change AFTER UPDATE ON trades_order FOR EACH ROW
    WHEN (NEW.id <> OLD.id OR NEW.customer_id <> OLD.customer_id OR NEW.code <> OLD.code
          OR OLD.status IN ('CLOSED', 'CANCELLED'))
    EXECUTE FUNCTION refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("trades", "0006_order_engine")]

    operations = [
        migrations.RunSQL(APPEND_ONLY, migrations.RunSQL.noop),
        *(
            migrations.RunSQL(NEVER_DELETED.format(table=table), migrations.RunSQL.noop)
            for table in ("trades_marginaccount", "trades_swaprun")
        ),
        migrations.RunSQL(ENDED_FOR_GOOD, migrations.RunSQL.noop),
    ]
