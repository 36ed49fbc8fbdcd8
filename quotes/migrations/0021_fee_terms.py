"""The terms that a quote's fee was computed by: with the price, all that its amounts follow from."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("quotes", "0020_versions")]

    operations = [
        migrations.AddField(
            "quote",
            "fee_bps",
            models.DecimalField(
                max_digits=8,
                decimal_places=3,
                null=True,
                help_text="The fee's share of the value, in hundredths of a percent; empty where it was not noted.",
            ),
        ),
        migrations.AddField(
            "quote",
            "fee_fixed",
            models.DecimalField(
                max_digits=38, decimal_places=0, null=True, help_text="The fee's fixed part, counter base units."
            ),
        ),
    ]
