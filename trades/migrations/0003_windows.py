"""The settlement windows a new installation starts with: hourly, New York business days."""

from django.db import migrations

WINDOWS = [("Crypto, hourly", "crypto"), ("Currencies, hourly", "fiat"), ("Metals, hourly", "metal")]


def add(apps, schema_editor):
    window = apps.get_model("trades", "SettlementWindow")
    window.objects.bulk_create(
        [
            window(name=name, asset_kind=kind, cron="0 9-17 * * *", time_zone="America/New_York", calendar="NYSE")
            for name, kind in WINDOWS
        ],
        ignore_conflicts=True,
    )


class Migration(migrations.Migration):
    dependencies = [("trades", "0002_guards")]

    operations = [migrations.RunPython(add, migrations.RunPython.noop)]
