"""What a request causes says so everywhere: opened and named accounts, money that comes in and goes out, comparisons with
the outside, ended sessions.

Accounts are opened by SQL that names no such column, so the database fills it in, as it does in versions of rows.
"""

import accounts.request_id
from django.db import migrations, models

SAID = """
ALTER TABLE accounts_ledgeraccount ALTER COLUMN request_id
    SET DEFAULT left(nullif(current_setting('brokerage.request_id', true), ''), 128)
"""
CAUSED = ("funding", "reconciliationrun", "endedsession")


class Migration(migrations.Migration):
    dependencies = [("accounts", "0072_sessions")]

    operations = [
        migrations.AddField(
            model_name="ledgeraccount",
            name="request_id",
            field=models.CharField(
                editable=False,
                help_text="The HTTP request that opened it, or named or labelled it last.",
                max_length=128,
                null=True,
            ),
        ),
        migrations.RunSQL(SAID, migrations.RunSQL.noop),
        *(
            migrations.AddField(
                model_name=name,
                name="request_id",
                field=models.CharField(
                    default=accounts.request_id.current,
                    editable=False,
                    help_text="The HTTP request that did it.",
                    max_length=128,
                    null=True,
                ),
            )
            for name in CAUSED
        ),
    ]
