"""A hold of a price says which API client set it, in a sandbox."""

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("quotes", "0043_book_transfers"), ("accounts", "0079_book_transfers")]

    operations = [
        migrations.AddField(
            model_name="pricehold",
            name="by_client",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                help_text="The API client that did it, in a sandbox.",
                null=True,
                on_delete=models.deletion.PROTECT,
                related_name="+",
                to="accounts.apiclient",
            ),
        ),
        migrations.AlterField(
            model_name="pricehold",
            name="by",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                help_text="Empty: an API client of a sandbox, or the command line without a name.",
                null=True,
                on_delete=models.deletion.PROTECT,
                related_name="+",
                to="accounts.user",
            ),
        ),
        migrations.AddConstraint(
            model_name="pricehold",
            constraint=models.CheckConstraint(
                condition=Q(by__isnull=True) | Q(by_client__isnull=True), name="hold_by_one_at_most"
            ),
        ),
    ]
