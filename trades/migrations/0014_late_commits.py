"""On PostgreSQL 15 and 16 a transaction that was bound to a moment looks at the clock once more when it is committed."""

from django.db import migrations

# One row of these is written by whatever `must_commit_by` bounds. From 17 on the server's own timeout does it.
CREATE = """
DO $do$
BEGIN
    IF current_setting('server_version_num')::int < 170000 THEN
        CREATE CONSTRAINT TRIGGER late_commit AFTER INSERT ON trades_orderevent DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION refuse_late_commit();
        CREATE CONSTRAINT TRIGGER late_commit AFTER INSERT ON trades_tradeevent DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION refuse_late_commit();
    END IF;
END $do$;
"""
DROP = """
DROP TRIGGER IF EXISTS late_commit ON trades_orderevent;
DROP TRIGGER IF EXISTS late_commit ON trades_tradeevent;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0009_must_commit_by"),
        ("trades", "0013_marks_guards"),
    ]
    operations = [migrations.RunSQL(CREATE, DROP)]
