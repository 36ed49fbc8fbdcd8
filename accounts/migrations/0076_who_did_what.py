"""Who did what at the desk is append-only.

It was part of 0013, from where it made accounts depend on the admin, which depends on accounts.
"""

from django.db import migrations

WHO_DID_WHAT = """
CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OR DELETE ON django_admin_log
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE OR REPLACE TRIGGER never_emptied BEFORE TRUNCATE ON django_admin_log
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0075_events"), ("admin", "0003_logentry_add_action_flag_choices")]
    operations = [migrations.RunSQL(WHO_DID_WHAT, migrations.RunSQL.noop)]
