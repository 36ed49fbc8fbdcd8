"""The help text of a dealer's action's worth, in plain words."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("trades", "0124_staff_by_two"),
    ]

    operations = [
        migrations.AlterField(
            model_name="dealersaction",
            name="worth",
            field=models.DecimalField(
                decimal_places=0,
                help_text="What the positions that it closes were worth when it was proposed, in the smallest unit of the account currency, such as cents. Empty: a price was missing.",
                max_digits=38,
                null=True,
            ),
        ),
    ]
