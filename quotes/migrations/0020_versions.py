"""Versions of instruments (docs/decisions/0048)."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("quotes", "0013_role_guards"), ("accounts", "0032_row_versions")]

    operations = [
        migrations.RunSQL("SELECT keep_versions('quotes_instrument', 'symbol', '', '')", migrations.RunSQL.noop)
    ]
