"""A trade that failed for want of money says how much was needed, and how much could be spent."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("trades", "0120_orders_by_code")]

    operations = [
        migrations.AddField(
            "tradeevent",
            "needed",
            models.DecimalField(
                decimal_places=0,
                editable=False,
                help_text="Of non_sufficient_funds: what was needed, base units of what is delivered.",
                max_digits=38,
                null=True,
            ),
        ),
        migrations.AddField(
            "tradeevent",
            "there",
            models.DecimalField(
                decimal_places=0,
                editable=False,
                help_text="And what could be spent then.",
                max_digits=38,
                null=True,
            ),
        ),
    ]
