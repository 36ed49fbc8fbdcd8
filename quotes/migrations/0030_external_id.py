"""Quotes are found by what the partner calls them, and exit quotes by the trade that they counter."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0040_customer_states"),
        ("quotes", "0021_fee_terms"),
    ]

    operations = [
        migrations.AddField(
            model_name="quote",
            name="external_id",
            field=models.CharField(
                blank=True, help_text="What the partner calls this quote.", max_length=64, null=True
            ),
        ),
        migrations.AddIndex(
            model_name="quote",
            index=models.Index(
                condition=models.Q(("reference_trade_id__isnull", False)),
                fields=["reference_trade_id", "id"],
                name="quote_by_reference",
            ),
        ),
        migrations.AddIndex(
            model_name="quote",
            index=models.Index(
                condition=models.Q(("external_id__isnull", False)),
                fields=["external_id", "id"],
                name="quote_by_external_id",
            ),
        ),
    ]
