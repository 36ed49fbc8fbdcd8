"""A held price is history; the one feed lease is there from the start and stays."""

from django.db import migrations

GUARDS = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON quotes_pricehold
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON quotes_pricehold
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_deleted BEFORE DELETE ON quotes_feedlease
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON quotes_feedlease
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
INSERT INTO quotes_feedlease (id, epoch, holder) VALUES (1, 0, '');
"""


class Migration(migrations.Migration):
    dependencies = [("quotes", "0007_feed_lease_and_holds")]

    operations = [migrations.RunSQL(GUARDS, migrations.RunSQL.noop)]
