"""A candle keeps the spread of its close: a closed market's price is known here with both sides (decision 0084)."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("quotes", "0056_leverage_by_class_and_exposure")]

    operations = [
        migrations.AddField(
            "candle",
            "close_spread",
            models.DecimalField(
                max_digits=38,
                decimal_places=18,
                null=True,
                editable=False,
                help_text="Between bid and ask of the close; empty: nobody knows.",
            ),
        ),
        migrations.AddConstraint(
            "candle",
            models.CheckConstraint(condition=models.Q(close_spread__gte=0), name="candle_close_not_crossed"),
        ),
    ]
