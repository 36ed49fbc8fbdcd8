"""A row's version says which HTTP request it came of. The trigger that writes versions names no such column: its default
is what the transaction says (accounts/conflicts.py)."""

from django.db import migrations, models

SAID = """
ALTER TABLE accounts_rowversion ALTER COLUMN request_id
    SET DEFAULT left(nullif(current_setting('brokerage.request_id', true), ''), 128)
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0070_answered_requests")]

    operations = [
        migrations.AddField(
            model_name="rowversion",
            name="request_id",
            field=models.CharField(help_text="The HTTP request that did it.", max_length=128, null=True),
        ),
        migrations.RunSQL(SAID, migrations.RunSQL.noop),
    ]
