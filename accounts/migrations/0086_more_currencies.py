"""The currencies of the instruments that quotes 0049 adds: the yen, which has no smaller unit, and the pound."""

from django.db import migrations

ASSETS = [("JPY", "fiat", "Japanese yen", "¥", 0), ("GBP", "fiat", "Pound sterling", "£", 2)]


def add(apps, schema_editor):
    asset = apps.get_model("accounts", "Asset")
    asset.objects.bulk_create(
        [asset(code=c, type=t, name=n, symbol=s, decimals=d) for c, t, n, s, d in ASSETS], ignore_conflicts=True
    )


class Migration(migrations.Migration):
    dependencies = [("accounts", "0082_real_of")]

    operations = [migrations.RunPython(add, migrations.RunPython.noop)]
