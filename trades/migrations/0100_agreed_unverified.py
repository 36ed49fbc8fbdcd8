"""A payout's second person agrees to pay a customer who is frozen, or to pay one who isn't: which of the two."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("trades", "0099_by_the_firms_clock")]

    operations = [
        migrations.AddField(
            model_name="payment",
            name="is_agreed_unverified",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text="Of a payout by file: its second person agreed when its customer was frozen, or not verified.",
            ),
        ),
    ]
