"""Indexes of the few: margin accounts that are called, and batches that are open. The exporter asks for both."""

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("trades", "0125_worth_in_plain_words")]

    operations = [
        migrations.AddIndex(
            "marginaccount",
            models.Index(fields=["called_at"], condition=Q(called_at__isnull=False), name="margin_account_called"),
        ),
        migrations.AddIndex(
            "settlementbatch",
            models.Index(
                fields=["cut_at", "id"], condition=~Q(state__in=["completed", "cancelled"]), name="batch_open"
            ),
        ),
    ]
