"""The back office's search finds customers by the beginning of their name, in any case."""

from django.db import migrations

BY_NAME = """
CREATE INDEX customer_by_name ON accounts_customer (lower(name) varchar_pattern_ops) WHERE name <> '';
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0093_journal")]

    operations = [migrations.RunSQL(BY_NAME, "DROP INDEX customer_by_name")]
