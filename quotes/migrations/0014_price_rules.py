from decimal import Decimal

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("quotes", "0013_role_guards")]

    operations = [
        migrations.AddField(
            model_name="instrument",
            name="max_spread_percent",
            field=models.DecimalField(
                decimal_places=3,
                default=Decimal("5"),
                help_text="Of the middle. A price whose bid and ask are further apart is no price.",
                max_digits=6,
            ),
        ),
        migrations.AddConstraint(
            model_name="instrument",
            constraint=models.CheckConstraint(
                condition=models.Q(("max_spread_percent__gt", 0)), name="instrument_max_spread_positive"
            ),
        ),
        migrations.AlterField(
            model_name="instrument",
            name="jump_limit_percent",
            field=models.DecimalField(
                decimal_places=3,
                default=Decimal("50"),
                help_text="A bid or ask that differs more from the one before is no price until an operator accepts it.",
                max_digits=6,
            ),
        ),
    ]
