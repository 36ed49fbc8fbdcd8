"""A step of a trade or a batch says which HTTP request did it.

The trigger that writes a batch's steps names no such column: its default is what the transaction says
(accounts/conflicts.py). A trade's steps are written by the million, so their column has no default to work out.
"""

import accounts.request_id
from django.db import migrations, models

SAID = """
ALTER TABLE trades_batchevent ALTER COLUMN request_id
    SET DEFAULT left(nullif(current_setting('brokerage.request_id', true), ''), 128)
"""


class Migration(migrations.Migration):
    dependencies = [("trades", "0071_lookups")]

    operations = [
        migrations.AddField(
            model_name="batchevent",
            name="request_id",
            field=models.CharField(help_text="The HTTP request that did it.", max_length=128, null=True),
        ),
        migrations.AddField(
            model_name="tradeevent",
            name="request_id",
            field=models.CharField(
                default=accounts.request_id.current,
                editable=False,
                help_text="The HTTP request that did it.",
                max_length=128,
                null=True,
            ),
        ),
        migrations.RunSQL(SAID, migrations.RunSQL.noop),
    ]
