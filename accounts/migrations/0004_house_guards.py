"""What the new tables refuse by themselves."""

from django.db import migrations

APPEND_ONLY = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {table}
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""

BREAKS = """
CREATE TRIGGER never_deleted BEFORE DELETE ON accounts_break
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON accounts_break
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER facts_never_change BEFORE UPDATE ON accounts_break FOR EACH ROW
    WHEN (NEW.id <> OLD.id OR NEW.kind <> OLD.kind OR NEW.asset_id <> OLD.asset_id OR NEW.amount <> OLD.amount
          OR NEW.subject IS DISTINCT FROM OLD.subject OR NEW.opened_at <> OLD.opened_at OR OLD.state = 'resolved')
    EXECUTE FUNCTION refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0003_house_accounts")]

    operations = [
        *(
            migrations.RunSQL(APPEND_ONLY.format(table=table), migrations.RunSQL.noop)
            for table in ("accounts_reconciliationrun", "accounts_reconciliationline")
        ),
        migrations.RunSQL(BREAKS, migrations.RunSQL.noop),
    ]
