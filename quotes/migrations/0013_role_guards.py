"""What an instrument is a pair of never changes (docs/decisions/0042)."""

from django.db import migrations

NEVER_CHANGED = """
CREATE TRIGGER never_changed AFTER UPDATE OF symbol, base_asset_id, counter_asset_id ON quotes_instrument FOR EACH ROW
    WHEN (NEW.symbol <> OLD.symbol OR NEW.base_asset_id <> OLD.base_asset_id
          OR NEW.counter_asset_id <> OLD.counter_asset_id)
    EXECUTE FUNCTION refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("quotes", "0012_words"), ("accounts", "0013_role_guards")]
    operations = [migrations.RunSQL(NEVER_CHANGED, migrations.RunSQL.noop)]
