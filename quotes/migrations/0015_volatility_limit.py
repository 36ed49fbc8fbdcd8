"""A spot trade may be executed 1 % from the price of its quote, no longer 10 (docs/decisions/0045).

Rows that have the default of before get the new one; a limit that somebody chose stays.
"""

from decimal import Decimal

from django.db import migrations, models


def to_the_new_default(apps, schema_editor):
    apps.get_model("quotes", "Instrument").objects.filter(volatility_limit_percent=10).update(
        volatility_limit_percent=1
    )


class Migration(migrations.Migration):
    dependencies = [("quotes", "0014_price_rules")]

    operations = [
        migrations.AlterField(
            model_name="instrument",
            name="volatility_limit_percent",
            field=models.DecimalField(
                decimal_places=3,
                default=Decimal("1"),
                help_text="A spot trade fails when the price moved further since its quote, either way.",
                max_digits=6,
            ),
        ),
        migrations.RunPython(to_the_new_default, migrations.RunPython.noop),
    ]
