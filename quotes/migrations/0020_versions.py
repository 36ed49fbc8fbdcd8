"""Versions of instruments, of what was proposed to change of them, and of what one person alone may change (docs/decisions/0048)."""

from django.db import migrations

KEPT = """
SELECT keep_versions('quotes_instrument', 'symbol', '', '');
SELECT keep_versions('quotes_instrumentchange', 'id', '', '');
SELECT keep_versions('quotes_termband', 'term', '', '');
"""


class Migration(migrations.Migration):
    dependencies = [("quotes", "0017_instrument_guards"), ("accounts", "0032_row_versions")]

    operations = [
        migrations.RunSQL(KEPT, migrations.RunSQL.noop),
    ]
