"""The limit up to which one person may adjust dollars alone; of every other asset a second one decides on everything.

Here and not with the column, because the assets are made by this app's migrations.
"""

from django.db import migrations

LIMIT = "UPDATE accounts_asset SET adjustment_limit = 100000 WHERE code = 'USD'"  # 1,000.00


class Migration(migrations.Migration):
    dependencies = [("quotes", "0002_instruments"), ("accounts", "0003_house_accounts")]

    operations = [migrations.RunSQL(LIMIT, migrations.RunSQL.noop)]
