"""A cut finds the exits that were accepted after its cut time by their own time."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("trades", "0108_prices_of_deals")]

    operations = [
        migrations.AddIndex(
            model_name="trade",
            index=models.Index(
                condition=models.Q(("reference_trade__isnull", False)), fields=["created_at"], name="exit_by_time"
            ),
        ),
    ]
