"""What the house has advanced for a customer's losses, and when (docs/decisions/0033)."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0007_advances"),
        ("trades", "0009_room_for_a_batch"),
    ]

    operations = [
        migrations.AddField(
            model_name="marginaccount",
            name="owed",
            field=models.DecimalField(
                db_default=0,
                decimal_places=0,
                default=0,
                help_text="What the firm has advanced for losses and not got back yet. Counts against equity.",
                max_digits=38,
            ),
        ),
        migrations.AddField(
            model_name="marginaccount",
            name="owed_at",
            field=models.DateTimeField(
                help_text="When it last advanced something: profits of positions opened by then repay it.", null=True
            ),
        ),
        migrations.AddConstraint(
            model_name="marginaccount",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("owed", 0), ("owed_at__isnull", True)),
                    models.Q(("owed__gt", 0), ("owed_at__isnull", False)),
                    _connector="OR",
                ),
                name="owed_since_a_moment",
            ),
        ),
    ]
